// `npm run measure -- snapshot-holds`: measures how long writes wait for a snapshot, on XFS and btrfs, for fresh and fully fragmented volumes, for one
// volume and for a group. The log of the server says how long the server held all changes, and the writers at the client measure how long
// single writes took. Invariant: the exit code is 0 if and only if every snapshot was made.

import { spawnSync } from 'node:child_process';
import { closeSync, constants, copyFileSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { parseSize, printSize } from '@rsio/base/lib/units';
import { imageDisk, memoryDisk, type ScratchDisk } from '../support/devices/scratch-disk.ts';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

const HELP = `usage: npm run measure -- snapshot-holds [--file-systems xfs,btrfs] [--sizes 1g,16g] [--group 8] [--group-size 1g]
                                [--contents fresh,fragmented] [--snapshots N] [--seconds N] [--writers N] [--rate N]
                                [--memory | --images DIR]

Makes each file system on a loop device, or a zram device (as root), and volumes of each size in a pool on it, fresh and with extents of 8 KiB. Writers of one
client write 8 KiB at random places, one request at a time and --rate writes a second each (default 250; 0: as many as go), while N snapshots (default 20) are made of one volume, and of a group of
volumes at one moment; a row makes fewer, but 3 or more, after --seconds (default 240). Prints, in ms, how long the server held all changes,
the longest clone of a chunk, how long a change waited for its chunk at most, and the longest write during each snapshot, beside the longest
writes during equal times without a snapshot, and percentiles of all writes. The images of the disks are files in DIR (default: a temporary folder). --memory: the disks are
zram devices, so that no other program's use of the disk is measured.
`;
const BLOCK_BYTES = 8192;
const FILL_BYTES = 4 << 20;
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
  private readonly disk: ScratchDisk;
  private names: string[] = [];

  private constructor(host: Host, disk: ScratchDisk) {
    [this.host, this.mount, this.disk] = [host, host.file('disk'), disk];
  }

  static async make(hosts: Hosts, fileSystem: string, sizeBytes: number, images: string | null): Promise<Stage> {
    const disk = images === null ? memoryDisk(DISK_SHARE.memory * sizeBytes) : imageDisk(images, DISK_SHARE.image * sizeBytes);
    if (disk === null) throw new Error('This machine has no zram');
    const stage = new Stage(hosts.host(), disk);
    mkdirSync(stage.mount);
    disk.format(fileSystem);
    disk.mount(stage.mount);
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

  async end(): Promise<void> {
    // Ignores an error, because after a failure a daemon may no longer run.
    for (const program of ['rsiod', 'rssrv'] as const) await this.host.stop(program).catch(() => undefined);
    spawnSync('umount', ['--lazy', this.mount], { stdio: 'inherit' });
    this.disk.remove();
  }

  private fill(file: string, sizeBytes: number, isFragmented: boolean): void {
    const opened = openSync(file, 'r+');
    for (let at = 0; at < sizeBytes; at += FILL_BYTES) writeSync(opened, Buffer.alloc(FILL_BYTES, 1 + (at % 251)), 0, FILL_BYTES, at);
    fsyncSync(opened);
    if (isFragmented) {
      // Writes every second block of a clone. Each block of the clone becomes a separate extent.
      const base = path.join(this.mount, 'base');
      copyFileSync(file, base, constants.COPYFILE_FICLONE_FORCE);
      const block = Buffer.alloc(BLOCK_BYTES, 0x55);
      for (let at = 0; at < sizeBytes; at += 2 * BLOCK_BYTES) writeSync(opened, block, 0, BLOCK_BYTES, at);
      fsyncSync(opened);
      rmSync(base);
    }
    closeSync(opened);
  }
}

interface Writes {
  readonly longest: number[];
  readonly all: number[];
}

async function measure(fileSystem: string, sizeBytes: number, count: number, isFragmented: boolean, options: Options): Promise<void> {
  const hosts = new Hosts();
  let stage: Stage | null = null;
  try {
    stage = await Stage.make(hosts, fileSystem, count * sizeBytes, options.images);
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
    for (let number = 0; number < options.snapshots && !(number >= SNAPSHOTS_MIN && isOver()); number++) {
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
    const what = `${fileSystem} ${count > 1 ? `${count} x ` : ''}${printSize(sizeBytes)} ${isFragmented ? 'fragmented' : 'fresh'}`;
    print(what, stage.logged('heldMs'), stage.logged('slowestMs'), stage.logged('waitedMs'), during.longest, beside.longest, tookMs);
    console.log(`${''.padEnd(30)}each write: p50, p99 ${p50p99(during.all)} during snapshots, ${p50p99(beside.all)} without`);
  } catch (thrown) {
    console.error(thrown);
    process.exitCode = 1;
  } finally {
    await stage?.end();
    await hosts.clean();
  }
}

function print(what: string, ...columns: number[][]): void {
  console.log(
    what.padEnd(26) +
      `${String(columns[0]?.length).padStart(3)} ` +
      columns
        .map(
          (values) =>
            `${middle(values).toFixed(1).padStart(9)} ${Math.max(...values)
              .toFixed(1)
              .padStart(9)}`,
        )
        .join('  '),
  );
}

function p50p99(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  return [0.5, 0.99].map((share) => `${sorted[Math.floor(sorted.length * share)]?.toFixed(1)} ms`).join(', ');
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const text = (value: string): { readonly type: 'string'; readonly default: string } => ({ type: 'string', default: value });
const { values } = parseArgs({
  options: {
    'file-systems': text('xfs,btrfs'),
    sizes: text('1g,16g'),
    group: text('8'),
    'group-size': text('1g'),
    contents: text('fresh,fragmented'),
    snapshots: text('20'),
    seconds: text('240'),
    writers: text('4'),
    rate: text('250'),
    images: text(tmpdir()),
    memory: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) {
  process.stdout.write(HELP);
} else {
  const numbers = [values.snapshots, values.seconds, values.writers, values.rate].map(Number);
  const [snapshots, seconds, writers, rate] = numbers as [number, number, number, number];
  const options = {
    snapshots,
    seconds,
    writers,
    intervalMs: rate === 0 ? 0 : 1000 / rate,
    images: values.memory === true ? null : values.images,
  };
  const contents = values.contents.split(',').map((content) => content === 'fragmented');
  console.log(
    `${snapshots} snapshots at most, ${writers} writers with ${rate === 0 ? 'as many writes as go' : `${rate} writes a second`}, load ${loadavg()[0]?.toFixed(1)}; each row: number of snapshots; then median and worst, in ms`,
  );
  console.log(
    `${''.padEnd(30)}${['all changes held', 'longest clone', 'longest for a chunk', 'longest write', 'without snapshot', 'the command'].map((name) => name.padStart(19)).join('  ')}`,
  );
  for (const fileSystem of values['file-systems'].split(',')) {
    for (const size of values.sizes.split(',').filter((one) => one !== ''))
      for (const isFragmented of contents) await measure(fileSystem, parseSize(size), 1, isFragmented, options);
    const group = Number(values.group);
    if (group > 1)
      for (const isFragmented of contents) await measure(fileSystem, parseSize(values['group-size']), group, isFragmented, options);
  }
}
