// What Linux says about this boot and its processes, under /proc mostly. Read only.
// A process number is used again: only number, start time and boot together name one process for ever.

import { readdirSync, readFileSync } from 'node:fs';
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
 * When the process that has this number now was started, in clock ticks since boot; undefined when there is none, only its remains, or
 * one that this user may not see.
 */
export function startTicksOf(pid: number): string | undefined {
  return statOf(pid)?.startTicks;
}

/** Whether the first thread of a process sleeps: it waits in the kernel for something, as a storage, and is neither stopped nor at work. */
export function isAsleep(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state === 'D' || state === 'S';
}

/** Processes of this name whose session was begun by the process `leader`, which itself may be gone: the number is not given again. */
export function processesOfSession(leader: number, name: string): number[] {
  const all = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return all.map(Number).filter((pid) => {
    const stat = statOf(pid);
    return stat?.session === leader && stat.name === name;
  });
}

/** How often this process, all threads together, has waited for something and slept meanwhile; 0 where the kernel does not count. */
export function ownSleeps(): number {
  return process.resourceUsage().voluntaryContextSwitches;
}

/** Reads nothing that a process stuck in the kernel would keep waiting. */
function statOf(pid: number): Stat | undefined {
  const text = readIfThere(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name in brackets may hold anything, brackets too; state is the third field.
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  const [state, session, threads, startTicks] = [fields[0] ?? '', Number(fields[3]), Number(fields[17]), fields[19] ?? ''];
  // One whose first thread has ended is a zombie while others, such as one stuck in a write, go on.
  const isOver = state === 'X' || (state === 'Z' && threads <= 1);
  return isOver ? undefined : { state, name: text.slice(text.indexOf('(') + 1, nameEnd), session, startTicks };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    // Also ESRCH, of a process that ends between open and read, and EACCES, of one that is hidden.
    if (errnoName(thrown) === undefined) throw thrown;
    return undefined;
  }
}
