// Processor time of processes and of the whole machine, from /proc. A process that has just ended counts as zero. The callers use the
// figures.

import { readFileSync } from 'node:fs';

/** Linux reports times to programs in hundredths of a second, independent of its own clock. */
const TICKS_PER_SECOND = 100;

function textOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** User and system time of the processes with all their threads, seconds. */
export function processorSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const text = textOrEmpty(`/proc/${pid}/stat`);
    // The name may contain anything; the fields are counted from the state, which follows it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Work of all processors in seconds, without idle time and waiting for storage. */
export function machineSeconds(): number {
  const [, ...fields] = (/^cpu .*/.exec(textOrEmpty('/proc/stat'))?.[0] ?? '').split(/\s+/).map(Number);
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = fields;
  return (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND;
}
