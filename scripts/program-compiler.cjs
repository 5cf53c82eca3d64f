#!/usr/bin/node
// Keeps the code that V8 compiles for bundled programs. scripts/start-files.mjs puts a copy of this file beside the bundles. Without
// arguments, it compiles each bundle in its folder, each in its own process; the build and the maintainer scripts of packages run it in
// this way. `BUNDLE [ARGUMENT...]` compiles one bundle; if there are arguments, the program runs with them first, so that V8 also compiles
// the functions that run at its start. Invariant: the file with the code is replaced as a whole, and every user can read it.

const { spawnSync } = require('node:child_process');
const { chmodSync, readdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { codeFile, compile, run, sealed } = require('./program-loader.cjs');

const READABLE = 0o644;
/** A server process of rssrv cannot run by itself. */
const NOT_RUN = 'worker.bundle.js';

const [bundle, ...args] = process.argv.slice(2);
if (bundle === undefined) compileAll();
else compileOne();

function compileAll() {
  for (const name of readdirSync(__dirname).filter((one) => one.endsWith('.bundle.js'))) {
    const command = [__filename, path.join(__dirname, name), ...(name === NOT_RUN ? [] : ['--version'])];
    const { status, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
    if (status === 0) continue;
    console.error(`${path.join(__dirname, name)} could not be compiled in advance, and starts more slowly: ${stderr.trim()}`);
    process.exitCode = 1;
  }
}

function compileOne() {
  const script = compile(bundle);
  process.on('exit', () => {
    const file = codeFile(bundle);
    writeFileSync(`${file}.new`, sealed(readFileSync(bundle), script.createCachedData()));
    chmodSync(`${file}.new`, READABLE);
    renameSync(`${file}.new`, file);
  });
  process.argv.splice(1, process.argv.length, bundle, ...args);
  if (args.length > 0) run(bundle, script);
}
