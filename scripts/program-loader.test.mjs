// Tests the loader of bundled programs: compiled code is used only for the text from which it was compiled. V8 alone would accept it for
// another text of the same length.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './prepare.mjs';
import { codeFile, compile, hashOf } from './program-loader.cjs';

const LOADER = join(ROOT, 'scripts/program-loader.cjs');

function compiled(text) {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-loader-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const bundle = join(folder, 'x.bundle.js');
  writeFileSync(bundle, text);
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts/compile-program.cjs'), bundle, '--version']);
  expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' });
  return bundle;
}

function run(bundle) {
  const code = `require(${JSON.stringify(LOADER)}).run(${JSON.stringify(bundle)})`;
  return spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' }).stdout;
}

test('compiled code is used again for its text', () => {
  const bundle = compiled('globalThis.x = () => require("node:path").basename(__filename); console.log(x());');
  expect(compile(bundle).cachedDataRejected).toBe(false);
  expect(run(bundle)).toBe('x.bundle.js\n');
});

test('another text of the same length is compiled', () => {
  const bundle = compiled('console.log("one");');
  writeFileSync(bundle, 'console.log("two");');
  expect(run(bundle)).toBe('two\n');
  // Shows that the hash matters: with the hash of the other text, V8 runs the code of the first text.
  const code = readFileSync(codeFile(bundle));
  hashOf(readFileSync(bundle)).copy(code);
  writeFileSync(codeFile(bundle), code);
  expect(run(bundle)).toBe('one\n');
});

test('without compiled code, and with one that is broken, the text is compiled', () => {
  const bundle = compiled('console.log("one");');
  writeFileSync(codeFile(bundle), 'broken');
  expect(run(bundle)).toBe('one\n');
  rmSync(codeFile(bundle));
  expect(run(bundle)).toBe('one\n');
});
