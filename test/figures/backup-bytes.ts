// `npm run measure -- backup-bytes`: measures the bytes that an incremental backup of a volume reads from the disk, sends over the network and writes,
// and compares them with the changed bytes. The program runs in its own network namespace, so that the counters of the loopback count only
// RSIO. Invariant: every backup must be made, and the last one, with its backing files, must have the content of its snapshot.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { printSize } from '@rsio/base/lib/units';
import { fillFile, memoryDisk, mountScratch, type ScratchDisk } from '../support/devices/scratch-disk.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { program, ROOT_USER, XFS } from '../support/drills/needs.ts';
import { amount, size, sizes } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { runWell } from '../support/programs/programs.ts';

const DISK_SHARE = 3;
const WAIT_MS = 120_000;
const COMPARE_MS = 600_000;
const SECTOR_BYTES = 512;
const MIB = 1024 ** 2;

interface Row {
  readonly what: string;
  readonly changedBytes: number;
  readonly diskBytes: number;
  readonly wireBytes: number;
  readonly fileBytes: number;
  readonly seconds: number;
}

class Site {
  readonly host: Host;
  private readonly backups: string;
  private readonly mount: string;
  private readonly disk: ScratchDisk;
  private snapshots = 0;

  constructor(hosts: Hosts, diskBytes: number) {
    [this.host, this.disk] = [hosts.host(), memoryDisk(diskBytes)];
    [this.mount, this.backups] = [mountScratch(hosts, this.host, this.disk, 'xfs'), this.host.file('backups')];
  }

  async prepare(hosts: Hosts, sizeBytes: number): Promise<void> {
    const { host } = this;
    mkdirSync(this.backups);
    mkdirSync(path.join(this.mount, 'pool'));
    const network = await hosts.network(1);
    host.writeConfig('rssrv', serverConfig(network, { volumes: {}, rights: { 'big-2': 'manage' } }));
    await host.start('rssrv');
    await host.rsadmWell('pool', 'add', 'fast', path.join(this.mount, 'pool'), '--reserve', '0%');
    await host.rsadmWell('volume', 'create', 'db', '--size', printSize(sizeBytes));
    await host.stop('rssrv');
    const [folder = ''] = readdirSync(path.join(this.mount, 'pool/volumes'));
    fillFile(path.join(this.mount, 'pool/volumes', folder, 'data'), sizeBytes);
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

function line({ what, changedBytes, diskBytes, wireBytes: wire, fileBytes, seconds }: Row): string {
  const part = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB (${(bytes / changedBytes).toFixed(2)})`;
  return cells([what, `${(changedBytes / MIB).toFixed(1)} MiB`, part(diskBytes), part(wire), part(fileBytes), `${seconds.toFixed(1)} s`]);
}

function cells(all: readonly string[]): string {
  return all
    .map((cell) => cell.padEnd(22))
    .join('')
    .trimEnd();
}

async function play(scene: Scene, asked: { size: number; percent: number; blocks: readonly number[] }): Promise<void> {
  scene.say('Bytes, and their ratio to what has changed');
  const site = new Site(scene.hosts, DISK_SHARE * asked.size);
  await site.prepare(scene.hosts, asked.size);
  scene.say(cells(['backup of', 'changed', 'read from disk', 'on the wire', 'written', 'time']));
  scene.round('full backup');
  scene.say(line(await site.backUp(`all of ${printSize(asked.size)}`, asked.size)));
  for (const blockBytes of asked.blocks) {
    scene.round(`${printSize(blockBytes)} at random`);
    const changedBytes = await site.change((asked.size * asked.percent) / 100, blockBytes);
    scene.say(line(await site.backUp(`${printSize(blockBytes)} at random`, changedBytes)));
  }
  await site.compare();
  scene.say('The last backup equals its snapshot.');
}

export const drill = defineDrill({
  about: `Fills a volume on XFS on a zram device, makes a snapshot and a full backup of it, and for each size of blocks changes a part of the volume at
    random places, makes a snapshot, and a backup of what has changed since the snapshot before. Before each backup, the server is stopped and
    its disk mounted again, so that nothing is in the cache.

    Prints what was read from the disk, sent and received by TCP with all headers, and written to the backup. At the end, qemu-img compares the
    last backup with its snapshot.`,
  needs: [ROOT_USER, XFS, program('qemu-img', 'qemu-utils'), program('ip', 'iproute2')],
  unit: 'backups',
  own: 'network',
  endsAtOnce: true,
  options: {
    size: size('10g', 'size of the volume'),
    percent: amount(1, 'changed part of the volume', { max: 100 }),
    blocks: sizes('8k,64k,1m', 'sizes of the changed blocks'),
  },
  play,
});
