// The crash of a server's machine, for volumes that lose unsynced data. Every process of rssrv ends. The storage keeps all flushed data,
// and a part of the unsynced data, which a seed chooses. RUN is empty, as after a boot. The test starts rssrv again.

import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { readLog } from '../faulty-server/unsynced-log.ts';
import { crashed, RECORD } from '../faulty-server/unsynced-records.ts';
import type { Host } from '../hosts/host.ts';
import { waitFor } from '../programs/wait-for.ts';

const END_MS = 10_000;

export interface Crash {
  /** Number of sectors of all volumes that have unsynced content after the crash. */
  readonly survived: number;
}

/** Kills the listener, its server processes and their helpers with SIGKILL, all at the same time. Resolves when all have ended. */
export async function killServer(host: Host): Promise<void> {
  const isLeft = (): boolean => {
    const left = serverProcesses(host);
    // Stops all processes before it kills them. A running server process whose listener has just died would flush, as at an orderly end.
    for (const how of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of left) signal(pid, how);
    return left.length > 0;
  };
  await waitFor(() => !isLeft(), END_MS, `No process of rssrv below ${host.root}`);
}

/**
 * Returns a function that stops all current processes of rssrv at once, as a power cut would. The caller must then kill these processes.
 */
export function serverFreezer(host: Host): () => void {
  const pids = serverProcesses(host);
  return () => {
    for (const pid of pids) signal(pid, 'SIGSTOP');
  };
}

export function emptyRun(host: Host): void {
  const { runDir } = host.rssrvPaths;
  for (const name of readdirSync(runDir)) rmSync(path.join(runDir, name), { recursive: true, force: true });
}

/** The machine crashes: rssrv ends with all its processes, and unsynced data is lost. */
export async function machineCrash(host: Host, seed: number): Promise<Crash> {
  await killServer(host);
  const random = new SeededRandom(seed);
  const { runDir } = host.rssrvPaths;
  let survived = 0;
  for (const name of readdirSync(runDir).toSorted()) {
    if (name.startsWith('unsynced-')) survived += bring(path.join(runDir, name), random);
  }
  emptyRun(host);
  return { survived };
}

/** Writes chosen sectors of the log to the storage; returns their number. */
function bring(log: string, random: SeededRandom): number {
  const records = readLog(log);
  const place = records.find(({ kind }) => kind === RECORD.PLACE)?.data?.toString();
  if (place === undefined) return 0;
  const sectors = crashed(records, () => random.unit());
  const descriptor = openSync(place, 'r+');
  try {
    for (const { positionBytes, data } of sectors) writeSync(descriptor, data, 0, SECTOR_BYTES, positionBytes);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return sectors.length;
}

/** Pids of the listener and of the server processes. The helpers of a server process end with the server process. */
function serverProcesses(host: Host): number[] {
  return host.processes().filter((pid) => /\/rssrv\/|\/rssrv\0/.test(commandLineOf(pid)));
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function signal(pid: number, how: NodeJS.Signals): void {
  try {
    process.kill(pid, how);
  } catch {
    // Ignores the error: the process has already ended.
  }
}
