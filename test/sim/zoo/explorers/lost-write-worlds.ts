// The production code of holds, OPENs, claims and of the choice of a source, at servers with the replicas of one mirror. Clients claim ever
// higher terms, write, flush, settle some blocks (M7), and stop. Machines crash and lose what is not on their disks. A holder may replay
// its log after a crash, or may have stopped. Invariant: a block is settled with its last answered write, as long as, at one replica, a
// holder has recovered each incarnation that began since this write (Q10). Other blocks, readers and the network are missing.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { CopyView } from '@rsio/protocol/mirror/copy/copy-ports';
import { sourcesOf } from '@rsio/protocol/mirror/copy/sources';
import { type Term, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { BIG2, MARS } from '@rsio/rssrv/testing/contenders';
import { ReplicaScene } from '@rsio/rssrv/testing/replica-scene';
import type { ClientIdentity } from '@rsio/rssrv/volumes/holds/grants';

const [BLOCKS, TERMS, STEPS] = [2, 6, 6];
const [WRITES, SETTLES, FLUSHES, CRASHES] = [0.4, 0.4, 0.3, 0.5];
/** Chance that a server crashes between two terms, and chance that it restarts if it has not crashed. */
const [CRASHES_BETWEEN, RESTARTS_BETWEEN] = [0.3, 0.3];
const IDENTITY = '0'.repeat(31);

/** What has happened to a replica since the last answered write of a block: nothing, or a crash under this term or an earlier one. */
type Crash = 'none' | 'now' | 'before';

class LostWriteServer {
  readonly scene: ReplicaScene;
  readonly cache: number[] = Array.from({ length: BLOCKS }, () => 0);
  disk = [...this.cache];
  readonly crashes: Crash[] = this.cache.map(() => 'none');
  handle: { readonly epoch: number; readonly identity: string } | null = null;
  lacksTerm: Term | null | undefined;
  /** Identity of the hold that the last OPEN has begun or resumed, until the next claim. */
  opened: string | null = null;

  constructor(folder: string) {
    this.scene = new ReplicaScene(folder);
  }

  flush(): void {
    this.disk = [...this.cache];
  }

  /** The machine loses what is not on its disk, except for blocks that the kernel happens to have written. */
  async crash(random: SeededRandom): Promise<void> {
    this.scene.life++;
    for (let block = 0; block < BLOCKS; block++) {
      if (random.chance(0.3)) this.disk[block] = this.cache[block]!;
      this.cache[block] = this.disk[block]!;
      if (this.crashes[block] === 'none') this.crashes[block] = 'now';
    }
    this.handle = null;
    await this.scene.start();
  }

  /** The listener restarts, and loses nothing. */
  async restart(): Promise<void> {
    this.flush();
    this.handle = null;
    await this.scene.start();
  }

  async open(client: ClientIdentity, number: number, resume: string | null): Promise<void> {
    const grant = await this.scene.open(client, number, resume);
    if (!grant.granted) throw new Error(`term ${number} cannot open its replica: ${grant.sentence}`);
    this.handle = { epoch: grant.epoch, identity: grant.identity };
    this.opened = grant.identity;
  }
}

class LostWriteWorld {
  private readonly random: SeededRandom;
  private readonly servers: LostWriteServer[];
  /** For each block: the last answered write, which is 0 at the beginning, and the term of this write. */
  private readonly answered: { value: number; number: number }[];
  /** For each block: the write that the holder has in its log; 0: none. */
  private log: number[] = [];
  private last = 0;
  /** Whether the holder has stopped in the middle of a write. */
  private hasStopped = false;

  constructor(random: SeededRandom, folders: readonly string[]) {
    this.random = random;
    this.servers = folders.map((folder) => new LostWriteServer(folder));
    this.answered = Array.from({ length: BLOCKS }, () => ({ value: 0, number: 0 }));
  }

  async run(): Promise<string | null> {
    for (const { scene } of this.servers) await found(await scene.start());
    let holder = BIG2;
    for (let number = 2, terms = 0; terms < TERMS; terms++) {
      const client = this.random.pick([BIG2, MARS]);
      // Terms of two clients may have the same number.
      if (terms > 0 && (client === holder || holder === MARS || this.random.chance(0.5))) number++;
      holder = client;
      const wrong = await this.serve(client, number);
      if (wrong !== null) return wrong;
      for (const server of this.servers) {
        if (this.random.chance(CRASHES_BETWEEN)) await server.crash(this.random);
        else if (this.random.chance(RESTARTS_BETWEEN)) await server.restart();
      }
    }
    return null;
  }

  /** Runs one term, from its claim to the end of its client. */
  private async serve(client: ClientIdentity, number: number): Promise<string | null> {
    const { random, servers } = this;
    this.log = this.answered.map(() => 0);
    for (const server of servers) {
      // The fence of the claim makes running processes flush, and a process that ended earlier has already flushed.
      server.flush();
      const { voted, replica } = await server.scene.claim(client, number);
      if (voted !== VOTED.DONE || replica === null) return `the claim of term ${number} has the outcome ${voted}`;
      server.lacksTerm = replica.lacksTerm;
      server.handle = null;
      server.opened = null;
      for (let block = 0; block < BLOCKS; block++) if (server.crashes[block] === 'now') server.crashes[block] = 'before';
    }
    this.hasStopped = random.chance(0.2);
    for (const server of servers) if (!this.hasStopped || random.chance(0.3)) await server.open(client, number, null);
    const settled = new Set<number>();
    for (let step = 0; step < STEPS && !this.hasStopped; step++) {
      const wrong = await this.step(client, number, settled);
      if (wrong !== null) return wrong;
    }
    await this.leave(client, number);
    return null;
  }

  private async step(client: ClientIdentity, number: number, settled: Set<number>): Promise<string | null> {
    const { random, servers } = this;
    const block = random.int(0, BLOCKS - 1);
    const server = random.pick(servers);
    if (random.chance(WRITES)) this.write(block, number);
    else if (random.chance(SETTLES)) return settled.has(block) ? null : this.settle(block, settled);
    else if (random.chance(FLUSHES)) {
      for (const one of servers) one.flush();
      this.log.fill(0);
    } else if (random.chance(CRASHES)) {
      const { handle } = server;
      await server.crash(random);
      if (random.chance(0.5)) await this.recover(server, client, number, handle!.identity);
      else this.hasStopped = true;
    } else {
      const { handle } = server;
      await server.restart();
      await server.open(client, number, handle!.identity);
    }
    return null;
  }

  /** A write goes to all replicas. If the holder stops, the write may miss some of them, and is not answered. */
  private write(block: number, number: number): void {
    const value = ++this.last;
    this.hasStopped = this.random.chance(0.1);
    for (const { cache } of this.servers) if (!this.hasStopped || this.random.chance(0.5)) cache[block] = value;
    if (this.hasStopped) return;
    this.answered[block] = { value, number };
    this.log[block] = value;
    for (const { crashes } of this.servers) crashes[block] = 'none';
  }

  /** The holder opens the replica again, sends its log again and reports SETTLED (H3). */
  private async recover(server: LostWriteServer, client: ClientIdentity, number: number, identity: string): Promise<void> {
    await server.open(client, number, identity);
    const { scene, handle, crashes, cache } = server;
    for (let block = 0; block < BLOCKS; block++) if (this.log[block] !== 0) cache[block] = this.log[block]!;
    await scene.holds.settle(scene.volumes[0]!.id, client, handle!.epoch, scene.incarnation);
    for (let block = 0; block < BLOCKS; block++) if (crashes[block] === 'now') crashes[block] = 'none';
  }

  private settle(block: number, settled: Set<number>): string | null {
    const { servers, random } = this;
    const loads = servers.map(() => random.int(0, 3));
    const [source] = sourcesOf(viewOf(servers), 'settle', 1, { tenureOf: (identity) => identity, loadOf: (at) => loads[Number(at)]! });
    if (source === undefined) return 'no replica may be the source';
    const { value, number } = this.answered[block]!;
    const found = servers[Number(source)]!.cache[block]!;
    const keeper = servers.findIndex(({ crashes }) => crashes[block] === 'none');
    if (keeper >= 0 && found < value)
      return `M7: block ${block} is settled from replica ${source} with ${found}, and replica ${keeper} has kept write ${value} of term ${number}`;
    for (const { cache } of servers) cache[block] = found;
    for (const server of servers) server.flush();
    for (const { crashes } of servers) crashes[block] = 'none';
    this.answered[block] = { value: found, number };
    settled.add(block);
    return null;
  }

  /** The client closes the replicas, loses them to an administrator, or stops, so that its holds end with the next claim. */
  private async leave(client: ClientIdentity, number: number): Promise<void> {
    for (const server of this.servers) {
      const how = this.random.pick(['stops', 'closes', 'revoked'] as const);
      const { scene, opened } = server;
      if (opened === null || how === 'stops') continue;
      server.flush();
      // A client that does not replay its log may resume the hold only to close it.
      if (server.handle === null && how === 'closes') await server.open(client, number, opened);
      if (how === 'closes') await scene.close(client);
      else await scene.holds.endHold(scene.volumes[0]!.id, client.node, () => Promise.resolve());
    }
  }
}

/** Founds the mirror with the volume of the scene as a replica. */
async function found(scene: ReplicaScene): Promise<void> {
  const member = { identity: `${IDENTITY}1`, serverid: 1, volume: 'db', universe: 0 };
  const config = {
    k: 1,
    inSync: [member.identity],
    clean: false,
    nextVoters: null,
    sizeBytes: 1 << 20,
    clients: null,
    members: [member],
    voters: [{ voter: 'd'.repeat(32), serverid: 1 }],
  };
  await scene.vote(BIG2, { vote: 'found', name: 'db', universe: 0 } as never);
  await scene.claim(BIG2, 1);
  await scene.vote(BIG2, { vote: 'place', number: 1, volume: 'db', universe: 0 } as never);
  await scene.vote(BIG2, { vote: 'config', number: 1, config } as never);
}

function viewOf(servers: readonly LostWriteServer[]): CopyView {
  const replicas = servers.map(({ lacksTerm }, at) => ({
    identity: String(at),
    role: 'member' as const,
    counts: true,
    reads: true,
    mayJoin: false,
    foundBytes: 1,
    lacksTerm,
  }));
  return { isServing: true, isPending: false, isAllInSync: true, sizeBytes: 1, replicas };
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function lostWriteWorld(seed: number): Promise<string | null> {
  const random = new SeededRandom(seed);
  const folders = Array.from({ length: random.int(2, 3) }, () => mkdtempSync(join(tmpdir(), 'rsio-lost-writes-')));
  try {
    return await new LostWriteWorld(random, folders).run();
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}
