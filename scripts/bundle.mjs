// Bundles the compiled modules of each program into one file, which the launchers in bin/ run. Without bundling, most calls of rsconfig
// would spend more time on loading a hundred modules than on their work, and each server process would keep all modules in memory (ADR
// 0016). prepare.mjs compiles and decides when to run this; crsio is not bundled, because its terminal library loads parts by name at run
// time. Invariant: a program's file is replaced as a whole, so that a process that starts during the replacement runs the old or the new
// file.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { PROGRAMS, programFile, ROOT } from './prepare.mjs';

/** CommonJS libraries call `require`, which an ES module does not have. */
const BANNER = "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);";

/** The bundled programs of a package: files with their text. `from`: the folder of their modules, `src` or `dist`. */
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
