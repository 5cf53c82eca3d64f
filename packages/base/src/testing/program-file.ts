// Bundles a program's sources into one file, once per test file, for tests that start the program. Without a bundle, each start transforms
// every module and takes four times the CPU time. Invariants: the bundle is made from the current sources. The bundle and the source have
// the same depth below package.json. The bundle is removed after the tests of the calling file.

import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';

/** Bundled CommonJS libraries need the function `require`, which ES modules do not have. */
const BANNER = "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);";

/**
 * Bundles `source`, a module in the src folder of a package, without `libraries`. Returns a function that returns the bundle's file name.
 */
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
