// The production code of the votes at a server with a replica (M4): two clients claim ever higher terms and open the replica, and some
// revocations of handles hang until a claim has been answered or waits for them. Between claims, the server may restart and a client may
// crash. Invariant: once the answer to a claim includes the replica, the judge of the scene sees no handle of a lower term.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { VOTED } from '@rsio/protocol/wire/mirror-messages';
import { BIG2, MARS, turns } from '@rsio/rssrv/testing/contenders';
import { ReplicaScene } from '@rsio/rssrv/testing/replica-scene';

const CLAIMS = 8;
const [OPENS, HANGS, RESTARTS, CRASHES] = [0.8, 0.5, 0.1, 0.1];
const MEMBERS = [{ identity: 'c'.repeat(32), serverid: 1, volume: 'db', universe: 0 }];
const CONFIG = {
  k: 1,
  inSync: ['c'.repeat(32)],
  clean: false,
  nextVoters: null,
  sizeBytes: 1 << 20,
  clients: null,
  members: MEMBERS,
  voters: [{ voter: 'd'.repeat(32), serverid: 1 }],
};

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function claimWorld(seed: number): Promise<string | null> {
  const random = new SeededRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), 'rsio-claims-'));
  try {
    const scene = await new ReplicaScene(folder).start();
    await scene.vote(BIG2, { vote: 'found', name: 'db', universe: 0 } as never);
    await scene.claim(BIG2, 1);
    await scene.vote(BIG2, { vote: 'place', number: 1, volume: 'db', universe: 0 } as never);
    await scene.vote(BIG2, { vote: 'config', number: 1, config: CONFIG } as never);
    let holder = BIG2;
    for (let number = 2; number < 2 + CLAIMS && scene.broken === null; number++) {
      const client = random.pick([BIG2, MARS]);
      if (random.chance(OPENS)) await scene.open(holder, number - 1);
      if (random.chance(HANGS)) scene.hung = [];
      let isAnswered = false;
      const claiming = scene.claim(client, number).finally(() => (isAnswered = true));
      while (!isAnswered && (scene.hung?.length ?? 0) === 0) await turns();
      await scene.letGo();
      if ((await claiming).voted !== VOTED.DONE) return `the claim of term ${number} is refused`;
      holder = client;
      if (random.chance(CRASHES)) scene.crash(client);
      if (random.chance(RESTARTS)) await scene.start();
    }
    return scene.broken === null ? null : `M4: ${scene.broken}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
