// Joins what the compiler wrote of each program into one file, which the launchers in bin/ run: a program of a hundred modules spends more
// time on finding and reading them than most calls of rsconfig on their work, and each process of a server keeps them all (ADR 0016).
// Leaves compiling, and when to run, to prepare.mjs; leaves crsio as it is, whose terminal library finds its parts by name at run time.
// Invariant: a program's file is replaced as a whole, so that a process started meanwhile runs the old one or the new one.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { PROGRAMS, programFile, ROOT } from './prepare.mjs';

/** Libraries that are CommonJS ask for `require`, which an ES module has not. */
const BANNER = "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);";

/** What the programs of a package are made into: their files with their text. `from`: the folder of their modules, `src` or `dist`. */
export function joined(name, from) {
  const entries = PROGRAMS[name];
  const { outputFiles } = buildSync({
    entryPoints: entries.map((entry) => join(ROOT, 'packages', name, from, `${entry}.${from === 'src' ? 'ts' : 'js'}`)),
    outdir: dirname(programFile(name, entries[0])),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: from === 'src' ? ['@rsio/source'] : [],
    banner: { js: BANNER },
    write: false,
  });
  return outputFiles;
}

function writeAll() {
  for (const name of Object.keys(PROGRAMS)) {
    for (const { path, contents } of joined(name, 'dist')) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.new`, contents);
      renameSync(`${path}.new`, path);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeAll();
