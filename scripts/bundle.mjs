// Bundles the compiled modules of each program into one file, which the launchers in bin/ run. Without bundling, most calls of rsconfig
// would spend more time on loading a hundred modules than on their work, and each server process would keep all modules in memory. The
// hunts of the simulator's zoo and the commands for tests are bundled for the same reason. prepare.mjs compiles, and decides when to
// bundle. Invariant: a program's file is replaced as a whole, so that a process that starts during the replacement runs the old or the new
// file.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { builtinsOnUse, terminalDescriptions, terminalLibrary } from './bundle-plugins.mjs';
import { COMMANDS, entryModule, FAULTY_SERVER, HUNT, PROGRAMS, programFile, ROOT } from './prepare.mjs';
import { COMPILER, startFiles } from './start-files.mjs';

/**
 * The bundles are CommonJS, because Node loads CommonJS faster, and V8 can compile a script in advance. In a bundle, every module has the
 * location of the bundle. The library of message bodies does not look for its native part, which packages lack and which messages do not need.
 */
const COMMON_JS = {
  format: 'cjs',
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'moduleUrl', 'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"' },
  plugins: [builtinsOnUse],
};
/** CommonJS libraries call `require`, which an ES module does not have. */
const BANNER = "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);";

/** Exports the commands of rsconfig and rsadm. Does not import any main.ts, which would run the program at once. */
const COMMANDS_SOURCE = `
  import { executeProgram } from "./packages/base/dist/daemon/arguments.js";
  import * as rsadm from "./packages/rsadm/dist/program.js";
  import * as rsconfig from "./packages/rsconfig/dist/program.js";
  const programs = {
    rsadm: { spec: rsadm.rsadmSpec, main: rsadm.rsadm, ports: rsadm.processPorts },
    rsconfig: { spec: rsconfig.rsconfigSpec, main: rsconfig.rsconfig, ports: rsconfig.processPorts },
  };
  export { executeProgram, programs };`;

/** Returns the bundles of a package's programs, as files with their text. `from`: the folder of the bundled modules, `src` or `dist`. */
export function joined(name, from) {
  const entries = PROGRAMS[name];
  const moduleFile = (entry) => {
    const [owner, module] = entryModule(name, entry);
    return join(ROOT, 'packages', owner, from, `${module}.${from === 'src' ? 'ts' : 'js'}`);
  };
  return bundled({
    ...COMMON_JS,
    entryPoints: entries.map((entry) => ({ in: moduleFile(entry), out: `${entry}.bundle` })),
    outdir: dirname(programFile(name, entries[0])),
    conditions: from === 'src' ? ['@rsio/source'] : [],
    plugins: [builtinsOnUse, terminalLibrary],
  });
}

async function bundled(options) {
  const { outputFiles } = await build({ bundle: true, platform: 'node', target: 'node20', write: false, logLevel: 'error', ...options });
  return outputFiles;
}

/** Modules of rssrv that the server for tests replaces by modules of test/support/faulty-server. */
const REPLACED = [
  'storage/open-backend',
  'volumes/volumes',
  'machine/worker-user',
  'pools/disk/kill-step',
  'server/shared/shared-pool-parts',
];
const REPLACING = join(ROOT, 'test/dist/support/faulty-server');

/**
 * Plugin of esbuild: imports within rssrv get the replacements. A replacement imports the original module by the name of its package, and
 * gets the original.
 */
const replacing = {
  name: 'replacing',
  setup(building) {
    const others = new Map(REPLACED.map((name) => [join(ROOT, `packages/rssrv/dist/${name}.js`), join(REPLACING, `${basename(name)}.js`)]));
    const names = REPLACED.map((name) => basename(name)).join('|');
    const found = new Set();
    building.onResolve({ filter: new RegExp(`/(?:${names})\\.js$`) }, ({ path, resolveDir }) => {
      const other = others.get(join(resolveDir, path));
      if (other !== undefined) found.add(other);
      return other === undefined ? undefined : { path: other };
    });
    building.onEnd(() => {
      if (found.size < others.size) throw new Error('A module that the server for tests replaces is not where REPLACED says');
    });
  },
};

/** Writes the server for tests. The libraries of this server are symbolic links to the libraries of rssrv. */
async function writeFaultyServer() {
  const [from, to] = [join(ROOT, 'packages/rssrv'), join(FAULTY_SERVER, 'packages/rssrv')];
  const entries = ['main', 'worker', 'peer'];
  const files = await bundled({
    ...COMMON_JS,
    plugins: [replacing, builtinsOnUse],
    entryPoints: entries.map((entry) => join(from, `dist/${entry}.js`)),
    ...{ outdir: join(to, 'dist/program'), entryNames: '[name].bundle' },
  });
  for (const { path, contents } of files) write(path, contents);
  for (const [file, content] of Object.entries(startFiles('rssrv'))) write(join(to, 'dist/program', file), content);
  for (const part of ['package.json', 'helpers']) cpSync(join(from, part), join(to, part), { recursive: true });
  const libraries = join(to, 'node_modules');
  rmSync(libraries, { force: true });
  symlinkSync(join(from, 'node_modules'), libraries);
  // The launcher is written last, because prepare.mjs compares the launcher's time with the times of the sources.
  for (const part of ['package.json', 'launch.js', 'rssrv']) cpSync(join(ROOT, 'bin', part), join(FAULTY_SERVER, 'bin', part));
}

async function writeAll() {
  const hunt = await bundled({ format: 'esm', banner: { js: BANNER }, entryPoints: [HUNT.module], outfile: HUNT.bundle });
  const commands = await bundled({ ...COMMON_JS, stdin: { contents: COMMANDS_SOURCE, resolveDir: ROOT }, outfile: COMMANDS });
  const programs = await Promise.all(Object.keys(PROGRAMS).map((name) => joined(name, 'dist')));
  for (const { path, contents } of [...hunt, ...commands, ...programs.flat()]) write(path, contents);
  for (const [name, content] of Object.entries(terminalDescriptions())) write(join(ROOT, 'packages/crsio/dist/usr', name), content);
  for (const name of Object.keys(PROGRAMS)) {
    const folder = join(ROOT, 'packages', name, 'dist/program');
    for (const [file, content] of Object.entries(startFiles(name))) write(join(folder, file), content);
    // The compiled code is written last, because prepare.mjs compares the code's time with the times of the sources.
    const { status, stderr } = spawnSync(process.execPath, [join(folder, COMPILER)], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  }
  await writeFaultyServer();
  writeVersion(join(ROOT, 'test/dist'));
}

function write(path, contents) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, contents);
  renameSync(`${path}.new`, path);
}

/**
 * A hunt reads its version from this file, two folders above its bundle. The file is written only if its content changes, because the
 * compiler also reads it, and a newer file would cause all tests to be compiled and bundled again.
 */
export function writeVersion(folder) {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const text = JSON.stringify({ type: 'module', version });
  const file = join(folder, 'package.json');
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeAll();
