// Figures of processes and of the machine, from /proc. Linux only, like the programs. A process that has just ended counts as zero instead
// of causing an error.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { errnoName } from '@rsio/base/lib/errors';

/** Linux reports CPU times to programs in hundredths of a second, whatever its own clock frequency. */
const TICKS_PER_SECOND = 100;
/** Ticks by which `ticked` may exceed `scheduled` although no thread has ended. */
const TICKS_UNSURE = 4;
const NANOSECONDS = 1e9;

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return '';
  }
}

/**
 * Returns the fields of /proc/PID/stat from `state` on. The name of the program, which precedes these fields, may contain any characters.
 */
function statFields(pid: number): string[] {
  const text = readOrEmpty(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** CPU time that processes have used so far, in seconds. */
export interface CpuTime {
  /** CPU time of living threads, exact to the nanosecond; null: this kernel does not report it. */
  readonly scheduled: number | null;
  /** CPU time rounded to ticks, including threads that have ended. */
  readonly ticked: number;
}

export function cpuTimeOf(pids: readonly number[]): CpuTime {
  const scheduled = pids.map(scheduledSeconds);
  return {
    scheduled: scheduled.includes(null) ? null : scheduled.reduce<number>((sum, seconds) => sum + (seconds ?? 0), 0),
    ticked: pids.reduce((sum, pid) => sum + tickedSeconds(pid), 0),
  };
}

/** CPU time between two readings, in seconds: exact, or rounded to ticks if a thread has ended between the readings. */
export function cpuSecondsBetween(first: CpuTime, last: CpuTime): number {
  const ticked = last.ticked - first.ticked;
  if (first.scheduled === null || last.scheduled === null) return ticked;
  const scheduled = last.scheduled - first.scheduled;
  return ticked > scheduled + TICKS_UNSURE / TICKS_PER_SECOND ? ticked : scheduled;
}

/** CPU time of living threads in seconds, exact to the nanosecond; null: this kernel does not report it. */
function scheduledSeconds(pid: number): number | null {
  let nanoseconds = 0;
  for (const thread of threadsOf(pid)) {
    const text = readOrEmpty(`/proc/${pid}/task/${thread}/schedstat`);
    if (text === '') return null;
    nanoseconds += Number(text.split(' ', 1)[0]);
  }
  return nanoseconds / NANOSECONDS;
}

/** Number of times that threads of these processes have gone to sleep and been woken. */
export function wakeUpsOf(pids: readonly number[]): number {
  const paths = pids.flatMap((pid) => threadsOf(pid).map((thread) => `/proc/${pid}/task/${thread}/status`));
  return paths.reduce((sum, path) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readOrEmpty(path))?.[1] ?? 0), 0);
}

/** Bytes that the kernel has read from disks for these processes so far, including read-ahead. */
export function diskBytesOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + Number(/^read_bytes: (\d+)$/m.exec(readOrEmpty(`/proc/${pid}/io`))?.[1] ?? 0), 0);
}

/** Bytes that these processes have written to disks so far, including bytes that are still in the cache. */
export function writtenBytesOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + Number(/^write_bytes: (\d+)$/m.exec(readOrEmpty(`/proc/${pid}/io`))?.[1] ?? 0), 0);
}

/** Calls of read and write that these processes have made so far, including calls on sockets, but not the calls for messages. */
export function callsOf(pids: readonly number[]): number {
  const texts = pids.map((pid) => readOrEmpty(`/proc/${pid}/io`));
  return texts.reduce(
    (sum, text) => sum + [...text.matchAll(/^sysc[rw]: (\d+)$/gm)].reduce((calls, [, count]) => calls + Number(count), 0),
    0,
  );
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return [];
  }
}

function tickedSeconds(pid: number): number {
  const fields = statFields(pid);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
}

/** CPU time of the whole machine, seconds: everything except idle and waiting for storage. */
export function machineBusySeconds(): number {
  const [, ...fields] = (/^cpu .*/.exec(readOrEmpty('/proc/stat'))?.[0] ?? '').split(/\s+/).map(Number);
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = fields;
  return (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND;
}

/** The process and all its descendants, parents before children. */
export function processTree(root: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = pids.map((name) => ({ pid: Number(name), parent: Number(statFields(Number(name))[1] ?? 0) }));
  const tree = [root];
  for (const known of tree) {
    for (const { pid, parent } of parents) if (parent === known) tree.push(pid);
  }
  return tree;
}

export function parentOf(pid: number): number {
  return Number(statFields(pid)[1] ?? 0);
}

export function commandOf(pid: number): string {
  return readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

export function hasOpen(pid: number, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === path);
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return false;
  }
}

/** Private memory in bytes, which becomes free when the process ends. */
export function privateBytesOf(pid: number): number {
  return privateBytesIn(readOrEmpty(`/proc/${pid}/smaps_rollup`));
}

/** Private pages, clean and dirty, in the text of smaps_rollup. */
export function privateBytesIn(text: string): number {
  const lines = text.matchAll(/^Private_(?:Clean|Dirty|Hugetlb):\s+(\d+) kB$/gm);
  return [...lines].reduce((sum, [, kib]) => sum + Number(kib) * 1024, 0);
}

/** Proportional set size in bytes: each process counts its part of shared pages. */
export function pssBytesOf(pid: number): number {
  const kib = /^Pss:\s+(\d+) kB$/m.exec(readOrEmpty(`/proc/${pid}/smaps_rollup`))?.[1];
  return Number(kib ?? 0) * 1024;
}

export function rssBytesOf(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readOrEmpty(`/proc/${pid}/status`))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** Numbers of the CPUs on which this process may run. */
export function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readOrEmpty('/proc/self/status'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_unused, index) => first + index);
  });
}

/** Pins processes and all their current threads to these cores. */
export function pin(pids: readonly number[], cores: readonly number[]): void {
  for (const pid of pids) spawnSync('taskset', ['-a', '-c', '-p', cores.join(','), String(pid)]);
}
