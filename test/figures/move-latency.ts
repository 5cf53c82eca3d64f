// `npm run measure -- move-latency`: measures how moves of a volume between pools affect an application: it compares the latencies of fio with
// verification during moves back and forth with the latencies without moves. Invariant: fio ends at the first wrong byte or I/O error, and
// the program then prints no figures.

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { callServer } from '@rsio/api/rssrv/call-server';
import { parseSize, printSize } from '@rsio/base/lib/units';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { memoryDisk, type ScratchDisk } from '../support/devices/scratch-disk.ts';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { type FioOutcome, startFio } from '../support/io/fio.ts';

const HELP = `usage: npm run measure -- move-latency [--size 1g] [--seconds 60] [--rate 400] [--limit BYTES] [--memory]

Makes two pools, each on XFS on a loop device (as root), and a volume of which fio uses all, with verification and at most --rate writes and
reads of 8 KiB a second. Measures --seconds without a move, as long while the volume moves to and fro without a pause, and as long without
once more. --limit: most bytes a second that a move copies. --memory: the disks are zram devices, so that no other program's use of the disk is
measured.
`;
const DISK_SHARE = 4;
const POOLS = ['fast', 'slow'] as const;
const LOOK_MS = 20;
const VOLUME = { name: 'oracle', universe: 0 };

interface Moves {
  count: number;
  bytes: number;
}

async function keepMoving(host: Host, limitBytes: number | null, over: Promise<unknown>): Promise<Moves> {
  const moves: Moves = { count: 0, bytes: 0 };
  let isOver = false;
  const end = (): void => void (isOver = true);
  over.then(end, end);
  const socket = host.rssrvPaths.controlSocket;
  for (let number = 1; !isOver; number++) {
    const { job } = await callServer(socket, 'volume-move', { ...VOLUME, from: null, pool: POOLS[number % 2]!, limitBytes, request: null });
    for (;;) {
      const { jobs } = await callServer(socket, 'job-list', { id: job.id });
      const { state, reason, doneBytes } = jobs[0]!;
      if (state === 'done') {
        moves.count++;
        moves.bytes += doneBytes;
        break;
      }
      if (state !== 'waiting' && state !== 'running') throw new Error(`Job ${job.id} is ${state}: ${reason}`);
      await sleep(LOOK_MS);
    }
  }
  return moves;
}

interface Load {
  readonly sizeBytes: number;
  readonly seconds: number;
  readonly rateIops: number;
  readonly limitBytes: number | null;
}

/**
 * Makes and mounts a disk. Returns the zram device of the disk, which the caller must remove at the end. Null: the disk is on a loop
 * device.
 */
function makeDisk(hosts: Hosts, host: Host, name: string, diskBytes: number, inMemory: boolean): ScratchDisk | null {
  if (!inMemory) {
    if (makeReflinkDisk(hosts, host, diskBytes, 'xfs', name) === null) throw new Error('No XFS on a loop device here');
    return null;
  }
  const [disk, mount] = [memoryDisk(diskBytes), host.file(name)];
  if (disk === null) throw new Error('This machine has no zram');
  mkdirSync(mount);
  disk.format('xfs');
  disk.mount(mount);
  hosts.onClean(() => void spawnSync('umount', ['--lazy', mount]));
  return disk;
}

async function measure({ sizeBytes, seconds, rateIops, limitBytes }: Load, inMemory: boolean): Promise<void> {
  const disks: (ScratchDisk | null)[] = [];
  const hosts = new Hosts();
  try {
    const host = hosts.host();
    const pools: Record<string, { path: string; reserve: string }> = {};
    for (const name of POOLS) {
      disks.push(makeDisk(hosts, host, name, DISK_SHARE * sizeBytes, inMemory));
      pools[name] = { path: await emptyPool(host, path.join(name, 'pool')), reserve: '0%' };
    }
    const network = await hosts.network(1);
    host.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools }));
    await host.start('rssrv');
    await host.rsadmWell('volume', 'create', VOLUME.name, '--size', printSize(sizeBytes), '--pool', POOLS[0]);
    host.writeConfig('rsiod', clientConfig(network));
    await host.start('rsiod');
    await host.pathsUp(1);
    await host.rsconfigWell('-a', VOLUME.name);
    const load = { size: printSize(sizeBytes), blockSize: '8k', verifyBacklog: 512 };
    // Writes the volume first, because otherwise a move would have no data to copy.
    await startFio(host, `osl/${VOLUME.name}`, { ...load, seconds: 30 }).outcome;
    const fio = { ...load, rateIops, seconds };
    const before = await startFio(host, `osl/${VOLUME.name}`, fio).outcome;
    const running = startFio(host, `osl/${VOLUME.name}`, fio);
    const moves = await keepMoving(host, limitBytes, running.outcome);
    const during = await running.outcome;
    const after = await startFio(host, `osl/${VOLUME.name}`, fio).outcome;
    const waits = [...host.log('rssrv').matchAll(/its clients waited for (\S+)/g)].map(([, wait]) => wait);
    show([before, during, after], moves, waits.join(', '));
  } finally {
    await hosts.clean();
    for (const disk of disks) disk?.remove();
  }
}

function show(runs: readonly FioOutcome[], { count, bytes }: Moves, waits: string): void {
  const beside = (runs[0]!.writesP99Ms + runs[2]!.writesP99Ms) / 2;
  row('', 'before', 'while it moves', 'after');
  row('p99 of writes, of reads', ...runs.map(({ writesP99Ms, readsP99Ms }) => `${writesP99Ms.toFixed(1)} ms, ${readsP99Ms.toFixed(1)} ms`));
  row('slowest I/O', ...runs.map(({ slowestMs }) => `${slowestMs.toFixed(0)} ms`));
  row('written, read back', ...runs.map(({ writes, verifyReads }) => `${writes}, ${verifyReads}`));
  console.log(`p99 of writes: ${(runs[1]!.writesP99Ms / beside).toFixed(1)} times that without, the mean of before and after`);
  console.log(`${count} moves, ${Math.round(bytes / 1024 ** 2)} MiB copied; clients waited at the switches: ${waits}`);
}

function row(...[what = '', ...cells]: readonly string[]): void {
  console.log(`${what.padEnd(26)}${cells.map((cell) => cell.padEnd(22)).join('')}`.trimEnd());
}

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1g' },
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '400' },
    limit: { type: 'string' },
    memory: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) {
  process.stdout.write(HELP);
} else {
  console.log(
    `fio with verification, 8 KiB, at most ${values.rate} writes and reads a second, ${values.seconds} s each, load ${loadavg()[0]?.toFixed(1)}`,
  );
  const limitBytes = values.limit === undefined ? null : parseSize(values.limit);
  const load = { sizeBytes: parseSize(values.size), seconds: Number(values.seconds), rateIops: Number(values.rate), limitBytes };
  await measure(load, values.memory === true);
}
