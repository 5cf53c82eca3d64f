// Finds the simulator's compiled programs. If this file itself runs compiled, the programs are in the folder above this file. If this file
// runs as source, as in a test, the programs are in test/dist. test/sim/runner/build.ts and scripts/run.mjs compile them.

import { fileURLToPath } from 'node:url';

const FOLDER = import.meta.url.endsWith('.ts') ? '../../dist/sim/' : '../';

/** Returns the compiled file for a source. `path` is relative to test/sim. */
export function compiledFile(path: string): string {
  return fileURLToPath(new URL(`${FOLDER}${path}`, import.meta.url));
}
