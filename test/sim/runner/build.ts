// Compiles changed sources before the tests of the simulator, with scripts/prepare.mjs, because seeds and hunts run as compiled code in
// separate processes. Invariant: no test of the simulator runs code compiled from other sources.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Called by vitest, once for all test files. Throws when the sources do not compile. */
export function setup(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../../scripts/prepare.mjs', import.meta.url))], { stdio: 'inherit' });
}
