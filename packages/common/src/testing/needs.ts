// Checks whether the external programs that a test needs are installed. If one is missing, the test is skipped with a message that names
// the package to install. Invariant: no test fails or waits because a program is missing.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'vitest';

/** For each program, the Debian package that contains it. */
const PACKAGES = { awk: 'mawk', bash: 'bash', flock: 'util-linux', perl: 'perl-base', sed: 'sed' } as const;

/** Skips the test if a program is missing. Call it in a test, or in beforeEach for all tests of a file. */
export function needPrograms(context: TestContext, ...programs: readonly (keyof typeof PACKAGES)[]): void {
  for (const program of programs) context.skip(!isProgramThere(program), `needs ${program}: install ${PACKAGES[program]}`);
}

/** Returns true if a shell would find the program in PATH. */
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
