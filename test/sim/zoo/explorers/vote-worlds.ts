// The votes and the replica of one server (Q3, Q5 to Q9): clients claim terms, store configurations, place the replica and open it, while
// revocations may hang and the server may restart. The judge knows only the answers, and has the rules in its own words. Invariant: all
// requests come one after the other, so that the judge always knows the promised term and the clients of the record.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { OP } from '@rsio/protocol/wire/frames';
import { IOCTL } from '@rsio/protocol/wire/messages';
import { type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { REPLICA_WAIT_MS, VOTES_WAITING_MAX } from '@rsio/rssrv/mirrors/limits';
import { BIG2, MARS, turns, VENUS } from '@rsio/rssrv/testing/contenders';
import { type RawPath, SessionScene } from '@rsio/rssrv/testing/raw-client';
import { ReplicaScene } from '@rsio/rssrv/testing/replica-scene';
import type { ClientIdentity } from '@rsio/rssrv/volumes/holds/grants';

const [STEPS, FLOOD_MORE, TERM_STEPS] = [40, 5, 12];
const EMPTY = Buffer.alloc(0);
const ALL = [BIG2, MARS, VENUS];
const CONFIG = {
  inSync: ['c'.repeat(32)],
  nextVoters: null,
  sizeBytes: 1 << 20,
  voters: [{ voter: 'd'.repeat(32), serverid: 1 }],
  members: [{ identity: 'c'.repeat(32), serverid: 1, volume: 'db', universe: 0 }],
};

interface Term {
  readonly number: number;
  readonly client: ClientIdentity;
}

class VoteWorld {
  fault: string | null = null;
  private readonly random: SeededRandom;
  private readonly scene: ReplicaScene;
  private promised: Term | null = null;
  /** Nodes that may use the record; null for all. */
  private clients: readonly string[] | null = [BIG2.node];
  private isClean = false;
  private k = 0;
  private hasMark = false;
  /** For each identity that a PLACE has made: the number of its term. */
  private readonly identities = new Map<string, number>();

  constructor(random: SeededRandom, scene: ReplicaScene) {
    this.random = random;
    this.scene = scene;
  }

  async step(): Promise<void> {
    const { random, scene } = this;
    const client = random.pick(ALL);
    switch (random.int(0, 10)) {
      case 0:
      case 1:
      case 2:
        return this.claim(client);
      case 3:
        return this.configure();
      case 4:
      case 5:
        return this.place();
      case 6:
      case 7:
        return this.open(random.pick([client, this.promised?.client ?? client]));
      case 8:
        this.mayUse(client, await scene.vote(client, { vote: 'record' } as never));
        return;
      case 9:
        return this.flood();
      default:
        return this.ends(client);
    }
  }

  private async ends(client: ClientIdentity): Promise<void> {
    const what = this.random.pick(['close', 'close', 'crash', 'restart'] as const);
    if (what === 'close') await this.scene.close(client);
    else if (what === 'crash') this.scene.crash(client);
    else await this.scene.start();
  }

  private get top(): number {
    return this.promised?.number ?? 0;
  }

  private fails(sentence: string): void {
    this.fault ??= sentence;
  }

  /** Q3. Returns true if the client may use the record. */
  private mayUse({ node }: ClientIdentity, { voted }: VoteAnswer): boolean {
    if (this.clients?.includes(node) !== false) return true;
    if (voted !== VOTED.UNKNOWN) this.fails(`Q3: ${node}, which may not use the record, gets the answer ${voted}`);
    return false;
  }

  private async claim(client: ClientIdentity): Promise<void> {
    const { random, scene, promised, isClean } = this;
    const [number, takesOver] = [Math.max(1, this.top + random.int(-1, 2)), random.chance(0.6)];
    if (random.chance(0.5)) scene.hung = [];
    let isAnswered = false;
    const claiming = scene.claim(client, number, takesOver).finally(() => (isAnswered = true));
    while (!isAnswered && (scene.hung?.length ?? 0) === 0) await turns();
    // The requests of lower terms may run for longer than a claim waits for them.
    if (!isAnswered && random.chance(0.5)) {
      scene.clock.advance(REPLICA_WAIT_MS);
      await claiming;
    }
    await scene.letGo();
    const answer = await claiming;
    if (scene.broken !== null) this.fails(`Q7: ${scene.broken}`);
    if (!this.mayUse(client, answer) || answer.voted !== VOTED.DONE) return;
    if (promised !== null && promised.client !== client && !takesOver && !isClean)
      this.fails(`Q3: ${client.node} gets term ${number} without a take-over, although ${promised.client.node} has the mirror`);
    if (promised?.number !== number || promised.client !== client) this.isClean = false;
    this.promised = { number, client };
  }

  private async configure(): Promise<void> {
    const { random, scene, promised } = this;
    if (promised === null) return;
    const [clean, clients] = [random.chance(0.4), random.pick([null, [BIG2.node, MARS.node]])];
    const config = { ...CONFIG, k: ++this.k, clean, clients };
    const { voted } = await scene.vote(promised.client, { vote: 'config', number: promised.number, config } as never);
    if (voted === VOTED.DONE) [this.clients, this.isClean] = [clients, clean];
  }

  /** Q8. */
  private async place(): Promise<void> {
    const { random, scene, promised } = this;
    if (promised === null) return;
    scene.mayPlace = random.chance(0.7);
    const { client, number } = promised;
    const { voted, replica } = await scene.vote(client, { vote: 'place', number, volume: 'db', universe: 0 } as never);
    if (voted !== VOTED.DONE || replica === null) return;
    if (!this.hasMark && !scene.mayPlace) this.fails(`Q8: ${client.node} has made a volume a replica without the right`);
    this.hasMark = true;
    const before = this.identities.get(replica.identity) ?? number;
    if (before !== number) this.fails(`Q8: the PLACE of term ${number} has left the data of term ${before} valid`);
    this.identities.set(replica.identity, number);
  }

  /** Q6. */
  private async open(client: ClientIdentity): Promise<void> {
    const { scene, promised, random } = this;
    const number = Math.max(1, this.top + random.pick([-1, 0, 0, 1]));
    const { granted } = await scene.open(client, number);
    if (granted && (promised?.number !== number || promised.client !== client))
      this.fails(`Q6: ${client.node} has opened the replica under term ${number}, but the promised term is ${this.top}`);
  }

  /** Q5. */
  private async flood(): Promise<void> {
    const count = VOTES_WAITING_MAX + this.random.int(1, FLOOD_MORE);
    const votes = Array.from({ length: count }, () => this.scene.vote(BIG2, { vote: 'record' } as never));
    const refused = (await Promise.all(votes)).filter(({ voted }) => voted === VOTED.REFUSED);
    if (refused.length < count - VOTES_WAITING_MAX) this.fails(`Q5: ${count - refused.length} VOTEs about one mirror have waited`);
  }
}

/** Q9: asks for the term of a handle while its requests run, before and after its revocation begins. */
async function termFault(random: SeededRandom): Promise<string | null> {
  const scene = new SessionScene();
  scene.volumeChanges = { replica: { mirror: 'a'.repeat(32), identity: 'b'.repeat(32), mapPath: '/map' } };
  const path: RawPath = scene.path();
  await scene.open(path);
  let isRevoked = false;
  for (let slot = 0; slot < TERM_STEPS; slot++) {
    const tag = { slot, seq: 1 };
    switch (random.int(0, 3)) {
      case 0:
        if (!isRevoked) path.io(OP.READ, tag);
        break;
      case 1:
        scene.storage.finish();
        break;
      case 2:
        void scene.session.revoke('id', 1);
        isRevoked = true;
        break;
      default: {
        path.message(OP.IOCTL, tag, EMPTY, 1, IOCTL.TERM);
        await scene.turn();
        const said = path.heard.find((text) => text.startsWith(`IOCTL answer ${slot}/1 `));
        const expected = isRevoked ? STATUS.STALE : STATUS.OK;
        if (said !== `IOCTL answer ${slot}/1 status ${expected}`) return `Q9: TERM of a ${isRevoked ? 'revoked' : 'valid'} handle: ${said}`;
      }
    }
    await scene.turn();
  }
  return null;
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function voteWorld(seed: number): Promise<string | null> {
  const random = new SeededRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), 'rsio-votes-'));
  try {
    const scene = await new ReplicaScene(folder).start();
    await scene.vote(BIG2, { vote: 'found', name: 'db', universe: 0 } as never);
    const world = new VoteWorld(random, scene);
    for (let step = 0; step < STEPS && world.fault === null; step++) await world.step();
    return world.fault ?? (await termFault(random));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
