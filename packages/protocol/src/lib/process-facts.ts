// What Linux says under /proc about this boot and its processes. Read only.
// A process number is used again: only number, start time and boot together name one process for ever.

import { readFileSync } from 'node:fs';
import { errnoName, RsError } from './errors.ts';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** The kernel's id of this boot. Throws E_SYSTEM where /proc is missing. */
export function bootId(): string {
  const text = readIfThere(BOOT_ID_FILE);
  if (text === undefined) throw new RsError('E_SYSTEM', `No ${BOOT_ID_FILE}: mount /proc`);
  return text.trim();
}

/**
 * When the process that has this number now was started, in clock ticks since boot; undefined when there is none, only its remains, or
 * one that this user may not see.
 */
export function startTicksOf(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in brackets may hold anything, brackets too; state is the third field, the start time the 22nd.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  return state === 'Z' || state === 'X' ? undefined : fields[19];
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
