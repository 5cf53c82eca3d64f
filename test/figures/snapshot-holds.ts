// `npm run measure -- snapshot-holds`: measures how long writes wait for a snapshot, on XFS and btrfs, for fresh and fully fragmented volumes, for one
// volume and for a group. The log of the server says how long the server held all changes, and the writers at the client measure how long
// single writes took. Invariant: every snapshot must be made.

import { closeSync, constants, copyFileSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { printSize } from '@rsio/base/lib/units';
import { fillFile, imageDisk, memoryDisk, mountScratch } from '../support/devices/scratch-disk.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { BTRFS, ROOT_USER, XFS } from '../support/drills/needs.ts';
import { amount, choices, count, flag, size, sizes, text } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { median } from '../support/drills/table.ts';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

const BLOCK_BYTES = 8192;
const WAIT_MS = 120_000;
const PAUSE_MS = 300;
const COMMAND_MS = 600_000;
/** The measurement without a snapshot is as long as the measurement with a snapshot, but at most this long. */
const BESIDE_MAX_MS = 10_000;
const SNAPSHOTS_MIN = 3;
/**
 * A disk is this many times as large as its volumes. For disks in memory, the factor is smaller, because zram needs memory even for unused
 * blocks of a disk.
 */
const DISK_SHARE = { image: 20, memory: 5 } as const;

interface Options {
  readonly snapshots: number;
  readonly seconds: number;
  readonly writers: number;
  /** Time in ms between two writes of a writer; 0: a writer does not pause. */
  readonly intervalMs: number;
  /** Folder of the images of the disks; null: the disks are in memory. */
  readonly images: string | null;
}

/** Writes at random places until it is stopped, and keeps how long each write took. */
class Writer {
  readonly ended: Promise<void>;
  /** For each write, the time when it ended and its duration. */
  private readonly tookMs: (readonly [endedMs: number, ms: number])[] = [];
  private isStopped = false;

  constructor(nbd: NbdIo, intervalMs: number) {
    this.ended = this.run(nbd, intervalMs);
  }

  stop(): Promise<void> {
    this.isStopped = true;
    return this.ended;
  }

  /** Returns the durations of the writes that were in flight in this period. */
  during(fromMs: number, toMs: number): number[] {
    return this.tookMs.filter(([endedMs, ms]) => endedMs >= fromMs && endedMs - ms <= toMs).map(([, ms]) => ms);
  }

  private async run(nbd: NbdIo, intervalMs: number): Promise<void> {
    const data = Buffer.alloc(BLOCK_BYTES, 0x77);
    const blocks = Math.floor(nbd.sizeBytes / BLOCK_BYTES);
    while (!this.isStopped) {
      if (intervalMs > 0) await pause(intervalMs - (performance.now() % intervalMs));
      const beganMs = performance.now();
      await nbd.write(Math.floor(Math.random() * blocks) * BLOCK_BYTES, data);
      const endedMs = performance.now();
      this.tookMs.push([endedMs, endedMs - beganMs]);
    }
    nbd.close();
  }
}

/** A file system on a loop device with a pool, a server and a client. */
class Stage {
  readonly host: Host;
  private readonly mount: string;
  private names: string[] = [];

  private constructor(host: Host, mount: string) {
    [this.host, this.mount] = [host, mount];
  }

  static async make(hosts: Hosts, fileSystem: string, sizeBytes: number, images: string | null): Promise<Stage> {
    const disk = images === null ? memoryDisk(DISK_SHARE.memory * sizeBytes) : imageDisk(images, DISK_SHARE.image * sizeBytes);
    const host = hosts.host();
    const stage = new Stage(host, mountScratch(hosts, host, disk, fileSystem));
    const pool = path.join(stage.mount, 'pool');
    mkdirSync(pool);
    const network = await hosts.network(1);
    stage.host.writeConfig('rssrv', serverConfig(network, { volumes: {} }));
    await stage.host.start('rssrv');
    await stage.host.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
    stage.host.writeConfig('rsiod', clientConfig(network));
    await stage.host.start('rsiod');
    return stage;
  }

  /** Makes and attaches volumes, and writes them completely. `isFragmented`: whether the files of the volumes are fragmented. */
  async volumes(names: readonly string[], sizeBytes: number, isFragmented: boolean): Promise<void> {
    const { host } = this;
    this.names = [...names];
    for (const name of names) await host.rsadmWell('volume', 'create', name, '--size', printSize(sizeBytes));
    await host.stop('rssrv');
    for (const folder of readdirSync(path.join(this.mount, 'pool/volumes')))
      this.fill(path.join(this.mount, 'pool/volumes', folder, 'data'), sizeBytes, isFragmented);
    await host.start('rssrv');
    await host.pathsUp(1, WAIT_MS);
    await host.rsconfigWell('-a', ...names);
  }

  async writers(count: number, intervalMs: number): Promise<Writer[]> {
    const names = Array.from({ length: count }, (_unused, at) => this.names[at % this.names.length]!);
    return Promise.all(names.map(async (name) => new Writer(await NbdIo.open(this.host.rsiodPaths.nbdSocket, `osl/${name}`), intervalMs)));
  }

  /** Makes a snapshot of all volumes, and removes it after `during`. */
  async snapshot(number: number): Promise<void> {
    const result = await this.host.run('rsadm', ['volume', 'snapshot', ...this.names.map((name) => `${name}@s${number}`)], COMMAND_MS);
    if (result.code !== 0) throw new Error(result.stderr);
  }

  async removeSnapshot(number: number): Promise<void> {
    for (const name of this.names) {
      const result = await this.host.run('rsadm', ['volume', 'remove', `${name}@s${number}`, '--yes'], COMMAND_MS);
      if (result.code !== 0) throw new Error(result.stderr);
    }
  }

  /** Returns this figure of each snapshot, in ms, from the log of the server. */
  logged(figure: 'heldMs' | 'slowestMs' | 'waitedMs'): number[] {
    const lines = readFileSync(this.host.rssrvPaths.logFile, 'utf8').split('\n');
    return lines.flatMap((line) => {
      const ms = new RegExp(`"${figure}":([\\d.]+)`).exec(line)?.[1];
      return ms === undefined ? [] : [Number(ms)];
    });
  }

  private fill(file: string, sizeBytes: number, isFragmented: boolean): void {
    fillFile(file, sizeBytes);
    if (!isFragmented) return;
    // Writes every second block of a clone. Each block of the clone becomes a separate extent.
    const [base, opened] = [path.join(this.mount, 'base'), openSync(file, 'r+')];
    copyFileSync(file, base, constants.COPYFILE_FICLONE_FORCE);
    const block = Buffer.alloc(BLOCK_BYTES, 0x55);
    for (let at = 0; at < sizeBytes; at += 2 * BLOCK_BYTES) writeSync(opened, block, 0, BLOCK_BYTES, at);
    fsyncSync(opened);
    rmSync(base);
    closeSync(opened);
  }
}

interface Writes {
  readonly longest: number[];
  readonly all: number[];
}

interface Row {
  readonly fileSystem: string;
  readonly sizeBytes: number;
  /** Number of volumes. */
  readonly count: number;
  readonly isFragmented: boolean;
}

async function measure(scene: Scene, hosts: Hosts, { fileSystem, sizeBytes, count, isFragmented }: Row, options: Options): Promise<void> {
  const stage = await Stage.make(hosts, fileSystem, count * sizeBytes, options.images);
  const names = Array.from({ length: count }, (_unused, at) => `v${at}`);
  await stage.volumes(names, sizeBytes, isFragmented);
  const writers = await stage.writers(Math.max(count, options.writers), options.intervalMs);
  const [during, beside]: [Writes, Writes] = [
    { longest: [], all: [] },
    { longest: [], all: [] },
  ];
  const tookMs: number[] = [];
  const note = ({ longest, all }: Writes, fromMs: number, toMs: number): void => {
    const now = writers.flatMap((writer) => writer.during(fromMs, toMs));
    all.push(...now);
    longest.push(Math.max(0, ...now));
  };
  const startMs = performance.now();
  const isOver = (): boolean => performance.now() - startMs > options.seconds * 1000;
  for (let number = 0; number < options.snapshots && !scene.isEnding && !(number >= SNAPSHOTS_MIN && isOver()); number++) {
    await pause(PAUSE_MS);
    const beganMs = performance.now();
    await stage.snapshot(number);
    const endedMs = performance.now();
    await pause(Math.min(endedMs - beganMs, BESIDE_MAX_MS));
    note(during, beganMs, endedMs);
    note(beside, endedMs + 1, performance.now());
    tookMs.push(endedMs - beganMs);
    await stage.removeSnapshot(number);
  }
  for (const writer of writers) await writer.stop();
  scene.say(
    line(
      describe({ fileSystem, sizeBytes, count, isFragmented }),
      stage.logged('heldMs'),
      stage.logged('slowestMs'),
      stage.logged('waitedMs'),
      during.longest,
      beside.longest,
      tookMs,
    ),
  );
  scene.say(`${''.padEnd(30)}each write: p50, p99 ${p50p99(during.all)} during snapshots, ${p50p99(beside.all)} without`);
}

function describe({ fileSystem, sizeBytes, count, isFragmented }: Row): string {
  return `${fileSystem} ${count > 1 ? `${count} x ` : ''}${printSize(sizeBytes)} ${isFragmented ? 'fragmented' : 'fresh'}`;
}

function line(what: string, ...columns: readonly number[][]): string {
  const figure = (ms: number): string => ms.toFixed(1).padStart(9);
  const cells = columns.map((values) => `${figure(median(values))} ${figure(Math.max(...values))}`);
  return `${what.padEnd(26)}${String(columns[0]?.length).padStart(3)} ${cells.join('  ')}`;
}

function p50p99(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  return [0.5, 0.99].map((share) => `${sorted[Math.floor(sorted.length * share)]?.toFixed(1)} ms`).join(', ');
}

const HEADINGS = ['all changes held', 'longest clone', 'longest for a chunk', 'longest write', 'without snapshot', 'the command'];

export const drill = defineDrill({
  about: `Makes each file system on a loop device, or a zram device, and volumes of each size in a pool on it, fresh and with extents of 8 KiB. Writers of
    one client write 8 KiB at random places, one request at a time, while snapshots are made of one volume, and of a group of volumes at one
    moment.

    Prints, in ms, how long the server held all changes, the longest clone of a chunk, how long a change waited for its chunk at most, and the
    longest write during each snapshot, beside the longest writes during equal times without a snapshot, and percentiles of all writes. btrfs needs btrfs-progs, too.`,
  needs: [ROOT_USER, XFS],
  unit: 'rows',
  options: {
    fileSystems: choices('TYPE', ['xfs', 'btrfs'], 'file systems'),
    sizes: sizes('1g,16g', 'sizes of a single volume', true),
    group: count(8, 'number of volumes in a group; 0 and 1: no group', { min: 0 }),
    groupSize: size('1g', 'size of each volume of a group'),
    contents: choices('KIND', ['fresh', 'fragmented'], 'contents of the volumes'),
    snapshots: count(20, 'snapshots of a row'),
    seconds: amount(240, 'a row makes fewer snapshots, but 3 or more, after this time', { value: 'S' }),
    writers: count(4, 'number of writers; a group has at least one for each volume'),
    rate: amount(250, 'writes a second of each writer; 0: as many as go', { min: 0 }),
    memory: flag('the disks are zram devices, so that no other use of the disk is measured'),
    images: text('DIR', tmpdir(), 'folder of the images of the disks'),
  },
  async play(scene, asked) {
    const { snapshots, seconds, writers, rate, memory, images } = asked;
    if (asked.fileSystems.includes('btrfs')) await scene.need(BTRFS);
    const options = { snapshots, seconds, writers, intervalMs: rate === 0 ? 0 : 1000 / rate, images: memory ? null : images };
    scene.say(
      `${snapshots} snapshots at most, ${writers} writers with ${rate === 0 ? 'as many writes as go' : `${rate} writes a second`}; each row: number of snapshots; then median and worst, in ms`,
    );
    scene.say(`${''.padEnd(30)}${HEADINGS.map((name) => name.padStart(19)).join('  ')}`);
    const kinds = asked.contents.map((content) => content === 'fragmented');
    const groups = asked.group > 1 ? [{ sizeBytes: asked.groupSize, count: asked.group }] : [];
    const volumes = [...asked.sizes.map((sizeBytes) => ({ sizeBytes, count: 1 })), ...groups];
    for (const fileSystem of asked.fileSystems)
      for (const volume of volumes)
        for (const isFragmented of kinds) {
          if (scene.isEnding) return;
          const row = { fileSystem, ...volume, isFragmented };
          scene.round(describe(row));
          await scene.attempt((hosts) => measure(scene, hosts, row, options));
        }
  },
});
