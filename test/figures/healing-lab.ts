// `npm run drill -- healing`: a mirror with replace-after and spares loses a server in each round, under writes, and must have two replicas
// in sync again without an order. In some rounds a server comes and goes, and nothing may be rebuilt. After each round, every block has the
// last write that was acknowledged (G57). Invariant: the model of the content changes only when a write is answered.

import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { defineDrill } from '../support/drills/harness.ts';
import { count, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { seconds } from '../support/drills/table.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const NAMES = ['pi-1', 'pi-2', 'pi-3', 'pi-4', 'pi-5'];
const WITNESS = 'pi-3';
const FIRST_ADDRESS = 10;
const MIB = 1024 ** 2;
const SIZE = 32 * MIB;
const PIECE = 64 * 1024;
/** The least value of replace-after. */
const AFTER_MS = 60_000;
const HEALED_MS = AFTER_MS + 120_000;
const BACK_MS = 60_000;
/** In one round of this many, a server comes and goes. */
const FLAPPING_EVERY = 5;
const QUICK = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms', stall: 'forever' };

class HealingLab {
  private readonly on: Scene;
  private readonly servers = new Map<string, Host>();
  private client!: Host;
  /** A connection has one request at a time. */
  private io!: NbdIo;
  private reader!: NbdIo;
  private readonly model = Buffer.alloc(SIZE);
  private isWriting = true;
  private writes = 0;
  private longestMs = 0;

  constructor(on: Scene) {
    this.on = on;
  }

  async play(rounds: number): Promise<void> {
    const { on } = this;
    const network = await on.hosts.network(1);
    const addresses = NAMES.map((_, index) => network.subnets[0]!.address(FIRST_ADDRESS + index));
    for (const [index, name] of NAMES.entries()) {
      const host = on.hosts.host();
      this.servers.set(name, host);
      await startServer(
        host,
        { ...network, serverAddresses: [addresses[index]!] },
        {
          name,
          server: { serverid: String(index + 1), processes: '1' },
          volumes: {},
          pools: { fast: { path: await emptyPool(host) } },
          rights: { 'big-2': 'manage' },
        },
      );
    }
    this.client = on.hosts.host();
    const defaults = { ...QUICK, 'replace-after': '1m', spares: NAMES.join(', ') };
    this.client.writeConfig('rsiod', clientConfig(network, { serverAddresses: addresses, defaults }));
    await this.client.start('rsiod');
    await this.client.pathsUp(NAMES.length, BACK_MS);
    await this.client.rsconfigWell('mirror', 'create', 'db', '--size', '32m', '--servers', 'pi-1,pi-2', '--witness', WITNESS, '--attach');
    this.io = await NbdIo.open(this.client.rsiodPaths.nbdSocket, 'osl/db', HEALED_MS);
    this.reader = await NbdIo.open(this.client.rsiodPaths.nbdSocket, 'osl/db', HEALED_MS);
    for (let offset = 0; offset < SIZE; offset += MIB) await this.write(offset, MIB);
    const writing = this.keepWriting();
    for (let round = 1; round <= rounds && !on.isEnding; round++) {
      on.rounds += 1;
      await (round % FLAPPING_EVERY === 0 ? this.flapping() : this.lost());
      await this.compare(`round ${round}`);
    }
    this.isWriting = false;
    await writing;
    for (const io of [this.io, this.reader]) io.close();
    on.say(`${this.writes} writes without an error, of which the longest took ${seconds(this.longestMs)}`);
  }

  private async replicas(): Promise<{ readonly server: string; readonly inSync: boolean }[]> {
    const { mirrors } = await this.client.call('mirrors', { namespace: null });
    return mirrors[0]?.replicas.map(({ server, inSync }) => ({ server, inSync })) ?? [];
  }

  private async inSync(): Promise<string[]> {
    return (await this.replicas()).flatMap(({ server, inSync }) => (inSync ? [server] : []));
  }

  private kill(name: string): void {
    for (const pid of this.servers.get(name)!.processes()) process.kill(pid, 'SIGKILL');
  }

  /** A server is lost until its replica is rebuilt elsewhere, and then comes back. */
  private async lost(): Promise<void> {
    const { on } = this;
    const before = (await this.replicas()).map(({ server }) => server);
    const victim = before[on.random.int(0, before.length - 1)]!;
    const startMs = performance.now();
    this.kill(victim);
    let fewest = 2;
    await waitFor(
      async () => {
        const now = await this.inSync();
        fewest = Math.min(fewest, now.length);
        return now.length === 2 && !now.includes(victim);
      },
      HEALED_MS,
      `Two replicas are in sync without ${victim}`,
    );
    if (fewest < 1) on.problem(`no replica was in sync while ${victim} was away`);
    const after = await this.inSync();
    on.say(`${victim} was lost, and ${after.join(' and ')} are in sync after ${seconds(performance.now() - startMs)}`);
    await this.servers.get(victim)!.start('rssrv');
    await this.client.pathsUp(NAMES.length, BACK_MS);
    // The former replica would be removed after an hour.
    const remove = async (): Promise<string> => this.client.rsconfigWell('mirror', 'detach', 'db', '--server', victim, '--volume');
    await waitFor(remove, BACK_MS, `What ${victim} had is removed`);
  }

  /** A server comes and goes, always before its time is over. */
  private async flapping(): Promise<void> {
    const before = await this.inSync();
    const victim = before[this.on.random.int(0, before.length - 1)]!;
    for (let turn = 0; turn < 2; turn++) {
      this.kill(victim);
      await pause(AFTER_MS * 0.7);
      await this.servers.get(victim)!.start('rssrv');
      await waitFor(async () => (await this.inSync()).length === 2, BACK_MS, `${victim} is in sync again`);
    }
    const after = await this.inSync();
    if (after.join() !== before.join()) this.on.problem(`${victim} came and went, and the replicas are on ${after.join(' and ')} now`);
    this.on.say(`${victim} came and went twice, and nothing was rebuilt`);
  }

  private async keepWriting(): Promise<void> {
    while (this.isWriting) {
      await this.write(this.on.random.int(0, SIZE / PIECE - 1) * PIECE, PIECE);
      await pause(10);
    }
  }

  private async write(offset: number, lengthBytes: number): Promise<void> {
    const data = randomBytes(lengthBytes);
    const startMs = performance.now();
    await this.io.write(offset, data);
    data.copy(this.model, offset);
    this.writes++;
    this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
  }

  /** Reads pieces between the writes, and compares the replicas with each other. */
  private async compare(when: string): Promise<void> {
    const report = await this.client.rsconfig('mirror', 'verify', 'db');
    if (report.code !== 0) this.on.problem(`${when}: the replicas differ: ${report.stdout}${report.stderr}`);
    for (let offset = 0; offset < SIZE; offset += PIECE) {
      const was = Buffer.from(this.model.subarray(offset, offset + PIECE));
      const found = await this.reader.read(offset, PIECE);
      const now = this.model.subarray(offset, offset + PIECE);
      // A write may have been answered meanwhile.
      if (
        !found.equals(was) &&
        !found.equals(now) &&
        !(await this.reader.read(offset, PIECE)).equals(this.model.subarray(offset, offset + PIECE))
      )
        this.on.problem(`${when}: the piece at ${offset} has not the last write that was acknowledged`);
    }
  }
}

export const drill = defineDrill({
  about: `Starts five servers and a client with a mirror of two replicas. In each round, a server is killed until its replica is rebuilt on a spare,
    under writes; in each fifth round, a server comes and goes. Each piece and both replicas are compared afterwards.`,
  needs: [],
  options: { rounds: count(20, 'number of rounds'), seed: seed() },
  play: (on: Scene, { rounds }) => new HealingLab(on).play(rounds),
});
