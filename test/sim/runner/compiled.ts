// The location of the simulator's compiled programs: the folder above this file, or test/dist when it runs as source (in a test).
// test/sim/runner/build.ts and scripts/run.mjs compile them.

import { fileURLToPath } from 'node:url';

const FOLDER = import.meta.url.endsWith('.ts') ? '../../dist/sim/' : '../';

/** `path`: below test/sim. */
export function compiledFile(path: string): string {
  return fileURLToPath(new URL(`${FOLDER}${path}`, import.meta.url));
}
