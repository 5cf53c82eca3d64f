// Figures of processes and of the machine, from /proc. Linux only, as the programs are.
// A process that has just gone counts as nothing: it is no error to be late.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { errnoName } from '@rsio/protocol/lib/errors';

/** Linux shows times to programs in hundredths of a second, whatever its own clock. */
const TICKS_PER_SECOND = 100;

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return '';
  }
}

/** The fields of /proc/PID/stat from `state` on; the name before them may hold anything. */
function statFields(pid: number): string[] {
  const text = readOrEmpty(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** User and system time of the processes with all their threads, seconds. */
export function cpuSecondsOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / TICKS_PER_SECOND;
}

/** What all processors of the machine have worked, seconds: everything but idle and waiting for storage. */
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

/** Proportional set size, bytes: shared pages count in parts. */
export function pssBytesOf(pid: number): number {
  const kib = /^Pss:\s+(\d+) kB$/m.exec(readOrEmpty(`/proc/${pid}/smaps_rollup`))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** Numbers of the processors that this process may run on. */
export function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readOrEmpty('/proc/self/status'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_unused, index) => first + index);
  });
}

/** `cubic`, `bbr`: what every new TCP connection of this machine gets. */
export function congestionControl(): string {
  return readOrEmpty('/proc/sys/net/ipv4/tcp_congestion_control').trim() || 'unknown';
}
