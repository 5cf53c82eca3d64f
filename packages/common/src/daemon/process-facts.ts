// What Linux reports about this boot and its processes, mostly under /proc, and the name of this process in ps and pgrep.
// Process numbers are reused: only number, start time and boot id together identify a process for ever.
// Invariant: a name never stops a program, and it leaves the arguments as they are, because programs identify processes by them.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { errnoName, RsError } from '../lib/errors.ts';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** The kernel's id of this boot. Throws E_SYSTEM where /proc is missing. */
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
 * When the process with this number was started, in clock ticks since boot. Undefined if there is none, if it is a zombie, or if this user
 * may not see it.
 */
export function startTicksOf(pid: number): string | undefined {
  return statOf(pid)?.startTicks;
}

/** Whether the first thread of a process sleeps: it waits in the kernel, for example for storage, and is neither stopped nor running. */
export function isAsleep(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state === 'D' || state === 'S';
}

/** Processes of this name in the session of process `leader`. The leader may be gone: the kernel does not reuse its number meanwhile. */
export function processesOfSession(leader: number, name: string): number[] {
  const all = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return all.map(Number).filter((pid) => {
    const stat = statOf(pid);
    return stat?.session === leader && stat.name === name;
  });
}

/** How often the threads of this process have slept to wait for something; 0 where the kernel does not count. */
export function ownSleeps(): number {
  return process.resourceUsage().voluntaryContextSwitches;
}

/** Reads only files that do not block for a process that is stuck in the kernel. */
function statOf(pid: number): Stat | undefined {
  const text = readIfThere(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name in brackets may contain brackets itself; the state is the third field.
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  const [state, session, threads, startTicks] = [fields[0] ?? '', Number(fields[3]), Number(fields[17]), fields[19] ?? ''];
  // A process whose first thread has ended is a zombie while other threads continue, for example one that is stuck in a write.
  const isOver = state === 'X' || (state === 'Z' && threads <= 1);
  return isOver ? undefined : { state, name: text.slice(text.indexOf('(') + 1, nameEnd), session, startTicks };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    // Also ESRCH, if the process ends between open and read, and EACCES, if it is hidden.
    if (errnoName(thrown) === undefined) throw thrown;
    return undefined;
  }
}

/** The kernel keeps no more. */
const NAME_MAX_BYTES = 15;

/** Sets the name that ps and pgrep show for this process, cut to 15 bytes. */
export function nameProcess(name: string): void {
  try {
    writeFileSync('/proc/self/comm', Buffer.from(name).subarray(0, NAME_MAX_BYTES));
  } catch {
    // Without /proc the name stays `node`.
  }
}
