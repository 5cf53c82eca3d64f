// Bundles the compiled modules of each program into one file, which the launchers in bin/ run. Without bundling, most calls of rsconfig
// would spend more time on loading a hundred modules than on their work, and each server process would keep all modules in memory (ADR
// 0016). A hunt of the simulator's zoo is bundled for the same reason. prepare.mjs compiles and decides when to run this; crsio is not
// bundled, because its terminal library loads parts by name at run time. Invariant: a program's file is replaced as a whole, so that a
// process that starts during the replacement runs the old or the new file.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { HUNT, PROGRAMS, programFile, ROOT } from './prepare.mjs';

/** CommonJS libraries call `require`, which an ES module does not have. */
const BANNER = "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);";

/** The bundled programs of a package: files with their text. `from`: the folder of their modules, `src` or `dist`. */
export function joined(name, from) {
  const entries = PROGRAMS[name];
  return bundled({
    entryPoints: entries.map((entry) => join(ROOT, 'packages', name, from, `${entry}.${from === 'src' ? 'ts' : 'js'}`)),
    outdir: dirname(programFile(name, entries[0])),
    conditions: from === 'src' ? ['@rsio/source'] : [],
  });
}

function bundled(options) {
  const common = { bundle: true, platform: 'node', format: 'esm', target: 'node20', banner: { js: BANNER }, write: false };
  return buildSync({ ...common, ...options }).outputFiles;
}

function writeAll() {
  const programs = Object.keys(PROGRAMS).flatMap((name) => joined(name, 'dist'));
  for (const { path, contents } of [...programs, ...bundled({ entryPoints: [HUNT.module], outfile: HUNT.bundle })]) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, contents);
    renameSync(`${path}.new`, path);
  }
  // A hunt reads its version there, two folders above its bundle.
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  writeFileSync(join(ROOT, 'test/dist/package.json'), JSON.stringify({ type: 'module', version }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeAll();
