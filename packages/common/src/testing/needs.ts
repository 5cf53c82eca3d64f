// Checks whether the external programs that a test needs are installed. If a program is missing, the test is skipped with a message that
// names the package to install.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'vitest';

/** Maps each program to the Debian package that contains the program. */
const PACKAGES = {
  awk: 'mawk',
  bash: 'bash',
  flock: 'util-linux',
  openssl: 'openssl',
  perl: 'perl-base',
  sed: 'sed',
  setpriv: 'util-linux',
} as const;

/** Skips the test if a program is missing. Call this function in a test or, for all tests of a file, in beforeEach. */
export function needPrograms(context: TestContext, ...programs: readonly (keyof typeof PACKAGES)[]): void {
  for (const program of programs) context.skip(!isProgramThere(program), `needs ${program}: install ${PACKAGES[program]}`);
}

/** Returns true if the program can be found in PATH and executed. */
export function isProgramThere(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => folder !== '' && isExecutable(join(folder, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
