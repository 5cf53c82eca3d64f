// `npm run snapshot-holds`: how long writes wait for a snapshot, on XFS and btrfs, for fresh and fully fragmented volumes, alone and in a
// group. The server's log says how long it held all changes; the client's writers say how long single writes took. Invariant: the exit code
// is 0 exactly when every snapshot was made.

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { parseSize, printSize } from '@rsio/common/lib/units';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

const HELP = `usage: npm run snapshot-holds -- [--file-systems xfs,btrfs] [--sizes 1g,16g] [--group 8] [--group-size 1g]
                                [--snapshots N] [--writers N] [--images DIR]

Makes each file system on a loop device (as root), and volumes of each size in a pool on it, fresh and with extents of 8 KiB. Writers of one
client write 8 KiB at random places, one request at a time each, while N snapshots (default 20) are made of one volume, and of a group of
volumes at one moment. Prints, in ms, how long the server held all changes, how long a change waited for its chunk at most, and the longest write
during each snapshot, beside the longest writes during equal times without a snapshot. The images of the disks are files in DIR (default: a temporary folder).
`;
const BLOCK_BYTES = 8192;
const FILL_BYTES = 4 << 20;
const WAIT_MS = 120_000;
const PAUSE_MS = 300;

interface Options {
  readonly snapshots: number;
  readonly writers: number;
  readonly images: string;
}

/** Writes at random places until it is stopped, and keeps how long each write took. */
class Writer {
  readonly ended: Promise<void>;
  /** Pairs: when a write ended, and how long it took. */
  private readonly tookMs: (readonly [endedMs: number, ms: number])[] = [];
  private isStopped = false;

  constructor(nbd: NbdIo) {
    this.ended = this.run(nbd);
  }

  stop(): Promise<void> {
    this.isStopped = true;
    return this.ended;
  }

  /** The longest write that was in progress in this time. */
  longest(fromMs: number, toMs: number): number {
    const during = this.tookMs.filter(([endedMs, ms]) => endedMs >= fromMs && endedMs - ms <= toMs);
    return Math.max(0, ...during.map(([, ms]) => ms));
  }

  private async run(nbd: NbdIo): Promise<void> {
    const data = Buffer.alloc(BLOCK_BYTES, 0x77);
    const blocks = Math.floor(nbd.sizeBytes / BLOCK_BYTES);
    while (!this.isStopped) {
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
  private readonly disk: string;
  private names: string[] = [];

  private constructor(host: Host, images: string) {
    this.host = host;
    [this.mount, this.disk] = [host.file('disk'), path.join(images, `rsio-${process.pid}.img`)];
  }

  static async make(hosts: Hosts, fileSystem: string, sizeBytes: number, images: string): Promise<Stage> {
    const stage = new Stage(hosts.host(), images);
    mkdirSync(stage.mount);
    writeFileSync(stage.disk, '');
    truncateSync(stage.disk, sizeBytes);
    command(`mkfs.${fileSystem}`, fileSystem === 'btrfs' ? '-f' : '-f', stage.disk);
    command('mount', '-o', 'loop', stage.disk, stage.mount);
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

  /** Attached volumes that are full, and fragmented if asked. */
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

  async writers(count: number): Promise<Writer[]> {
    const names = Array.from({ length: count }, (_unused, at) => this.names[at % this.names.length]!);
    return Promise.all(names.map(async (name) => new Writer(await NbdIo.open(this.host.rsiodPaths.nbdSocket, `osl/${name}`))));
  }

  /** Makes a snapshot of all volumes, and removes it after `during`. */
  async snapshot(number: number): Promise<void> {
    await this.host.rsadmWell('volume', 'snapshot', ...this.names.map((name) => `${name}@s${number}`));
  }

  async removeSnapshot(number: number): Promise<void> {
    for (const name of this.names) await this.host.rsadmWell('volume', 'remove', `${name}@s${number}`, '--yes');
  }

  /** A figure of each snapshot in the server's log, in ms. */
  logged(figure: 'heldMs' | 'waitedMs'): number[] {
    const lines = readFileSync(this.host.rssrvPaths.logFile, 'utf8').split('\n');
    return lines.flatMap((line) => {
      const ms = new RegExp(`"${figure}":([\\d.]+)`).exec(line)?.[1];
      return ms === undefined ? [] : [Number(ms)];
    });
  }

  async end(): Promise<void> {
    // After a failure, one of them may not be there.
    for (const program of ['rsiod', 'rssrv'] as const) await this.host.stop(program).catch(() => undefined);
    spawnSync('umount', ['--lazy', this.mount], { stdio: 'inherit' });
    rmSync(this.disk, { force: true });
  }

  private fill(file: string, sizeBytes: number, isFragmented: boolean): void {
    const opened = openSync(file, 'r+');
    for (let at = 0; at < sizeBytes; at += FILL_BYTES) writeSync(opened, Buffer.alloc(FILL_BYTES, 1 + (at % 251)), 0, FILL_BYTES, at);
    fsyncSync(opened);
    if (isFragmented) {
      // Every second block becomes the file's own, so that each block is an extent.
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

async function measure(fileSystem: string, sizeBytes: number, count: number, isFragmented: boolean, options: Options): Promise<void> {
  const hosts = new Hosts();
  let stage: Stage | null = null;
  try {
    stage = await Stage.make(hosts, fileSystem, 20 * count * sizeBytes, options.images);
    const names = Array.from({ length: count }, (_unused, at) => `v${at}`);
    await stage.volumes(names, sizeBytes, isFragmented);
    const writers = await stage.writers(Math.max(count, options.writers));
    const [during, beside, tookMs]: [number[], number[], number[]] = [[], [], []];
    const longest = (fromMs: number, toMs: number): number => Math.max(...writers.map((writer) => writer.longest(fromMs, toMs)));
    for (let number = 0; number < options.snapshots; number++) {
      await pause(PAUSE_MS);
      const beganMs = performance.now();
      await stage.snapshot(number);
      const endedMs = performance.now();
      await pause(endedMs - beganMs);
      during.push(longest(beganMs, endedMs));
      beside.push(longest(endedMs + 1, performance.now()));
      tookMs.push(endedMs - beganMs);
      await stage.removeSnapshot(number);
    }
    for (const writer of writers) await writer.stop();
    const what = `${fileSystem} ${count > 1 ? `${count} x ` : ''}${printSize(sizeBytes)} ${isFragmented ? 'fragmented' : 'fresh'}`;
    print(what, stage.logged('heldMs'), stage.logged('waitedMs'), during, beside, tookMs);
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

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function command(program: string, ...words: readonly string[]): void {
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`);
}

const text = (value: string): { readonly type: 'string'; readonly default: string } => ({ type: 'string', default: value });
const { values } = parseArgs({
  options: {
    'file-systems': text('xfs,btrfs'),
    sizes: text('1g,16g'),
    group: text('8'),
    'group-size': text('1g'),
    snapshots: text('20'),
    writers: text('4'),
    images: text(tmpdir()),
    help: { type: 'boolean' },
  },
});
if (values.help === true) {
  process.stdout.write(HELP);
} else {
  const options = { snapshots: Number(values.snapshots), writers: Number(values.writers), images: values.images };
  console.log(`${options.snapshots} snapshots, ${options.writers} writers, load ${loadavg()[0]?.toFixed(1)}; each: median, worst, in ms`);
  console.log(
    `${''.padEnd(26)}${['all changes held', 'longest for a chunk', 'longest write', 'without snapshot', 'the command'].map((name) => name.padStart(19)).join('  ')}`,
  );
  for (const fileSystem of values['file-systems'].split(',')) {
    for (const size of values.sizes.split(',').filter((one) => one !== ''))
      for (const isFragmented of [false, true]) await measure(fileSystem, parseSize(size), 1, isFragmented, options);
    const group = Number(values.group);
    if (group > 1)
      for (const isFragmented of [false, true]) await measure(fileSystem, parseSize(values['group-size']), group, isFragmented, options);
  }
}
