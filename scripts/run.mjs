// `node scripts/run.mjs NAME [ARGUMENT...]`: prepares the checkout and runs one program of test/ or bench/ with these arguments; the
// scripts of package.json use it. Without a name, it prints the table of programs. test/drill/main.ts has the table of the drills and
// measurements: `npm run drill -- sites --rounds 3`.
// Invariant: a compiled program runs in this process, so that it owns signals and the terminal. A program from sources runs in its own
// process, its errors name source lines, and signals and its exit code are passed on; the daemons always run from the build.

import './node-version.mjs';

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.mjs';

const EXIT_USAGE = 2;

/** `run`: `compiled` if speed matters or other programs are measured, `source` if errors should name source lines. `words`: come before the arguments. */
export const PROGRAMS = {
  start: { run: 'compiled', entry: 'test/demo/main.ts', what: 'the demo: a server and a client on this machine' },
  bench: { run: 'compiled', entry: 'bench/main.ts', what: 'measures server and client beside other servers' },
  sim: { run: 'compiled', entry: 'test/sim/main.ts', what: 'runs seeds of the deterministic simulator' },
  models: { run: 'source', entry: 'test/models/main.ts', what: 'searches the states of small models of the rules' },
  zoo: { run: 'compiled', entry: 'test/sim/zoo/main.ts', what: 'breaks one rule at a time and finds it with the simulator' },
  conformance: { run: 'compiled', entry: 'test/conformance/main.ts', what: 'checks a server against every rule of docs/PROTOCOL.md' },
  fuzz: { run: 'source', entry: 'test/fuzz/main.ts', what: 'sends wrong and hostile input of every kind' },
  drill: { run: 'source', entry: 'test/drill/main.ts', words: ['drill'], what: 'plays one drill; without a name, lists the drills' },
  measure: { run: 'source', entry: 'test/drill/main.ts', words: ['measure'], what: 'makes one measurement; without a name, lists them' },
};

/** Lists the programs. */
export function usage() {
  const lines = Object.entries(PROGRAMS).map(([name, one]) => `  ${name.padEnd(17)}${one.what}\n`);
  return `usage: node scripts/run.mjs NAME [ARGUMENT...]\n${lines.join('')}The arguments belong to the program.\n`;
}

/** The compiled file of an entry, in the dist folder of its workspace package. */
export function compiledFile(entry) {
  return entry.replace(/^([^/]+)\//, '$1/dist/').replace(/\.ts$/, '.js');
}

async function runCompiled(entry, args) {
  const path = compiledFile(entry);
  const file = join(ROOT, path);
  if (!existsSync(file)) {
    console.error(`rsio: ${path} is missing from this checkout: run npm run build [E_NOT_BUILT]`);
    process.exit(1);
  }
  process.argv.splice(1, process.argv.length, file, ...args);
  await import(pathToFileURL(file).href);
}

async function runSource(entry, args) {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const program = ['--conditions=@rsio/source', '--import', tsx, join(ROOT, entry), ...args];
  const child = spawn(process.execPath, program, { stdio: 'inherit' });
  // The program decides what a signal ends.
  for (const how of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(how, () => child.kill(how));
  const [code] = await once(child, 'exit');
  process.exitCode = code ?? 1;
}

async function main([name, ...rest]) {
  if (name === undefined || name === '--help') return void process.stdout.write(usage());
  if (!Object.hasOwn(PROGRAMS, name)) {
    process.stderr.write(`run: Unknown program "${name}": see the list below [E_USAGE]\n${usage()}`);
    process.exit(EXIT_USAGE);
  }
  prepare();
  const { run, entry, words = [] } = PROGRAMS[name];
  // Remove the `--` before the arguments, because pnpm passes it on.
  const args = [...words, ...rest.filter((argument) => argument !== '--')];
  await (run === 'compiled' ? runCompiled(entry, args) : runSource(entry, args));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
