// `npm run measure -- backup-bytes`: measures the bytes that an incremental backup of a volume reads from the disk, sends over the network and writes,
// and compares them with the changed bytes. The program runs in its own network namespace, so that the counters of the loopback count only
// RSIO. Invariant: the exit code is 0 if and only if every backup was made, and the last one, with its backing files, has the content of
// its snapshot.

import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { parseSize, printSize } from '@rsio/base/lib/units';
import { memoryDisk, type ScratchDisk } from '../support/devices/scratch-disk.ts';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { runWell } from '../support/programs/programs.ts';

const HELP = `usage: npm run measure -- backup-bytes [--size 10g] [--percent 1] [--blocks 8k,64k,1m]

Fills a volume on XFS on a zram device (as root), makes a snapshot and a full backup of it, and for each size of blocks changes a part of the
volume at random places, makes a snapshot, and a backup of what has changed since the snapshot before. Before each backup, the server is
stopped and its disk mounted again, so that nothing is in the cache. Prints what was read from the disk, sent and received by TCP with
all headers, and written to the backup. At the end, qemu-img compares the last backup with its snapshot.
`;
const FILL_BYTES = 4 << 20;
const DISK_SHARE = 3;
const WAIT_MS = 120_000;
const COMPARE_MS = 600_000;
const [OWN_NETWORK, SECTOR_BYTES] = ['RSIO_OWN_NETWORK', 512];
const MIB = 1024 ** 2;

interface Row {
  readonly what: string;
  readonly changedBytes: number;
  readonly diskBytes: number;
  readonly wireBytes: number;
  readonly fileBytes: number;
  readonly seconds: number;
}

class Scene {
  readonly host: Host;
  readonly backups: string;
  private readonly mount: string;
  private readonly disk: ScratchDisk;
  private snapshots = 0;

  constructor(host: Host, disk: ScratchDisk) {
    this.host = host;
    this.disk = disk;
    [this.mount, this.backups] = [host.file('disk'), host.file('backups')];
  }

  async prepare(hosts: Hosts, sizeBytes: number): Promise<void> {
    const { host } = this;
    mkdirSync(this.mount);
    mkdirSync(this.backups);
    this.disk.format('xfs');
    this.disk.mount(this.mount);
    mkdirSync(path.join(this.mount, 'pool'));
    const network = await hosts.network(1);
    host.writeConfig('rssrv', serverConfig(network, { volumes: {}, rights: { 'big-2': 'manage' } }));
    await host.start('rssrv');
    await host.rsadmWell('pool', 'add', 'fast', path.join(this.mount, 'pool'), '--reserve', '0%');
    await host.rsadmWell('volume', 'create', 'db', '--size', printSize(sizeBytes));
    await host.stop('rssrv');
    const [folder = ''] = readdirSync(path.join(this.mount, 'pool/volumes'));
    fill(path.join(this.mount, 'pool/volumes', folder, 'data'), sizeBytes);
    await host.start('rssrv');
    host.writeConfig('rsiod', clientConfig(network));
    await host.start('rsiod');
    await host.pathsUp(1, WAIT_MS);
    await host.rsconfigWell('-a', 'db');
  }

  /** Makes a snapshot and its backup. */
  async backUp(what: string, changedBytes: number): Promise<Row> {
    const { host } = this;
    const number = ++this.snapshots;
    await host.rsadmWell('volume', 'snapshot', `db@s${number}`);
    await host.stop('rssrv');
    spawnUmount(this.mount);
    this.disk.mount(this.mount);
    await host.start('rssrv');
    await host.pathsUp(1, WAIT_MS);
    const [disk, wire, beganMs] = [this.disk.readBytes(), wireBytes(), performance.now()];
    const since = number === 1 ? [] : ['--since', `s${number - 1}`];
    const done = await host.run('rsconfig', ['backup', `db@s${number}`, this.backups, ...since, '--json'], COMPARE_MS);
    if (done.code !== 0) throw new Error(done.stderr);
    const { file } = JSON.parse(done.stdout) as { readonly file: string };
    return {
      what,
      changedBytes,
      diskBytes: this.disk.readBytes() - disk,
      wireBytes: wireBytes() - wire,
      fileBytes: statSync(file).blocks * SECTOR_BYTES,
      seconds: (performance.now() - beganMs) / 1000,
    };
  }

  /** Changes blocks at random places. Returns the number of changed bytes. */
  async change(sizeBytes: number, blockBytes: number): Promise<number> {
    const nbd = await NbdIo.open(this.host.rsiodPaths.nbdSocket, 'osl/db');
    const places = new Set<number>();
    while (places.size * blockBytes < sizeBytes) places.add(Math.floor(Math.random() * (nbd.sizeBytes / blockBytes)));
    let value = 0;
    for (const place of places) await nbd.write(place * blockBytes, Buffer.alloc(blockBytes, 1 + (++value % 255)));
    await nbd.flush();
    nbd.close();
    return places.size * blockBytes;
  }

  async compare(): Promise<void> {
    const { host, snapshots } = this;
    await host.rsconfigWell('-a', `db@s${snapshots}`);
    const words = [
      'compare',
      '-f',
      'qcow2',
      '-F',
      'raw',
      path.join(this.backups, `db@s${snapshots}.qcow2`),
      host.nbdUri(`osl/db@s${snapshots}`),
    ];
    await runWell('qemu-img', words, { cwd: host.root, timeoutMs: COMPARE_MS });
  }

  async end(): Promise<void> {
    for (const program of ['rsiod', 'rssrv'] as const) await this.host.stop(program).catch(() => undefined);
    spawnSync('umount', ['--lazy', this.mount]);
    this.disk.remove();
  }
}

function fill(file: string, sizeBytes: number): void {
  const opened = openSync(file, 'r+');
  for (let at = 0; at < sizeBytes; at += FILL_BYTES) writeSync(opened, Buffer.alloc(FILL_BYTES, 1 + (at % 251)), 0, FILL_BYTES, at);
  fsyncSync(opened);
  closeSync(opened);
}

function spawnUmount(directory: string): void {
  const { status, stderr } = spawnSync('umount', [directory], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

/** Bytes that went over the loopback of this namespace, with the headers of IP and TCP. */
function wireBytes(): number {
  const line =
    readFileSync('/proc/self/net/dev', 'utf8')
      .split('\n')
      .find((one) => one.includes('lo:')) ?? '';
  return Number(line.trim().split(/[ :]+/)[1]);
}

async function measure(sizeBytes: number, share: number, blocks: readonly number[]): Promise<void> {
  const disk = memoryDisk(DISK_SHARE * sizeBytes);
  if (disk === null) throw new Error('This machine has no zram');
  const hosts = new Hosts();
  const scene = new Scene(hosts.host(), disk);
  try {
    await scene.prepare(hosts, sizeBytes);
    print(['backup of', 'changed', 'read from disk', 'on the wire', 'written', 'time']);
    show(await scene.backUp(`all of ${printSize(sizeBytes)}`, sizeBytes));
    for (const blockBytes of blocks) {
      const changedBytes = await scene.change(sizeBytes * share, blockBytes);
      show(await scene.backUp(`${printSize(blockBytes)} at random`, changedBytes));
    }
    await scene.compare();
    console.log('The last backup equals its snapshot.');
  } finally {
    await scene.end();
    await hosts.clean();
  }
}

function show({ what, changedBytes, diskBytes, wireBytes: wire, fileBytes, seconds }: Row): void {
  const part = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB (${(bytes / changedBytes).toFixed(2)})`;
  print([what, `${(changedBytes / MIB).toFixed(1)} MiB`, part(diskBytes), part(wire), part(fileBytes), `${seconds.toFixed(1)} s`]);
}

function print(cells: readonly string[]): void {
  console.log(
    cells
      .map((cell) => cell.padEnd(22))
      .join('')
      .trimEnd(),
  );
}

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '10g' },
    percent: { type: 'string', default: '1' },
    blocks: { type: 'string', default: '8k,64k,1m' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) {
  process.stdout.write(HELP);
} else if (process.env[OWN_NETWORK] === undefined) {
  const inside = [
    '--net',
    'sh',
    '-c',
    'ip link set lo up && exec "$@"',
    'sh',
    process.execPath,
    ...process.execArgv,
    ...process.argv.slice(1),
  ];
  process.exitCode = spawnSync('unshare', inside, { stdio: 'inherit', env: { ...process.env, [OWN_NETWORK]: '1' } }).status ?? 1;
} else {
  console.log(`Bytes, and their ratio to what has changed; load ${loadavg()[0]?.toFixed(1)}`);
  await measure(parseSize(values.size), Number(values.percent) / 100, values.blocks.split(',').map(parseSize));
}
