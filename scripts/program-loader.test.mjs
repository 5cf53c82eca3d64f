// Tests the loader of bundled programs and the compiler beside it: compiled code is used only by the Node that made it, only for the same
// text, and only if the code is unchanged. V8 itself would accept compiled code for any text of the same length. Invariant: no file with
// compiled code can keep a program from starting.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './prepare.mjs';
import { codeFile, compile, sealed } from './program-loader.cjs';

const LOADER = join(ROOT, 'scripts/program-loader.cjs');
const COMPILER = join(ROOT, 'scripts/program-compiler.cjs');
const SEAL_BYTES = 32;

function newFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-loader-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function compiled(text) {
  const bundle = join(newFolder(), 'x.bundle.js');
  writeFileSync(bundle, text);
  const { status, stderr } = spawnSync(process.execPath, [COMPILER, bundle, '--version']);
  expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' });
  return bundle;
}

/** Runs the statement `first` and then a bundle. Returns the output. */
function run(bundle, first = '') {
  const code = `${first}; require(${JSON.stringify(LOADER)}).run(${JSON.stringify(bundle)})`;
  return spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' }).stdout;
}

/** Returns whether this Node uses the compiled code; false: V8 has rejected the code; undefined: V8 was not given the code. */
function isUsed(bundle) {
  const { cachedDataRejected } = compile(bundle);
  return cachedDataRejected === undefined ? undefined : !cachedDataRejected;
}

test('compiled code is used again for its text', () => {
  const bundle = compiled('globalThis.x = () => require("node:path").basename(__filename); console.log(x());');
  expect(isUsed(bundle)).toBe(true);
  expect(run(bundle)).toBe('x.bundle.js\n');
});

test('another text of the same length is compiled', () => {
  const bundle = compiled('console.log("one");');
  writeFileSync(bundle, 'console.log("two");');
  expect(run(bundle)).toBe('two\n');
  // Shows why the seal is needed: with a seal over another text, V8 runs the code of the first text.
  const code = readFileSync(codeFile(bundle)).subarray(SEAL_BYTES);
  writeFileSync(codeFile(bundle), sealed(readFileSync(bundle), code));
  expect(run(bundle)).toBe('one\n');
});

test('code of another Node is not given to V8', () => {
  const bundle = compiled('console.log("one");');
  const say = `const { Script } = require('node:vm'); require('node:vm').Script = class extends Script {
    constructor(text, options) { super(text, options); console.log(options.cachedData !== undefined); }
  }`;
  expect(run(bundle, say)).toBe('true\none\n');
  expect(run(bundle, `${say}; Object.defineProperty(process, 'version', { value: 'v20.19.0' })`)).toBe('false\none\n');
  expect(run(bundle, `${say}; Object.defineProperty(process, 'arch', { value: 'other' })`)).toBe('false\none\n');
});

test.each([
  ['damaged', (content) => content.fill(0, content.length / 2, content.length / 2 + 64)],
  ['cut off', (content) => content.subarray(0, content.length - 64)],
  ['empty', () => Buffer.alloc(0)],
  ['something else', () => Buffer.from('broken')],
])('compiled code that is %s is ignored', (_what, change) => {
  const bundle = compiled('console.log((() => "one")());');
  writeFileSync(codeFile(bundle), change(readFileSync(codeFile(bundle))));
  expect(isUsed(bundle)).toBe(undefined);
  expect(run(bundle)).toBe('one\n');
});

test('a program starts without compiled code, and with a file that cannot be read', () => {
  const bundle = compiled('console.log("one");');
  rmSync(codeFile(bundle));
  expect(run(bundle)).toBe('one\n');
  mkdirSync(codeFile(bundle));
  expect(run(bundle)).toBe('one\n');
});

test('the compiler compiles all bundles beside it, runs no server process, and names a bundle that fails', () => {
  const folder = newFolder();
  for (const file of [LOADER, COMPILER]) cpSync(file, join(folder, file.split('/').at(-1)));
  writeFileSync(join(folder, 'main.bundle.js'), 'console.log("main");');
  writeFileSync(join(folder, 'worker.bundle.js'), 'throw new Error("A server process has started");');
  const compileAll = () => spawnSync('sh', ['-c', 'umask 077; "$@"', 'sh', process.execPath, join(folder, 'program-compiler.cjs')]);
  expect(compileAll()).toMatchObject({ status: 0, stderr: Buffer.alloc(0) });
  for (const name of ['main', 'worker']) {
    const file = join(folder, `${name}.bundle.code`);
    expect({ used: isUsed(join(folder, `${name}.bundle.js`)), mode: statSync(file).mode & 0o777 }).toEqual({ used: true, mode: 0o644 });
  }
  writeFileSync(join(folder, 'broken.bundle.js'), 'process.exit(3);');
  const { status, stderr } = compileAll();
  expect(status).toBe(1);
  expect(String(stderr)).toMatch(/broken\.bundle\.js could not be compiled in advance, and starts more slowly/);
});
