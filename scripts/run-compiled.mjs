// Prepares the checkout and runs one compiled program of it in this process, so that signals and the terminal are the program's own.
// Leaves arguments to that program.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.mjs';

/** Runs `dist/main.js` below the repository root; `what` names it for people. */
export async function runCompiled(what, path) {
  prepare();
  const file = join(ROOT, path);
  if (!existsSync(file)) {
    console.error(`rsio: ${what} is not in this checkout: ${path} is missing [E_NOT_BUILT]`);
    process.exit(1);
  }
  process.argv[1] = file;
  await import(pathToFileURL(file).href);
}
