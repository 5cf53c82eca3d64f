// Bundles programs for tests that start them from their sources: into one file, once. A start that transforms every module costs four times
// the processor time. Requests to the program are the test's job. Invariant: the file is made from the current sources, lies as deep below
// package.json as the source, and is removed when the tests of the calling file have ended.

import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';

/** CommonJS libraries need `require`, which an ES module does not have. */
const BANNER = "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);";

/** `source`, a module in the src folder of a package, as a file for node: its name, once the tests run. `libraries` are left out of it. */
export function useProgram(source: URL, libraries: readonly string[] = []): () => string {
  const name = fileURLToPath(source);
  const packageFolder = name.slice(0, name.lastIndexOf('/src/'));
  let folder = '';
  let file = '';

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rsio-program-'));
    file = join(folder, 'dist/program', `${name.slice(name.lastIndexOf('/') + 1, -3)}.mjs`);
    cpSync(join(packageFolder, 'package.json'), join(folder, 'package.json'));
    symlinkSync(join(packageFolder, 'node_modules'), join(folder, 'node_modules'));
    buildSync({
      entryPoints: [name],
      outfile: file,
      absWorkingDir: dirname(name),
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      conditions: ['@rsio/source'],
      external: [...libraries],
      banner: { js: BANNER },
      logLevel: 'silent',
    });
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  return () => file;
}
