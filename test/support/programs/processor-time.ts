// Processor time of processes and of the whole machine, from /proc.
// A process that has ended counts as zero. The callers judge the figures.

import { readFileSync } from 'node:fs';

/** Linux reports processor times in hundredths of a second, whatever the frequency of the kernel's timer. */
const TICKS_PER_SECOND = 100;

function textOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** Returns the user and system time of the processes, with all their threads, in seconds. */
export function processorSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const text = textOrEmpty(`/proc/${pid}/stat`);
    // The name of the program may contain blanks and brackets. The fields are therefore counted from the state, the field after the name.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Returns the time in seconds for which processors of the machine have worked, without idle time and waiting for storage. */
export function machineSeconds(): number {
  const [, ...fields] = (/^cpu .*/.exec(textOrEmpty('/proc/stat'))?.[0] ?? '').split(/\s+/).map(Number);
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = fields;
  return (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND;
}
