// `npm run measure -- move-latency`: measures how moves of a volume between pools affect an application: it compares the latencies of fio with
// verification during moves back and forth with the latencies without moves. Invariant: fio ends at the first wrong byte or I/O error, and
// the program then prints no figures.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callServer } from '@rsio/api/rssrv/call-server';
import { printSize } from '@rsio/base/lib/units';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { memoryDisk, mountScratch } from '../support/devices/scratch-disk.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { FIO, ROOT_USER, XFS } from '../support/drills/needs.ts';
import { count, flag, optional, size } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { type FioOutcome, startFio } from '../support/io/fio.ts';

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

interface Asked {
  readonly size: number;
  readonly seconds: number;
  readonly rate: number;
  readonly limit: number | null;
  readonly memory: boolean;
}

function mountDisk(hosts: Hosts, host: Host, name: string, diskBytes: number, inMemory: boolean): void {
  if (inMemory) mountScratch(hosts, host, memoryDisk(diskBytes), 'xfs', name);
  else if (makeReflinkDisk(hosts, host, diskBytes, 'xfs', name) === null) throw new Error('No XFS on a loop device here');
}

async function play(scene: Scene, { size: sizeBytes, seconds, rate, limit, memory }: Asked): Promise<void> {
  scene.say(`fio with verification, 8 KiB, at most ${rate} writes and reads a second, ${seconds} s each`);
  const { hosts } = scene;
  const host = hosts.host();
  const pools: Record<string, { path: string; reserve: string }> = {};
  for (const name of POOLS) {
    mountDisk(hosts, host, name, DISK_SHARE * sizeBytes, memory);
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
  const fio = { ...load, rateIops: rate, seconds };
  scene.round('before');
  const before = await startFio(host, `osl/${VOLUME.name}`, fio).outcome;
  scene.round('while it moves');
  const running = startFio(host, `osl/${VOLUME.name}`, fio);
  const moves = await keepMoving(host, limit, running.outcome);
  const during = await running.outcome;
  scene.round('after');
  const after = await startFio(host, `osl/${VOLUME.name}`, fio).outcome;
  const waits = [...host.log('rssrv').matchAll(/its clients waited for (\S+)/g)].map(([, wait]) => wait);
  for (const line of linesOf([before, during, after], moves, waits.join(', '))) scene.say(line);
}

function linesOf(runs: readonly FioOutcome[], { count: moved, bytes }: Moves, waits: string): string[] {
  const beside = (runs[0]!.writesP99Ms + runs[2]!.writesP99Ms) / 2;
  return [
    row('', 'before', 'while it moves', 'after'),
    row(
      'p99 of writes, of reads',
      ...runs.map(({ writesP99Ms, readsP99Ms }) => `${writesP99Ms.toFixed(1)} ms, ${readsP99Ms.toFixed(1)} ms`),
    ),
    row('slowest I/O', ...runs.map(({ slowestMs }) => `${slowestMs.toFixed(0)} ms`)),
    row('written, read back', ...runs.map(({ writes, verifyReads }) => `${writes}, ${verifyReads}`)),
    `p99 of writes: ${(runs[1]!.writesP99Ms / beside).toFixed(1)} times that without, the mean of before and after`,
    `${moved} moves, ${Math.round(bytes / 1024 ** 2)} MiB copied; clients waited at the switches: ${waits}`,
  ];
}

function row(...[what = '', ...cells]: readonly string[]): string {
  return `${what.padEnd(26)}${cells.map((cell) => cell.padEnd(22)).join('')}`.trimEnd();
}

export const drill = defineDrill({
  about: `Makes two pools, each on XFS on a loop device, and a volume of which fio uses all, with verification, in blocks of 8 KiB. Measures without a move,
    as long while the volume moves to and fro without a pause, and as long without once more.`,
  needs: [ROOT_USER, XFS, FIO],
  unit: 'runs of fio',
  endsAtOnce: true,
  options: {
    size: size('1g', 'size of the volume'),
    seconds: count(60, 'duration of each measurement', { value: 'S' }),
    rate: count(400, 'most writes and most reads a second'),
    limit: optional(size('1g', 'most bytes a second that a move copies')),
    memory: flag('the disks are zram devices, so that no other use of the disk is measured'),
  },
  play,
});
