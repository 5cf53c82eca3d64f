// Where the compiled programs of the simulator lie: in the folder above this file, or, when it runs as source (in a test), in test/dist.
// Leaves compiling to test/sim/runner/build.ts, and to scripts/run.mjs.

import { fileURLToPath } from 'node:url';

const FOLDER = import.meta.url.endsWith('.ts') ? '../../dist/sim/' : '../';

/** `path`: below test/sim. */
export function compiledFile(path: string): string {
  return fileURLToPath(new URL(`${FOLDER}${path}`, import.meta.url));
}
