// Before the tests of the simulator: compiles what has changed, because seeds and hunts run compiled, in processes of their own.
// scripts/prepare.mjs compiles. Invariant: no test of the simulator runs code compiled from other sources.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Called by vitest, once for all test files. Throws when the sources do not compile. */
export function setup(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../../scripts/prepare.mjs', import.meta.url))], { stdio: 'inherit' });
}
