// The drill: it makes rounds of writes, most of them with a fault, gives orders for volumes, snapshots, images, backups and a mirror, and
// compares contents. Invariants: only the writers and orders of the drill change the contents of volumes; an order that a fault has
// interrupted is repeated until it is done. A difference from the expected contents is a problem and ends the drill.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { waitFor } from '../support/programs/wait-for.ts';
import { type Backup, Contents, type Volume } from './contents.ts';
import { ATTACHED_HERE, DONE, type OrderOptions } from './done.ts';
import { type DrillSite, FAULTS, type Fault, POOLS, SERVERS } from './site.ts';
import { type Tally, Writers } from './writers.ts';

const MIB = 1024 * 1024;
const [SIZE_BYTES, SIZE_MAX_BYTES, GROWTH_STEP_BYTES] = [6 * MIB, 9 * MIB, 64 * 1024];
const [SNAPSHOTS_MAX, CLONES_MAX, BACKUPS_MAX] = [4, 3, 12];
const [WRITES_MIN_MS, WRITES_MAX_MS] = [300, 2_000];
const FAULT_SHARE = 0.5;
/** Share of orders that a fault interrupts. */
const MET_SHARE = 0.15;
const ORDERS_OF_ROUND = 3;
const COMPARED_IN_ROUND = 3;
const ORDER_TRIES = 8;
const AGAIN_MS = 1_000;
const IN_SYNC_MS = 30_000;
const JOB_MS = 30_000;
const PLAIN = ['p1', 'p2'] as const;
const MIRROR = 'm1';
const IMAGE_UNIVERSE = 3;

export class Drill {
  readonly tally: Tally & { compared: number; readonly orders: Map<string, number>; readonly faults: Map<string, number> } = {
    answered: 0,
    compared: 0,
    orders: new Map(),
    faults: new Map(),
  };
  private readonly site: DrillSite;
  private readonly random: SeededRandom;
  private readonly volumes = new Map<string, Volume>();
  private readonly backups: Backup[] = [];
  private number = 0;
  private readonly say: (line: string) => void;

  constructor(site: DrillSite, random: SeededRandom, say: (line: string) => void) {
    this.site = site;
    this.random = random;
    this.say = say;
  }

  async begin(): Promise<void> {
    for (const name of PLAIN) {
      await this.site.order('volume', 'create', name, '--size', String(SIZE_BYTES), '--server', SERVERS[0], '--pool', POOLS[0]);
      this.add({ name, kind: 'plain', contents: Contents.zeros(SIZE_BYTES) });
      await this.site.attach(name);
    }
    const about = ['--size', String(SIZE_BYTES), '--servers', `${SERVERS[0]},${SERVERS[1]}`, '--witness', SERVERS[2]];
    await this.site.order('mirror', 'create', MIRROR, ...about);
    this.add({ name: MIRROR, kind: 'mirror', contents: Contents.zeros(SIZE_BYTES) });
    await this.site.attach(MIRROR);
  }

  async round(): Promise<void> {
    await this.writes();
    for (let count = 0; count < ORDERS_OF_ROUND; count++) await this.anyOrder();
    for (let count = 0; count < COMPARED_IN_ROUND; count++) await this.compareAny();
  }

  /** Compares all volumes, snapshots and backups. */
  async end(): Promise<void> {
    for (const volume of this.volumes.values()) {
      await this.compare(volume.name, volume.contents);
      for (const [snapshot, contents] of volume.snapshots) await this.compare(`${volume.name}@${snapshot}`, contents);
    }
    await this.untilInSync();
    await this.verifyMirror();
  }

  /**
   * Makes a round of writes to the attached volumes. Most rounds of writes have a fault, and some happen during a move or during the copy
   * of a replica.
   */
  private async writes(): Promise<void> {
    const { random, site } = this;
    if (random.chance(0.25)) await this.moveBegins();
    const written = [...this.attached()].filter(() => random.chance(0.8));
    const writers = written.map(({ name, contents }) => new Writers(name, contents, this.tally));
    for (const one of writers) await one.start(site.client, random.int(1, 2 ** 30));
    await sleep(random.int(WRITES_MIN_MS, WRITES_MAX_MS));
    let isCut = false;
    if (random.chance(FAULT_SHARE)) {
      const fault = await this.fault();
      isCut = fault === 'rsiod killed';
      await sleep(random.int(0, WRITES_MIN_MS));
    }
    for (const one of writers) await one.stop(isCut);
    const [error] = writers.flatMap(({ errors }) => errors);
    if (error !== undefined) throw new Error(`A request was answered with an error: ${error}`);
    for (const { name } of this.attached()) await site.untilAttached(name);
    // After a kill of rsiod, the contents are uncertain. The contents are read at once, and must not change afterwards.
    if (isCut) for (const { name, contents } of this.attached()) await this.compare(name, contents);
  }

  private async fault(): Promise<Fault> {
    const [fault, server] = [this.random.pick(FAULTS), this.random.int(0, SERVERS.length - 1)];
    const name = fault === 'rsiod killed' ? fault : `${fault} of ${SERVERS[server]}`;
    this.say(`  ${name}`);
    add(this.tally.faults, fault);
    await this.site.fault(fault, server);
    return fault;
  }

  private async anyOrder(): Promise<void> {
    const kinds: readonly (readonly [number, () => Promise<void>])[] = [
      [5, () => this.snapshot()],
      [1, () => this.snapshotGroup()],
      [2, () => this.removeSnapshot()],
      [2, () => this.rollback()],
      [2, () => this.clone()],
      [2, () => this.image()],
      [2, () => this.grow()],
      [4, () => this.backup()],
      [2, () => this.restore()],
      [1, () => this.removeAndRestore()],
      [1, () => this.copy()],
      [2, () => this.mirrorLosesServer()],
      [1, () => this.mirrorDetach()],
      [1, () => this.verifyMirror()],
    ];
    const total = kinds.reduce((sum, [weight]) => sum + weight, 0);
    let at = this.random.unit() * total;
    for (const [weight, order] of kinds) {
      at -= weight;
      if (at < 0) return order();
    }
  }

  /** Gives an order. If a fault interrupts the order, repeats it until it is done. */
  private async order(args: readonly string[], { done, isRepeated = false, remedy }: OrderOptions = {}): Promise<void> {
    const { site, random } = this;
    const text = args.join(' ');
    this.say(`  ${text}`);
    add(this.tally.orders, args[0] === 'volume' || args[0] === 'mirror' ? `${args[0]} ${args[1]}` : args[0]!);
    const met = random.chance(MET_SHARE) ? sleep(random.int(0, 400)).then(() => this.fault()) : Promise.resolve(null);
    for (let tries = 1; ; tries++) {
      const result = await site.tryOrder(...args);
      const fault = await met;
      if (fault === 'rsiod killed') for (const { name } of this.attached()) await this.untilBack(name);
      if (result.code === 0 && !isRepeated) return;
      if (result.code !== 0 && tries > 1 && done?.test(result.stderr) === true) return;
      if (tries === ORDER_TRIES) throw new Error(`rsconfig ${text} is not done after ${tries} times: ${result.stderr}`);
      if (fault === null && tries > 2) this.say(`    again: ${result.stderr.trim()}`);
      if (remedy?.of.test(result.stderr) === true) await remedy.run();
      // The interrupted order had attached the volume itself, and rsiod was killed with it, so the volume is still attached. The volume
      // must be detached before the next try.
      else if (this.detachedNow !== null && ATTACHED_HERE.test(result.stderr)) await this.order(['-d', this.detachedNow]);
      else if (result.code !== 0) await sleep(AGAIN_MS);
    }
  }

  /** Waits until a volume is attached again. If rsiod was killed during a detach of the volume, the volume may stay detached. */
  private async untilBack(name: string): Promise<void> {
    if (this.detachedNow === name) return;
    await this.site.untilAttached(name);
  }

  /** For each snapshot of the mirror: the servers that have it. */
  private readonly replicasWith = new Map<string, Set<string>>();
  private detachedNow: string | null = null;
  private failedJob: string | null = null;

  private async whileDetached(volume: Volume, action: () => Promise<void>): Promise<void> {
    this.detachedNow = volume.name;
    await this.order(['-d', volume.name]);
    await action();
    await this.order(['-a', volume.name]);
    this.detachedNow = null;
    await this.site.untilAttached(volume.name);
  }

  private async snapshot(): Promise<void> {
    const volume = this.pick(this.attached());
    if (volume.snapshots.size >= SNAPSHOTS_MAX) return this.removeSnapshot();
    const snapshot = this.newName('s');
    if (volume.kind === 'mirror') await this.untilInSync();
    await this.order(['volume', 'snapshot', `${volume.name}@${snapshot}`], { done: DONE.snapshot([volume.name], snapshot) });
    volume.snapshots.set(snapshot, volume.contents.copy());
    // If a fault has interrupted the order, one server may lack the snapshot.
    if (volume.kind === 'mirror') this.replicasWith.set(snapshot, await this.serversWith(snapshot));
  }

  /** The servers whose replica has this snapshot of the mirror. Expects that at least one server has the snapshot. */
  private async serversWith(snapshot: string): Promise<Set<string>> {
    const having = new Set<string>();
    for (const server of SERVERS.slice(0, 2)) {
      const { code, stdout } = await this.site.tryOrder('volume', 'show', MIRROR, '--server', server, '--json');
      if (code === 0 && stdout.includes(`"${snapshot}"`)) having.add(server);
    }
    if (having.size === 0) throw new Error(`No server has ${MIRROR}@${snapshot}`);
    return having;
  }

  private async snapshotGroup(): Promise<void> {
    const group = PLAIN.map((name) => this.volumes.get(name)!);
    if (group.some(({ snapshots }) => snapshots.size >= SNAPSHOTS_MAX)) return this.removeSnapshot();
    const snapshot = this.newName('g');
    const names = group.map(({ name }) => `${name}@${snapshot}`);
    await this.order(['volume', 'snapshot', ...names], { done: DONE.snapshot(PLAIN, snapshot) });
    for (const volume of group) volume.snapshots.set(snapshot, volume.contents.copy());
  }

  private async removeSnapshot(): Promise<void> {
    const having = this.withSnapshots();
    if (having.length === 0) return;
    const volume = this.pick(having);
    const snapshot = this.pick([...volume.snapshots.keys()]);
    await this.order(['volume', 'remove', `${volume.name}@${snapshot}`, '--yes'], { done: DONE.snapshotRemoved(volume.name, snapshot) });
    volume.snapshots.delete(snapshot);
  }

  private async rollback(): Promise<void> {
    const having = this.withSnapshots();
    if (having.length === 0) return;
    const volume = this.pick(having);
    const [snapshot, contents] = this.pick([...volume.snapshots]);
    await this.whileDetached(volume, () => this.order(['volume', 'rollback', `${volume.name}@${snapshot}`]));
    this.replace(volume, contents.inSize(volume.contents.sizeBytes));
    await this.compare(volume.name, this.volumes.get(volume.name)!.contents);
  }

  private async clone(): Promise<void> {
    const clones = [...this.volumes.values()].filter(({ kind }) => kind === 'clone');
    if (clones.length >= CLONES_MAX) return this.removeVolume(this.pick(clones));
    const having = this.withSnapshots();
    if (having.length === 0) return;
    const volume = this.pick(having);
    const [snapshot, contents] = this.pick([...volume.snapshots]);
    const name = this.newName('c');
    await this.order(['volume', 'clone', `${volume.name}@${snapshot}`, name], { done: DONE.volume(name) });
    this.add({ name, kind: 'clone', contents: contents.copy() });
    await this.compare(name, this.volumes.get(name)!.contents);
  }

  /** Makes, refreshes, restores or removes an image in the other pool. */
  private async image(): Promise<void> {
    const of = this.volumes.get(PLAIN[1])!;
    const name = `${of.name}@${IMAGE_UNIVERSE}`;
    const image = this.volumes.get(name);
    const choice = this.random.unit();
    if (image === undefined) {
      const args = ['volume', 'image', of.name, '--universe', String(IMAGE_UNIVERSE), '--pool', POOLS[1], '--wait=2m'];
      await this.order(args, { done: DONE.volume(name) });
      await this.untilNoJobs();
      this.add({ name, kind: 'image', contents: of.contents.copy() });
    } else if (choice < 0.2) return this.removeVolume(image);
    else if (choice < 0.6) {
      await this.order(['volume', 'refresh', name, '--wait=2m']);
      await this.untilNoJobs();
      this.replace(image, of.contents.copy());
    } else {
      await this.whileDetached(of, async () => {
        await this.order(['volume', 'restore', of.name, '--from', String(IMAGE_UNIVERSE), '--wait=2m']);
        await this.untilNoJobs();
      });
      this.replace(of, image.contents.inSize(of.contents.sizeBytes));
    }
    await this.compare(name, this.volumes.get(name)!.contents);
  }

  private async removeVolume({ name }: Volume): Promise<void> {
    await this.order(['volume', 'remove', name, '--yes'], { done: DONE.volumeRemoved(name) });
    this.volumes.delete(name);
  }

  private async removeAndRestore(): Promise<void> {
    const volume = this.volumes.get(PLAIN[0])!;
    // Waits for jobs, because removing a volume that moves would end the move.
    await this.untilNoJobs();
    await this.whileDetached(volume, async () => {
      await this.order(['volume', 'remove', volume.name, '--yes'], { done: DONE.volumeRemoved(volume.name) });
      await this.order(['volume', 'restore', volume.name], { done: DONE.volumeRestored(volume.name) });
    });
    await this.compare(volume.name, volume.contents);
  }

  private async copy(): Promise<void> {
    const clones = [...this.volumes.values()].filter(({ kind }) => kind === 'clone');
    if (clones.length >= CLONES_MAX) return this.removeVolume(this.pick(clones));
    const volume = this.volumes.get(PLAIN[0])!;
    const name = this.newName('k');
    await this.order(['volume', 'copy', volume.name, name, '--wait=2m'], { done: DONE.volume(name) });
    await this.untilNoJobs();
    this.add({ name, kind: 'clone', contents: volume.contents.copy() });
    await this.compare(name, this.volumes.get(name)!.contents);
  }

  private async grow(): Promise<void> {
    const volume = this.pick(this.attached());
    const sizeBytes = volume.contents.sizeBytes + this.random.int(1, 8) * GROWTH_STEP_BYTES;
    if (sizeBytes > SIZE_MAX_BYTES) return;
    const kind = volume.kind === 'mirror' ? 'mirror' : 'volume';
    await this.order([kind, 'grow', volume.name, String(sizeBytes)], { done: DONE.grown(volume.name) });
    volume.contents.grow(sizeBytes);
    await waitFor(
      async () => (await this.site.read(volume.name)).length === sizeBytes,
      IN_SYNC_MS,
      `${volume.name} has ${sizeBytes} bytes`,
    );
  }

  /** Makes a full backup, or an incremental backup that is based on the backup of an older snapshot. */
  private async backup(): Promise<void> {
    const having = this.withSnapshots();
    if (having.length === 0 || this.backups.length >= BACKUPS_MAX) return;
    const volume = this.pick(having);
    const names = [...volume.snapshots.keys()];
    const snapshot = this.pick(names);
    if (this.backups.some((one) => one.of === volume.name && one.snapshot === snapshot)) return;
    const older = this.backups.filter(
      (one) => one.of === volume.name && names.indexOf(one.snapshot) >= 0 && names.indexOf(one.snapshot) < names.indexOf(snapshot),
    );
    const since = older.length > 0 && this.random.chance(0.8) ? ['--since', this.pick(older).snapshot] : [];
    const done = DONE.backup(`${volume.name}@${snapshot}.qcow2`);
    await this.order(['backup', `${volume.name}@${snapshot}`, this.site.backups, ...since, '--verify'], { done });
    this.backups.push({ of: volume.name, snapshot, contents: volume.snapshots.get(snapshot)!.copy() });
  }

  private async restore(): Promise<void> {
    const volume = this.pick(this.attached());
    const fitting = this.backups.filter(({ contents }) => contents.sizeBytes <= volume.contents.sizeBytes);
    if (fitting.length === 0) return;
    const { of, snapshot, contents } = this.pick(fitting);
    const file = path.join(this.site.backups, `${of}@${snapshot}.qcow2`);
    await this.whileDetached(volume, () => this.order(['restore', file, volume.name, '--yes']));
    this.replace(volume, contents.inSize(volume.contents.sizeBytes));
    await this.compare(volume.name, this.volumes.get(volume.name)!.contents);
  }

  /** Begins to move a volume to the other pool. Later rounds of writes happen while the move continues. */
  private async moveBegins(): Promise<void> {
    const volume = this.pick(PLAIN.map((name) => this.volumes.get(name)!));
    await this.untilNoJobs();
    const { stdout } = await this.site.tryOrder('volume', 'show', volume.name, '--json');
    const { pool } = (JSON.parse(stdout) as { readonly volume: { readonly pool: string | null } }).volume;
    const to = pool === POOLS[0] ? POOLS[1] : POOLS[0];
    await this.order(['volume', 'move', volume.name, '--pool', to, '--background'], { done: DONE.moved(volume.name, to) });
  }

  /** Kills a server with a replica under writes, and starts it again. */
  private async mirrorLosesServer(): Promise<void> {
    const { contents } = this.volumes.get(MIRROR)!;
    const writer = new Writers(MIRROR, contents, this.tally);
    await writer.start(this.site.client, this.random.int(1, 2 ** 30));
    const server = this.random.int(0, 1);
    this.say(`  ${SERVERS[server]} is killed under writes of the mirror`);
    await this.site.fault('server killed', server);
    await sleep(this.random.int(0, WRITES_MIN_MS));
    await writer.stop(false);
    if (writer.errors.length > 0) throw new Error(`A request was answered with an error: ${writer.errors[0]}`);
    if (this.random.chance(0.5)) await this.untilInSync();
    await this.compare(MIRROR, contents);
  }

  /** Detaches a replica, writes to the mirror, and adds a new replica. */
  private async mirrorDetach(): Promise<void> {
    await this.untilInSync();
    const { contents, snapshots } = this.volumes.get(MIRROR)!;
    const server = SERVERS[this.random.int(0, 1)]!;
    await this.detachAll(server);
    // The snapshots of the replica are removed together with the replica, and a new replica has no snapshots.
    for (const [snapshot, servers] of this.replicasWith) {
      servers.delete(server);
      if (servers.size === 0) snapshots.delete(snapshot);
    }
    const writer = new Writers(MIRROR, contents, this.tally);
    await writer.start(this.site.client, this.random.int(1, 2 ** 30));
    await sleep(WRITES_MIN_MS);
    await writer.stop(false);
    // An interrupted order may leave a volume for the new replica, which prevents the next try.
    const remedy = { of: DONE.volume(MIRROR), run: () => this.detachAll(server) };
    await this.order(['mirror', 'add', MIRROR, '--server', server], { done: DONE.replicaAdded(MIRROR, server), remedy });
    await this.untilInSync();
    await this.compare(MIRROR, contents);
  }

  /**
   * Detaches the replica at this server, and repeats this until nothing of the replica is left. Without this, a volume with the name of the
   * mirror would stay at the server, and would lack all later writes to the mirror.
   */
  private async detachAll(server: string): Promise<void> {
    const args = ['mirror', 'detach', MIRROR, '--server', server, '--volume'];
    await this.order(args, { done: DONE.replicaDetached(MIRROR), isRepeated: true });
    const { code, stdout } = await this.site.tryOrder('volume', 'show', MIRROR, '--server', server);
    if (code === 0) throw new Error(`Server ${server} still has a volume ${MIRROR}: ${stdout}`);
  }

  private async verifyMirror(): Promise<void> {
    await this.untilInSync();
    const said = await this.site.order('mirror', 'verify', MIRROR);
    if (/differ/.test(said) && !/no difference|0 .*differ|equal/i.test(said)) throw new Error(`mirror verify says: ${said}`);
    add(this.tally.orders, 'mirror verify');
  }

  private async untilInSync(): Promise<void> {
    const isInSync = async (): Promise<boolean> => {
      const { mirrors } = await this.site.client.call('mirrors', { namespace: null });
      return mirrors.length === 1 && mirrors[0]!.replicas.length === 2 && mirrors[0]!.replicas.every(({ inSync }) => inSync);
    };
    await waitFor(isInSync, IN_SYNC_MS, 'the replicas of the mirror are in sync');
  }

  private async untilNoJobs(): Promise<void> {
    const isIdle = async (): Promise<boolean> => {
      const { code, stdout } = await this.site.tryOrder('volume', 'jobs', '--server', SERVERS[0], '--json');
      if (code !== 0) return false;
      const { jobs } = JSON.parse(stdout) as { readonly jobs: readonly { readonly state: string }[] };
      const failed = jobs.find(({ state }) => state === 'failed');
      this.failedJob = failed === undefined ? null : JSON.stringify(failed);
      return failed !== undefined || jobs.every(({ state }) => state === 'done' || state === 'cancelled');
    };
    await waitFor(isIdle, JOB_MS, 'all jobs are done');
    if (this.failedJob !== null) throw new Error(`A job has failed: ${this.failedJob}`);
  }

  private async compareAny(): Promise<void> {
    const volume = this.pick([...this.volumes.values()]);
    const [snapshot, contents] =
      volume.snapshots.size > 0 && this.random.chance(0.6) ? this.pick([...volume.snapshots]) : [null, volume.contents];
    await this.compare(snapshot === null ? volume.name : `${volume.name}@${snapshot}`, contents);
  }

  private async compare(name: string, contents: Contents): Promise<void> {
    const isAttached = this.attached().some((volume) => volume.name === name);
    if (!isAttached) {
      await this.order(['-a', name, '--read-only']);
      await this.site.untilAttached(name);
    }
    const difference = contents.differs(await this.site.read(name));
    if (difference !== null) throw new Error(`DIFFERENCE in ${name}: ${difference}`);
    this.tally.compared++;
    if (!isAttached) await this.order(['-d', name]);
  }

  /** Volumes that applications use. */
  private attached(): Volume[] {
    return [...this.volumes.values()].filter(({ kind }) => kind === 'plain' || kind === 'mirror');
  }

  private withSnapshots(): Volume[] {
    return this.attached().filter(({ snapshots }) => snapshots.size > 0);
  }

  private add(volume: Omit<Volume, 'snapshots'>): void {
    this.volumes.set(volume.name, { ...volume, snapshots: new Map() });
  }

  private replace(volume: Volume, contents: Contents): void {
    this.volumes.set(volume.name, { ...volume, contents });
  }

  private pick<T>(list: readonly T[]): T {
    return this.random.pick(list);
  }

  private newName(prefix: string): string {
    return `${prefix}${++this.number}`;
  }
}

function add(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
