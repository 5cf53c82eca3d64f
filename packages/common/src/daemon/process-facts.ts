// What Linux reports about this boot and its processes, mostly under /proc, and the name of this process in ps and pgrep. The kernel reuses
// pids, so only pid, start time and boot id together identify a process permanently. Invariant: a failure to set the name never stops a
// program, and the name does not change the process's arguments, because programs identify processes by their arguments.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { errnoName, RsError } from '../lib/errors.ts';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** The kernel's id for this boot. Throws E_SYSTEM if /proc is missing. */
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
}

/**
 * When the process with this pid was started, in clock ticks since boot. Undefined if there is no such process, if it is a zombie, or if
 * this user may not see it.
 */
export function startTicksOf(pid: number): string | undefined {
  return statOf(pid)?.startTicks;
}

/** Whether the first thread of a process sleeps, that is, waits in the kernel, for example for storage. False if it runs or is stopped. */
export function isAsleep(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state === 'D' || state === 'S';
}

/**
 * Pids of the processes with this name in the session of process `leader`. The leader may have ended: its pid is not reused while they run.
 */
export function processesOfSession(leader: number, name: string): number[] {
  const all = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return all.map(Number).filter((pid) => {
    const stat = statOf(pid);
    return stat?.session === leader && stat.name === name;
  });
}

/** How many times the threads of this process have slept to wait for something; 0 if the kernel does not count this. */
export function ownSleeps(): number {
  return process.resourceUsage().voluntaryContextSwitches;
}

/** Facts about a process. Reads only files that can be read without blocking, even if the process is stuck in the kernel. */
function statOf(pid: number): Stat | undefined {
  const text = readIfThere(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name is in parentheses and may itself contain parentheses. The state follows it as the third field of the file.
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  const [state, session, threads, startTicks] = [fields[0] ?? '', Number(fields[3]), Number(fields[17]), fields[19] ?? ''];
  // The kernel shows Z if only the first thread has ended. Other threads may continue, for example one that is stuck in a write.
  const isOver = state === 'X' || (state === 'Z' && threads <= 1);
  return isOver ? undefined : { state, name: text.slice(text.indexOf('(') + 1, nameEnd), session, startTicks };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    // Includes ESRCH, if the process ends between open and read, and EACCES, if the process is hidden.
    if (errnoName(thrown) === undefined) throw thrown;
    return undefined;
  }
}

/** Maximum length of a process name that the kernel stores. */
const NAME_MAX_BYTES = 15;

/** Sets the name that ps and pgrep show for this process, cut to 15 bytes. */
export function nameProcess(name: string): void {
  try {
    writeFileSync('/proc/self/comm', Buffer.from(name).subarray(0, NAME_MAX_BYTES));
  } catch {
    // Without /proc the name stays `node`.
  }
}
