// A server makes and removes snapshots while a client writes to two volumes. At a random moment, the power of the disk with the pool is
// cut, or processes of the server are killed. After each fault, volumes and snapshots are compared with the answers of the server.
// Invariants: all random choices come from the seed; a wrong result is reported as a problem, which is a text; only a failure that stops
// the drill is thrown as an error.

import { closeSync, fsyncSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callServer } from '@rsio/api/rssrv/call-server';
import { toRsError } from '@rsio/base/lib/errors';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { ReflinkKind } from '../devices/reflink-disk.ts';
import { emptyRun, serverFreezer, killServer } from '../faults/machine-crash.ts';
import { clientConfig, serverConfig } from '../hosts/configs.ts';
import { emptyPool } from '../hosts/empty-pool.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { waitFor } from '../programs/wait-for.ts';
import { commonMoment } from './block-history.ts';
import { CutDisk } from './cut-disk.ts';
import { MOVED, MovedVolume, MoveFailed } from './moved-volume.ts';
import {
  BEFORE_ROLLBACK,
  type Change,
  COLD,
  digestOf,
  isBusy,
  keyOf,
  KnownState,
  type KnownSnapshot,
  type Present,
  presentOn,
  SnapshotChanges,
  WRITTEN,
} from './snapshot-changes.ts';
import { EventClock, WrittenVolume } from './written-volume.ts';

const MIB = 1024 ** 2;
const POOLS = ['fast', 'slow'] as const;
const BLOCK_BYTES = 4096;
/** Sizes of the volumes; db is fragmented, so that the server clones it in chunks. */
const SIZES: Readonly<Record<string, number>> = { db: 16 * MIB, log: 4 * MIB, [COLD]: 4 * MIB };
const MOVED_BYTES = 16 * MIB;
/** Share of moves among the changes, in drills with moves. */
const MOVE_SHARE = 0.4;
const COLD_WRITES = 8;
/** Maximum number of changes that a round makes before the change at which the fault comes. */
const CHANGES_MAX = 3;
/** The drill requests the fault within this part of the usual time of a change, because the fault happens a little after its request. */
const STRIKE_SPARE = 0.7;
/**
 * Share of the rounds in which the fault comes just after the answer to a change. A fault just after the answer shows whether the server
 * has answered without a sync that it should have made.
 */
const AT_ANSWER_SHARE = 0.25;
const CHANGE_MS = 60;
const FIRST_SNAPSHOTS = 2;
/** After rssrv has lost its disk or a server process, the drill lets it run for at most this time. */
const LIVES_MAX_MS = 150;
const AGAIN_MS = 50;
const LOG_LINES = 25;
const READY_MS = 5_000;
const DISK_FAILED: readonly string[] = ['E_SYSTEM', 'E_VOLUME', 'E_POOL'];
/** Space that metadata may take in addition to the files. */
const METADATA_MAX_BYTES = 3 * MIB;

export const FAULTS = ['power cut', 'disk lost', 'kill of all', 'kill of the listener', 'kill of a server process'] as const;
export type Fault = (typeof FAULTS)[number];

export interface RoundResult {
  /** The change that has no answer because of the fault; null: the fault came between two changes. */
  readonly open: Pick<Change, 'kind' | 'text'> | null;
  /** Number of changes that were answered before the fault. */
  readonly changes: number;
  readonly problems: readonly string[];
}

export class CutDrill {
  /** Number of refusals: of changes because the server was busy, and of snapshots because the client had not yet replayed lost writes. */
  busy = 0;
  private readonly host: Host;
  /** Disks of the pools, in the order of POOLS. Only drills with moves have a second disk. */
  private readonly disks: readonly CutDisk[];
  private readonly random: SeededRandom;
  private readonly clock = new EventClock();
  private readonly state = new KnownState();
  private readonly changes: SnapshotChanges;
  private readonly written: readonly WrittenVolume[];
  private moved: MovedVolume | null = null;
  /** For each volume: its data file. */
  private files: ReadonlyMap<string, string> = new Map();
  private readonly unjudged = new Set<KnownSnapshot>();
  private problems: string[] = [];
  /** For each pool: its directory. */
  private readonly pools = new Map<string, string>();
  private isStruck = false;
  /** For each kind of change: the usual time from request to answer, in ms. */
  private readonly tookMs = {
    snapshot: CHANGE_MS,
    group: CHANGE_MS,
    remove: CHANGE_MS,
    clone: CHANGE_MS,
    rollback: CHANGE_MS,
    move: CHANGE_MS,
  };
  private count = 0;
  private emptyBytes = 0;
  private isSpaceExact = true;

  private constructor(host: Host, disks: readonly CutDisk[], seed: number) {
    this.host = host;
    this.disks = disks;
    this.random = new SeededRandom(seed);
    this.changes = new SnapshotChanges(host.rssrvPaths.controlSocket, this.state, this.clock, this.random);
    this.written = WRITTEN.map((name) => new WrittenVolume(name, SIZES[name]!, this.clock));
    if (disks.length > 1) this.written = [...this.written, new WrittenVolume(MOVED, MOVED_BYTES, this.clock)];
  }

  /** `moves`: a further volume moves between two pools, each on its own disk. Returns null if this machine cannot make the disk. */
  static async begin(hosts: Hosts, seed: number, moves = false, kind: ReflinkKind = 'xfs'): Promise<CutDrill | null> {
    const host = hosts.host();
    const disks: CutDisk[] = [];
    for (const name of moves ? POOLS : POOLS.slice(0, 1)) {
      const disk = CutDisk.make(hosts, host, undefined, name, kind);
      if (disk === null) return null;
      disks.push(disk);
    }
    const drill = new CutDrill(host, disks, seed);
    // btrfs frees and counts blocks later, and in larger pieces.
    drill.isSpaceExact = kind !== 'btrfs';
    await drill.prepare(hosts);
    return drill;
  }

  /** Number of I/Os of the client that failed. I/O may fail only if the disk was lost under a running server. */
  get ioErrors(): number {
    return this.written.reduce((sum, { errors }) => sum + errors, 0);
  }

  get answered(): number {
    return this.written.reduce((sum, volume) => sum + volume.answered, 0);
  }

  /** The last messages of both daemons. */
  get logs(): string {
    const lastOf = (program: 'rssrv' | 'rsiod'): string[] => this.host.log(program).trimEnd().split('\n').slice(-LOG_LINES);
    return (['rssrv', 'rsiod'] as const).flatMap((program) => lastOf(program).map((line) => `  ${program}: ${line}\n`)).join('');
  }

  /** Makes one fault at a random moment, and compares everything afterwards. */
  async round(fault: Fault): Promise<RoundResult> {
    const { random, ioErrors } = this;
    [this.problems, this.count, this.isStruck] = [[], 0, false];
    await this.writeCold();
    // A flush of the client also makes changes of the file system durable. A missing sync of the server therefore shows only in rounds
    // without flushes.
    const flushes = random.chance(0.5);
    for (const volume of this.written) volume.start(random.int(1, MIB), flushes);
    for (const volume of this.written) await volume.goesOn();
    for (let number = random.int(0, CHANGES_MAX); number > 0; number--) await this.make(this.nextChange());
    const change = this.nextChange();
    const freeze = serverFreezer(this.host);
    const isAtAnswer = random.chance(AT_ANSWER_SHARE);
    const cutAtAnswer = (): void => {
      if (fault === 'power cut') freeze();
      this.isStruck = true;
    };
    const making = isAtAnswer ? this.make(change, cutAtAnswer) : this.make(change);
    // `making` is awaited only after the fault. This handler prevents an earlier rejection from counting as unhandled.
    making.catch(() => undefined);
    if (isAtAnswer) await making;
    else await sleep(random.unit() * STRIKE_SPARE * this.tookMs[change.kind]);
    this.isStruck = true;
    if (fault === 'power cut' || fault === 'kill of all') freeze();
    await this.strike(fault);
    const open = await making;
    if (fault === 'power cut' || fault === 'disk lost') await this.powerOn();
    if (fault !== 'kill of a server process') await this.host.start('rssrv');
    await waitFor(() => this.isReady(), READY_MS, 'The pool is ready');
    await this.findOut(open, fault);
    if (random.chance(0.5)) await this.snapshotSoon();
    for (const volume of this.written) await volume.goesOn();
    for (const volume of this.written) await volume.stop();
    await this.judge();
    if (this.ioErrors > ioErrors && fault !== 'disk lost')
      this.problems.push(`${this.ioErrors - ioErrors} I/Os were answered with an error`);
    return { open, changes: this.count, problems: this.problems };
  }

  /** Removes all snapshots and clones. Returns a problem if the file system does not get the space of snapshots and clones back. */
  async end(): Promise<readonly string[]> {
    this.problems = [];
    for (const volume of this.written) volume.disconnect();
    for (const { volume, name } of this.state.snapshots.values())
      await callServer(this.host.rssrvPaths.controlSocket, 'volume-snapshot-remove', {
        name: volume,
        universe: 0,
        snapshot: name,
        request: null,
      });
    for (const name of this.state.clones.keys())
      await callServer(this.host.rssrvPaths.controlSocket, 'volume-remove', { name, universe: 0, request: null });
    await killServer(this.host);
    // Deletes the files of the removed volumes at once, because the server would keep them for a day.
    for (const pool of this.pools.values())
      for (const id of readdirSync(path.join(pool, 'removed'))) rmSync(path.join(pool, 'removed', id), { recursive: true });
    for (const disk of this.disks) await disk.mount();
    const sizes = [...Object.values(SIZES), ...(this.moved === null ? [] : [MOVED_BYTES])];
    const [usedBytes, contentBytes] = [this.usedBytes - this.emptyBytes, sizes.reduce((sum, size) => sum + size)];
    if (this.isSpaceExact && usedBytes > contentBytes + METADATA_MAX_BYTES * this.disks.length)
      this.problems.push(`${usedBytes} bytes are in use without snapshots, and the volumes have ${contentBytes}`);
    return this.problems;
  }

  private async prepare(hosts: Hosts): Promise<void> {
    const { host } = this;
    const socket = host.rssrvPaths.controlSocket;
    this.emptyBytes = this.usedBytes;
    for (const [index] of this.disks.entries()) this.pools.set(POOLS[index]!, await emptyPool(host, path.join(POOLS[index]!, 'pool')));
    const network = await hosts.network(1);
    const pools = Object.fromEntries([...this.pools].map(([name, directory]) => [name, { path: directory, reserve: '0%' }]));
    host.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools }));
    await host.start('rssrv');
    const sizes = { ...SIZES, ...(this.pools.size > 1 ? { [MOVED]: MOVED_BYTES } : {}) };
    for (const [name, sizeBytes] of Object.entries(sizes))
      await host.rsadmWell('volume', 'create', name, '--size', `${sizeBytes / MIB}m`, '--pool', POOLS[0]);
    ({ volumes: this.files } = await presentOn(socket));
    const moved = this.files.get(MOVED);
    if (moved !== undefined) this.moved = new MovedVolume(socket, this.pools, path.basename(path.dirname(moved)));
    const db = openSync(this.fileOf('db'), 'r+');
    for (let offset = 0; offset < SIZES['db']!; offset += 2 * BLOCK_BYTES) writeSync(db, Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, offset);
    fsyncSync(db);
    closeSync(db);
    host.writeConfig('rsiod', clientConfig(network, { defaults: { stall: 'forever' } }));
    await host.start('rsiod');
    await host.pathsUp(1);
    await host.rsconfigWell('-a', ...this.written.map(({ name }) => name));
    for (const volume of this.written) await volume.connect(host);
    await this.writeCold();
    for (let number = 0; number < FIRST_SNAPSHOTS; number++) await this.isDone(this.changes.snapshots([...WRITTEN, COLD]));
  }

  /** Writes to the cold volume, as if another client had used it. */
  private async writeCold(): Promise<void> {
    const descriptor = openSync(this.fileOf(COLD), 'r+');
    for (let number = 0; number < COLD_WRITES; number++) {
      const block = this.random.int(0, SIZES[COLD]! / BLOCK_BYTES - 1);
      writeSync(descriptor, Buffer.alloc(BLOCK_BYTES, `${this.random.unit()}`), 0, BLOCK_BYTES, block * BLOCK_BYTES);
    }
    fsyncSync(descriptor);
    closeSync(descriptor);
    this.state.cold = await digestOf(this.fileOf(COLD));
  }

  private nextChange(): Change {
    return this.moved !== null && this.random.chance(MOVE_SHARE) ? this.moved.move() : this.changes.next();
  }

  private get usedBytes(): number {
    return this.disks.reduce((sum, disk) => sum + disk.usedBytes(), 0);
  }

  /** Makes a change. Returns the change if its answer is missing because of the fault, otherwise null. */
  private async make(change: Change, answered = (): void => undefined): Promise<Change | null> {
    const startMs = performance.now();
    try {
      const answer = await change.ask();
      answered();
      if (!this.isStruck) this.tookMs[change.kind] = (this.tookMs[change.kind] + performance.now() - startMs) / 2;
      await this.done(change, answer);
      this.count++;
    } catch (error) {
      if (this.isStruck) return change;
      if (!isBusy(error)) throw error;
      this.busy++;
    }
    return null;
  }

  private async done(change: Change, answer: unknown): Promise<void> {
    const { kept } = answer as { readonly kept?: { readonly snapshot: string } | null };
    const makes = kept ? change.makes.map((one) => ({ ...one, name: kept.snapshot })) : change.makes;
    await this.happened({ ...change, makes });
  }

  private async happened(change: Change): Promise<void> {
    const to = this.clock.now();
    const makes = change.makes.map((one) => ({ ...one, window: one.window === null ? null : ([one.window[0], to] as const) }));
    this.state.happened({ ...change, makes });
    for (const one of makes) {
      if (one.digest !== null) continue;
      this.unjudged.add(one);
      // By rule P2, the snapshot keeps the content that it has now, when it is answered. The power may be cut while the content of the
      // snapshot is read here.
      one.digest = await digestOf(this.snapshotFile(keyOf(one))).catch(() => null);
    }
  }

  private async strike(fault: Fault): Promise<void> {
    const { host, disks, random } = this;
    switch (fault) {
      case 'power cut':
        for (const disk of disks) await disk.cut(random.chance(0.3));
        return killServer(host);
      case 'disk lost':
        for (const disk of disks) await disk.cut(random.chance(0.3));
        await sleep(random.unit() * LIVES_MAX_MS);
        return killServer(host);
      case 'kill of all':
        return killServer(host);
      case 'kill of the listener':
        await host.kill('rssrv');
        return;
      case 'kill of a server process':
        process.kill(host.worker('big-2'), 'SIGKILL');
        await sleep(random.unit() * LIVES_MAX_MS);
    }
  }

  /** Starts the machine again. A flushed write must be on the disk before the client sends it again. */
  private async powerOn(): Promise<void> {
    for (const disk of this.disks) await disk.mount();
    emptyRun(this.host);
    for (const volume of this.written) this.problems.push(...volume.afterCut(this.fileOf(volume.name)));
  }

  private async isReady(): Promise<boolean> {
    const { pools } = await callServer(this.host.rssrvPaths.controlSocket, 'pool-list', {});
    return pools.every(({ state }) => state === 'ready');
  }

  /** Finds out whether the unanswered change has happened: repeats its request, or looks for its traces on disk. */
  private async findOut(open: Change | null, fault: Fault): Promise<void> {
    const unmade = (await this.moved?.settled()) ?? [];
    // A disk that fails under a running server may end a move without success.
    if (fault !== 'disk lost') this.problems.push(...unmade);
    if (open === null) return;
    if (this.random.chance(0.5) && (await this.isDone(open, fault === 'disk lost'))) return;
    const present = await presentOn(this.host.rssrvPaths.controlSocket);
    if (await this.isMade(open, present)) await this.happened(this.named(open, present));
  }

  /**
   * Repeats the request of a change, which the server executes only once (C4). Returns false if the server was busy and has done nothing.
   * `mayHaveFailed`: the disk failed during the first request. If `mayHaveFailed` is true, the server may answer the repetition with the
   * failure of the first request.
   */
  private async isDone(change: Change, mayHaveFailed = false): Promise<boolean> {
    try {
      await this.done(change, await change.ask());
      return true;
    } catch (error) {
      if (error instanceof MoveFailed || (mayHaveFailed && DISK_FAILED.includes(toRsError(error).code))) return false;
      if (!isBusy(error)) throw new Error(`${change.text} was refused: ${(error as Error).message}`, { cause: error });
      this.busy++;
      return false;
    }
  }

  /** Takes a snapshot. The request is repeated, because the server refuses snapshots until the client has replayed lost writes. */
  private async snapshotSoon(): Promise<void> {
    const isMade = async (): Promise<boolean> => {
      if (await this.isDone(this.changes.snapshots(WRITTEN))) return true;
      await sleep(AGAIN_MS);
      return false;
    };
    await waitFor(isMade, READY_MS, 'A snapshot is possible again');
  }

  /** Whether the change has happened. Adds a problem if only a part of the change has happened. */
  private async isMade(change: Change, present: Present): Promise<boolean> {
    const { makes, removes, clones, rollsTo, movesTo } = this.named(change, present);
    const traces = [
      ...makes.map((one) => present.snapshots.has(keyOf(one))),
      ...removes.map((one) => !present.snapshots.has(keyOf(one))),
      ...(clones === null ? [] : [present.volumes.has(clones.name)]),
    ];
    // A rollback has a trace only if the content of the cold volume differs before and after it.
    if (movesTo !== null) traces.push(this.moved?.place === movesTo);
    if (rollsTo !== null && rollsTo !== this.state.cold) traces.push((await digestOf(this.fileOf(COLD))) === rollsTo);
    if (new Set(traces).size > 1) this.problems.push(`${change.text} has happened in part: ${traces.join(', ')}`);
    return traces[0] === true;
  }

  /** Returns the change with the name that the server has chosen for the snapshot of the content before a rollback. */
  private named(change: Change, { snapshots }: Present): Change {
    const key = [...snapshots.keys()].find((one) => one.startsWith(`${COLD}@${BEFORE_ROLLBACK}`) && !this.state.snapshots.has(one));
    if (change.rollsTo === null || key === undefined) return change;
    return { ...change, makes: change.makes.map((one) => ({ ...one, name: key.slice(COLD.length + 1) })) };
  }

  /** Compares the current state with the expected state. Must be called only while no lane writes. */
  private async judge(): Promise<void> {
    const socket = this.host.rssrvPaths.controlSocket;
    // Waits for jobs first, because the repetition of a move may be in progress.
    this.problems.push(...((await this.moved?.settled()) ?? []), ...(this.moved?.leftovers() ?? []));
    for (const name of this.pools.keys()) {
      const { pool } = await callServer(socket, 'pool-check', { name });
      this.problems.push(...pool.findings.map((finding) => `pool check: ${finding}`));
    }
    const present = await presentOn(socket);
    this.compare('snapshots', [...present.snapshots.keys()], [...this.state.snapshots.keys()]);
    this.compare(
      'volumes',
      [...present.volumes.keys()],
      [...Object.keys(SIZES), ...(this.moved === null ? [] : [MOVED]), ...this.state.clones.keys()],
    );
    this.lookForLeftovers(present);
    // Judges the snapshots first, because the history of writes is forgotten afterwards.
    await this.judgeSnapshots(present);
    for (const volume of this.written) this.problems.push(...volume.atRest(this.fileOf(volume.name)));
    await this.same(COLD, this.fileOf(COLD), this.state.cold);
    for (const [name, digest] of this.state.clones) await this.same(name, present.volumes.get(name), digest);
  }

  private async judgeSnapshots({ snapshots }: Present): Promise<void> {
    for (const group of new Set([...this.unjudged].map((one) => one.group))) {
      const there = [...this.unjudged].filter((one) => one.group === group && snapshots.has(keyOf(one)));
      const moments = there.flatMap((one) =>
        this.written.find(({ name }) => name === one.volume)!.momentsOf(snapshots.get(keyOf(one))!, this.problems),
      );
      const [from, to] = there[0]?.window ?? [0, 0];
      if (commonMoment(moments, from, to) === null)
        this.problems.push(`${there.map(keyOf).join(' and ')}: at no moment from ${from} to ${to} were these the contents`);
    }
    this.unjudged.clear();
    for (const [key, one] of this.state.snapshots) {
      const file = snapshots.get(key);
      if (one.digest === null && file !== undefined) one.digest = await digestOf(file);
      await this.same(key, file, one.digest);
    }
  }

  private async same(name: string, file: string | undefined, digest: string | null): Promise<void> {
    // A missing file is already a problem.
    if (file === undefined || digest === null || (await digestOf(file)) === digest) return;
    this.problems.push(`${name} has changed: ${file}`);
  }

  private lookForLeftovers({ volumes, snapshots }: Present): void {
    const folders = [...volumes.values()].map((file) => path.dirname(file));
    this.compare(
      'folders of volumes',
      [...this.pools.values()].flatMap((pool) => readdirSync(path.join(pool, 'volumes'))),
      folders.map((folder) => path.basename(folder)),
    );
    for (const folder of folders) {
      const found = (readdirSync(folder, { recursive: true }) as string[]).filter((one) => !/^snapshots(\/last-removal)?$/.test(one));
      const own = [...snapshots.values()].filter((file) => file.startsWith(`${folder}/`)).map((file) => path.relative(folder, file));
      const files = own.flatMap((file) => [file, file.replace(/data$/, 'json')]);
      this.compare(`files of ${folder}`, found, ['data', 'volume.json', ...files]);
    }
  }

  private compare(what: string, found: readonly string[], wanted: readonly string[]): void {
    const [extra, missing] = [found.filter((one) => !wanted.includes(one)), wanted.filter((one) => !found.includes(one))];
    if (extra.length > 0) this.problems.push(`${what}: nothing explains ${extra.join(', ')}`);
    if (missing.length > 0) this.problems.push(`${what}: ${missing.join(', ')} is missing`);
  }

  private fileOf(volume: string): string {
    return volume === MOVED && this.moved !== null ? this.moved.file : this.files.get(volume)!;
  }

  private snapshotFile(key: string): string {
    const [volume = '', name = ''] = key.split('@');
    return path.join(path.dirname(this.fileOf(volume)), 'snapshots', `${name}.data`);
  }
}
