// Takes snapshots at regular times and removes the oldest ones, while fio does verified I/O. This file compares the I/O of fio with runs
// without snapshots, and measures whether the space of removed snapshots is freed. Invariant: fio ends at the first wrong byte or I/O
// error, and the program then prints no figures.

import { loadavg } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callServer } from '@rsio/api/rssrv/call-server';
import { toRsError } from '@rsio/base/lib/errors';
import { clientConfig, serverConfig } from '../hosts/configs.ts';
import { emptyPool } from '../hosts/empty-pool.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { type FioOutcome, type RunningFio, startFio } from '../io/fio.ts';
import { CutDisk } from './cut-disk.ts';

const MIB = 1024 ** 2;
const DISK_BYTES = 4096 * MIB;
const SIZE_MIB = 128;
/** Number of snapshots that are kept. For each further snapshot, the oldest one is removed. */
const KEPT = 10;
/** I/Os per second of fio in each direction. The rate is below the limit of the machine, so that all runs have the same load. */
const RATE_IOPS = 400;
const BLOCK_SIZE = '8k';
/** fio writes this many blocks before it reads them back. */
const BACKLOG = 512;
/** Longest duration of the two runs without snapshots, one before and one after the run with snapshots. */
const BESIDE_MAX_SECONDS = 60;
const VOLUME = { name: 'oracle', universe: 0 };

/** Returns the lines of a table; null if this machine cannot make a disk with reflink. */
export async function snapshotPace(hosts: Hosts, aMinute: number, minutes: number): Promise<string[] | null> {
  const host = hosts.host();
  const disk = CutDisk.make(hosts, host, DISK_BYTES);
  if (disk === null) return null;
  const emptyBytes = disk.usedBytes();
  const network = await hosts.network(1);
  const pool = await emptyPool(host, path.join('reflink', 'pool'));
  host.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: { fast: { path: pool, reserve: '0%' } } }));
  await host.start('rssrv');
  await host.rsadmWell('volume', 'create', VOLUME.name, '--size', `${SIZE_MIB}m`);
  host.writeConfig('rsiod', clientConfig(network));
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', VOLUME.name);
  const seconds = Math.ceil(minutes * 60);
  const load = { size: `${SIZE_MIB}m`, blockSize: BLOCK_SIZE, rateIops: RATE_IOPS, verifyBacklog: BACKLOG };
  const fioFor = (time: number): RunningFio => startFio(host, `osl/${VOLUME.name}`, { ...load, seconds: time });
  const without = await fioFor(Math.min(seconds, BESIDE_MAX_SECONDS)).outcome;
  const fio = fioFor(seconds);
  const made = await keepMaking(host, aMinute, fio.outcome);
  const outcome = await fio.outcome;
  const before = disk.usedBytes();
  for (const name of made.kept)
    await callServer(host.rssrvPaths.controlSocket, 'volume-snapshot-remove', { ...VOLUME, snapshot: name, request: null });
  const after = await fioFor(Math.min(seconds, BESIDE_MAX_SECONDS)).outcome;
  // The file system frees the blocks of removed files with a delay, which ends when it is mounted again.
  await host.stop('rsiod');
  await host.stop('rssrv');
  await disk.mount();
  const held = [...host.log('rssrv').matchAll(/were held for ([\d.]+) ms/g)].map(([, ms]) => Number(ms)).toSorted((a, b) => a - b);
  const runs = [without, outcome, after];
  return [
    `${minutes} min, fio with verification, ${BLOCK_SIZE} blocks, ${RATE_IOPS} writes and reads a second at most, load ${loadavg()[0]?.toFixed(1)}`,
    row('', 'before, without', `${aMinute} snapshots a minute`, 'after, all removed'),
    row('p99 of writes, of reads', ...runs.map(p99Text)),
    row('slowest I/O', ...runs.map(({ slowestMs }) => `${slowestMs.toFixed(0)} ms`)),
    row('written, read back', ...runs.map(({ writes, verifyReads }) => `${writes}, ${verifyReads}`)),
    row('snapshots made, refused, removed', '-', `${made.count}, ${made.busy}, ${made.count - made.kept.length}`),
    row('writes held: median, worst', '-', `${held[held.length >> 1]} ms, ${held.at(-1)} ms`),
    row(
      `in use with ${made.kept.length}, with none`,
      '-',
      `${mibText(before - emptyBytes)}, ${mibText(disk.usedBytes() - emptyBytes)}`,
      `volume ${SIZE_MIB} MiB`,
    ),
  ];
}

interface Made {
  count: number;
  busy: number;
  /** Names of the kept snapshots, the oldest first. */
  readonly kept: string[];
}

async function keepMaking(host: Host, aMinute: number, over: Promise<FioOutcome>): Promise<Made> {
  const made: Made = { count: 0, busy: 0, kept: [] };
  const socket = host.rssrvPaths.controlSocket;
  let isOver = false;
  const end = (): void => void (isOver = true);
  over.then(end, end);
  const startMs = performance.now();
  for (let number = 1; ; number++) {
    await sleep(Math.max(0, startMs + (number * 60_000) / aMinute - performance.now()));
    if (isOver) return made;
    const snapshot = `s${number}`;
    try {
      await callServer(socket, 'volume-snapshot', { snapshots: [{ ...VOLUME, snapshot }], request: null });
    } catch (error) {
      if (toRsError(error).code !== 'E_BUSY') throw error;
      made.busy++;
      continue;
    }
    made.count++;
    made.kept.push(snapshot);
    if (made.kept.length > KEPT)
      await callServer(socket, 'volume-snapshot-remove', { ...VOLUME, snapshot: made.kept.shift()!, request: null });
  }
}

function p99Text({ writesP99Ms, readsP99Ms }: FioOutcome): string {
  return `${writesP99Ms.toFixed(1)} ms, ${readsP99Ms.toFixed(1)} ms`;
}

function mibText(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}

function row(...[what = '', ...cells]: readonly string[]): string {
  return `${what.padEnd(34)}${cells.map((cell) => cell.padEnd(24)).join('')}`.trimEnd();
}
