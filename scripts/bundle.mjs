// Joins what the compiler wrote of each program into one file, which the launchers in bin/ run: a program of a hundred modules spends more
// time on finding and reading them than most calls of rsconfig on their work, and each process of a server keeps them all (ADR 0016).
// Leaves compiling, and when to run, to prepare.mjs; leaves crsio as it is, whose terminal library finds its parts by name at run time.
// Invariant: a program's file is replaced as a whole, so that a process started meanwhile runs the old one or the new one.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildSync } from 'esbuild';
import { PROGRAMS, programFile, ROOT } from './prepare.mjs';

/** Libraries that are CommonJS ask for `require`, which an ES module has not. */
const BANNER = "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);";

for (const [name, entries] of Object.entries(PROGRAMS)) {
  const { outputFiles } = buildSync({
    entryPoints: entries.map((entry) => join(ROOT, 'packages', name, 'dist', `${entry}.js`)),
    outdir: dirname(programFile(name, entries[0])),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    banner: { js: BANNER },
    write: false,
  });
  for (const { path, contents } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, contents);
    renameSync(`${path}.new`, path);
  }
}
