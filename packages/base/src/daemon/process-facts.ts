// Reads facts about the current boot and about processes, mostly from /proc. The kernel reuses pids, so only pid, start time and boot id
// together identify a process. Also sets the name that ps and pgrep show for this process. Invariants: a failure to set the name never
// stops a program. The arguments of the process stay unchanged, because other programs identify the process by its arguments.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { errnoName, RsError } from '../lib/errors.ts';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** Returns the kernel's id for this boot. Throws E_SYSTEM if /proc is missing. */
export function bootId(): string {
  const text = readIfThere(BOOT_ID_FILE);
  if (text === undefined) throw new RsError('E_SYSTEM', `No ${BOOT_ID_FILE}: mount /proc`);
  return text.trim();
}

interface Stat {
  readonly state: string;
  readonly name: string;
  readonly session: number;
  readonly startTicks: string;
  readonly cpuTicks: number;
}

/**
 * Returns the start time of a process in clock ticks since boot; undefined if the process is gone, is a zombie or is hidden from this user.
 */
export function startTicksOf(pid: number): string | undefined {
  return statOf(pid)?.startTicks;
}

/**
 * Returns true if the first thread of a process is sleeping in the kernel, for example waiting for storage; false if that thread is running
 * or stopped.
 */
export function isAsleep(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state === 'D' || state === 'S';
}

/**
 * Returns the pids of the processes with this name in the process session of `leader`. The leader may have exited: the kernel does not
 * reuse the leader's pid while another process of the session exists.
 */
export function processesOfSession(leader: number, name: string): number[] {
  return processesNamed((one) => one === name).flatMap(({ pid, session }) => (session === leader ? [pid] : []));
}

/**
 * Returns the processes for whose name `isName` returns true. `session`: pid of the leader of the process session. The leader may have
 * exited.
 */
export function processesNamed(
  isName: (name: string) => boolean,
): { readonly pid: number; readonly name: string; readonly session: number }[] {
  const all = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return all.map(Number).flatMap((pid) => {
    const stat = statOf(pid);
    return stat !== undefined && isName(stat.name) ? [{ pid, name: stat.name, session: stat.session }] : [];
  });
}

export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
}

/** Clock ticks per second in /proc; the same on every Linux. */
const TICKS_PER_SECOND = 100;

/** Returns the usage of a process with all its threads; undefined if the process is gone or hidden from this user. */
export function usageOf(pid: number): ProcessUsage | undefined {
  const ticks = statOf(pid)?.cpuTicks;
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/status`) ?? '')?.[1];
  return ticks === undefined || kib === undefined ? undefined : { cpuSeconds: ticks / TICKS_PER_SECOND, memoryBytes: Number(kib) * 1_024 };
}

/** Returns how often threads of this process have gone to sleep to wait; 0 if the kernel does not count sleeps. */
export function ownSleeps(): number {
  return process.resourceUsage().voluntaryContextSwitches;
}

/**
 * Returns facts about a process, or undefined if the process does not exist, has exited or is hidden. Reads only /proc/PID/stat, because
 * reading that file never blocks, even if the process is stuck in the kernel.
 */
function statOf(pid: number): Stat | undefined {
  const text = readIfThere(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The process name is in parentheses and may itself contain parentheses.
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  const cpuTicks = Number(fields[11]) + Number(fields[12]);
  const [state, session, threads, startTicks] = [fields[0] ?? '', Number(fields[3]), Number(fields[17]), fields[19] ?? ''];
  // A process with the state Z (zombie) may still have other threads that run or are stuck in a write.
  const isOver = state === 'X' || (state === 'Z' && threads <= 1);
  return isOver ? undefined : { state, name: text.slice(text.indexOf('(') + 1, nameEnd), session, startTicks, cpuTicks };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    // Ignore system errors, such as ESRCH (the process exited between open and read) and EACCES (the process is hidden).
    if (errnoName(thrown) === undefined) throw thrown;
    return undefined;
  }
}

/** Maximum length of the process name that the kernel stores. */
const NAME_MAX_BYTES = 15;

/** Sets the name that ps and pgrep show for this process, cut to 15 bytes. */
export function nameProcess(name: string): void {
  try {
    writeFileSync('/proc/self/comm', Buffer.from(name).subarray(0, NAME_MAX_BYTES));
  } catch {
    // If /proc is missing, the process keeps the name `node`.
  }
}
