// What a process is called in ps and pgrep: who of several it is, where all of them would be `node`. Its arguments stay as they were, because by
// these, and by the environment that a longer title would be written over, processes are told apart. Invariant: a name never stops a program.

import { writeFileSync } from 'node:fs';

/** More the kernel does not keep. */
const NAME_MAX_BYTES = 15;

export function nameProcess(name: string): void {
  try {
    writeFileSync('/proc/self/comm', Buffer.from(name).subarray(0, NAME_MAX_BYTES));
  } catch {
    // Without /proc it is `node`.
  }
}
