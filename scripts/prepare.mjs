// Prepares a checkout: fetches pnpm, installs the packages, compiles, checks the Perl programs, makes the documents and bundles
// each program. Finished steps are skipped, and the second run needs no network. Running programs is the job of start, test, bench and check.
// Invariant: when a step returns, its result is complete and matches the sources. Progress goes to stderr, only if there is work.

import './node-version.mjs';

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { perlFiles, perlProblems } from './perl-files.mjs';
import { codeFile } from './program-loader.cjs';

export const PNPM = 'pnpm@12.21.0';
/**
 * With confirmModulesPurge=false, pnpm replaces modules of another pnpm version without asking. If pnpm had to ask, it would fail without a
 * terminal.
 */
const INSTALL = ['--yes', PNPM, 'install', '--frozen-lockfile', '--config.confirmModulesPurge=false'];

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;
const STAMP = join(ROOT, 'node_modules/.rsio-installed');
export const PAGES = join(ROOT, 'docs/man');
export const MANUAL = join(ROOT, 'dist/man');
export const DOCS = join(ROOT, 'dist/docs');
/** Stamp file, written when all documents are made. */
export const DOCS_STAMP = join(DOCS, '.made');

/** Entry modules that are bundled (scripts/bundle.mjs), by package. */
export const PROGRAMS = {
  rssrv: ['main', 'worker', 'peer', 'logcat'],
  rsiod: ['main', 'logcat', 'data-process'],
  rsconfig: ['main'],
  rsadm: ['main'],
  crsio: ['main'],
  rsapp: ['main'],
  rsweb: ['main'],
  csi: ['main'],
};

/** Entry modules of another package: rsiod begins with its gates, which register themselves. */
const JOINED = { 'rsiod/main': ['gates', 'rsiod/main'] };

/** Returns the package and the name of the module with which a program begins. */
export function entryModule(name, entry) {
  return JOINED[`${name}/${entry}`] ?? [name, entry];
}

/**
 * The program of the zoo's processes (test/sim/zoo), as a bundle, because a bundle starts several times as fast as the many separate
 * modules.
 */
export const HUNT = { module: join(ROOT, 'test/dist/sim/zoo/hunt.js'), bundle: join(ROOT, 'test/dist/sim/zoo/hunt-bundle.js') };

/** The commands, for tests that run commands in the process of the test (test/support/programs/here.ts). */
export const COMMANDS = join(ROOT, 'test/dist/support/programs/commands.cjs');

/**
 * The server for tests: a folder laid out like a checkout, with an rssrv in which modules of test/support/faulty-server/ replace some of
 * rssrv's own modules. No package contains this server.
 */
export const FAULTY_SERVER = join(ROOT, 'test/dist/faulty-server');

/**
 * Returns the path of a program's file. Like the modules, this file is two folders below its package, because the program finds its version
 * by that path.
 */
export function programFile(name, entry) {
  return join(ROOT, 'packages', name, 'dist/program', `${entry}.js`);
}

/** The bundle that the file of a program loads (scripts/program-loader.cjs). */
export function bundleFile(name, entry) {
  return join(ROOT, 'packages', name, 'dist/program', `${entry}.bundle.js`);
}

export function tool(name) {
  return join(ROOT, 'node_modules/.bin', name);
}

/** Seconds since `startMs` (of performance.now), formatted. */
export function secondsSince(startMs) {
  return `${((performance.now() - startMs) / 1000).toFixed(1)} s`;
}

/**
 * Installs the packages, unless the installation already matches the lock file and the package files. Ends the process if the installation
 * fails.
 */
export function install() {
  const wanted = installedFingerprint();
  if (isInstalled(wanted)) return;
  const startMs = performance.now();
  console.error(`rsio: installing packages with ${PNPM} (once)`);
  const result = spawnSync('npx', INSTALL, { cwd: ROOT, encoding: 'utf8', maxBuffer: OUTPUT_MAX_BYTES });
  if (result.status !== 0) fail('The packages could not be installed: see above, then try again', result);
  writeFileSync(STAMP, wanted);
  console.error(`rsio: packages installed in ${secondsSince(startMs)}`);
}

/** Compiles changed sources. Ends the process if a source does not compile. */
export function build() {
  const before = builtAtMs();
  const startMs = performance.now();
  const pretty = process.stderr.isTTY ? ['--pretty'] : [];
  const result = spawnSync(tool('tsc'), ['-b', ...pretty], { cwd: ROOT, encoding: 'utf8', maxBuffer: OUTPUT_MAX_BYTES });
  if (result.status !== 0) fail('The sources do not compile: see above', result);
  checkPerl();
  joinPrograms();
  makeDocs();
  if (builtAtMs() !== before) console.error(`rsio: built in ${secondsSince(startMs)}`);
}

/** Checks the Perl programs below `root` if one of them has changed. Ends the process if a program does not compile. */
export function checkPerl(root = ROOT, command = 'perl') {
  const stamp = join(root, 'dist/.perl-checked');
  const checkedAtMs = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  const files = perlFiles(root);
  if (files.every((file) => statSync(file).mtimeMs <= checkedAtMs)) return 'unchanged';
  const problems = perlProblems(files, command);
  if (problems === null) {
    console.error('rsio: perl is not installed: the Perl programs are not checked');
    return 'skipped';
  }
  if (problems !== '') fail('A Perl program does not compile: see above', { stderr: problems });
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(stamp, '');
  return 'checked';
}

/** Makes everything that `npm start`, `npm test` and `npm run bench` need. */
export function prepare() {
  install();
  build();
}

function isInstalled(wanted) {
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== wanted) return false;
  return (
    existsSync(tool('tsc')) && workspaceFolders().every((folder) => !hasDependencies(folder) || existsSync(join(folder, 'node_modules')))
  );
}

/** A hash of all files that determine the installation. */
function installedFingerprint() {
  const hash = createHash('sha256').update(`${PNPM} ${process.platform} ${process.arch}\n`);
  const files = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json'].map((name) => join(ROOT, name));
  for (const folder of workspaceFolders()) files.push(join(folder, 'package.json'));
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
}

function workspaceFolders() {
  const packages = readdirSync(join(ROOT, 'packages')).map((name) => join(ROOT, 'packages', name));
  return [...packages, join(ROOT, 'test'), join(ROOT, 'bench')].filter((folder) => existsSync(join(folder, 'package.json')));
}

function hasDependencies(folder) {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return Object.keys(dependencies).length + Object.keys(devDependencies).length > 0;
}

/** Makes the documents if a source was compiled, or a page or a script changed, after they were made. */
function makeDocs() {
  const folders = [PAGES, join(ROOT, 'docs'), join(ROOT, 'scripts')];
  const sources = folders.flatMap((folder) => [folder, ...readdirSync(folder).map((name) => join(folder, name))]);
  const madeAtMs = existsSync(DOCS_STAMP) ? statSync(DOCS_STAMP).mtimeMs : 0;
  if (Math.max(builtAtMs(), ...sources.map((file) => statSync(file).mtimeMs)) <= madeAtMs) return;
  const script = join(ROOT, 'scripts/docs.mjs');
  const result = spawnSync(process.execPath, [script], { cwd: ROOT, encoding: 'utf8', maxBuffer: OUTPUT_MAX_BYTES });
  if (result.status !== 0) fail('The documents could not be made: see above', result);
}

/** Bundles the programs if a source was compiled after the last bundling. */
function joinPrograms() {
  const compiledAtMs = builtAtMs();
  const programs = Object.entries(PROGRAMS).flatMap(([name, entries]) => entries.map((entry) => programFile(name, entry)));
  const code = Object.entries(PROGRAMS).flatMap(([name, entries]) => entries.map((entry) => codeFile(bundleFile(name, entry))));
  const files = [...programs, ...code, HUNT.bundle, COMMANDS, join(FAULTY_SERVER, 'bin/rssrv')];
  if (files.every((file) => existsSync(file) && statSync(file).mtimeMs > compiledAtMs)) return;
  const script = join(ROOT, 'scripts/bundle.mjs');
  const result = spawnSync(process.execPath, [script], { cwd: ROOT, encoding: 'utf8', maxBuffer: OUTPUT_MAX_BYTES });
  if (result.status !== 0) fail('The programs could not be bundled: see above', result);
}

/** Time at which the compiler last wrote a file; 0: it has never written one. */
function builtAtMs() {
  const infos = workspaceFolders().map((folder) => join(folder, 'dist/.tsbuildinfo'));
  return Math.max(0, ...infos.filter((file) => existsSync(file)).map((file) => statSync(file).mtimeMs));
}

function fail(sentence, result) {
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  const cause = result.error === undefined ? '' : ` (${result.error.message})`;
  console.error(`rsio: ${sentence}${cause} [E_NOT_BUILT]`);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) prepare();
