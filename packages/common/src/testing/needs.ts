// External programs that a test needs from its machine. Without the program the test is skipped, with the package to install.
// Invariant: no test fails, or waits, for a missing program.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'vitest';

/** Program -> Debian package that contains it. */
const PACKAGES = { awk: 'mawk', bash: 'bash', flock: 'util-linux', perl: 'perl-base', sed: 'sed' } as const;

/** In a test, or for all tests of a file in beforeEach. */
export function needPrograms(context: TestContext, ...programs: readonly (keyof typeof PACKAGES)[]): void {
  for (const program of programs) context.skip(!isProgramThere(program), `needs ${program}: install ${PACKAGES[program]}`);
}

/** The path of the program as a shell finds it. */
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
