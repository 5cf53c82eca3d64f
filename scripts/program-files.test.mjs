// Tests that every file that a bundled program finds by its own location (helpers, version, a worker's program) is where the built program
// looks. A bundled module has another location than its source, so tests of the source cannot detect a wrong path. The helpers' behaviour
// is tested with the code that starts them. Invariant: if a program locates a file in a way that this test cannot follow, the test fails.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { joined, writeVersion } from './bundle.mjs';
import { PROGRAMS, programFile, ROOT } from './prepare.mjs';

const PLACED = /new URL\(([^,]+), moduleUrl\)/g;
/** Matches uses of a module's own location that open no file, because they resolve a library by name or only compare the location. */
const BY_NAME = /createRequire\d*\)?\(moduleUrl\)|moduleUrl\.endsWith\(|const moduleUrl = /g;
const HELPER_CALL = /\bhelperFile\d*\(([^)]*)\)/g;

/** The built files of all programs. */
const BUILT = new Set(Object.entries(PROGRAMS).flatMap(([name, entries]) => entries.map((entry) => programFile(name, entry))));

/**
 * Names of the helpers that a program opens. If a program computes a name, its expression is returned; no file has that name, so the test
 * fails.
 */
function helperNames(text) {
  const calls = [...text.matchAll(HELPER_CALL)].filter(({ index }) => !text.slice(0, index).endsWith('function '));
  return [...new Set(calls.map(([, argument]) => argument.replace(/^["'](.*)["']$/, '$1')))];
}

/** Files that a program finds relative to its own location. */
function placedFiles({ path, text }) {
  const helpers = helperNames(text);
  const places = [...text.matchAll(PLACED)].flatMap(([, place]) => [...place.matchAll(/(["'`])(\.[^"'`]*)\1/g)].map(([, , one]) => one));
  const names = places.flatMap((place) => (place.includes('${') ? helpers.map((name) => place.replace(/\$\{[^}]*\}/, name)) : [place]));
  return names.filter((name) => !name.endsWith('.ts')).map((name) => fileURLToPath(new URL(name, pathToFileURL(path))));
}

test.each(Object.keys(PROGRAMS))('the built programs of %s find every file that they look for by their own place', async (name) => {
  for (const file of await joined(name, 'src')) {
    const left = file.text.replaceAll(PLACED, '').replaceAll(BY_NAME, '');
    expect(
      left.match(/.*(moduleUrl|import\.meta\.(dirname|filename)|import_meta).*/g),
      `${file.path} finds a file in a way of its own`,
    ).toBe(null);
    const files = placedFiles(file);
    expect(files.filter((one) => !existsSync(one) && !BUILT.has(one))).toEqual([]);
  }
});

test.each(['rssrv', 'rsiod'])('each helper of %s is one that its built programs ask for', async (name) => {
  const folder = join(ROOT, 'packages', name, 'helpers');
  const asked = new Set((await joined(name, 'src')).flatMap(placedFiles));
  const helpers = readdirSync(folder).map((file) => join(folder, file));
  expect(helpers.length).toBeGreaterThan(1);
  expect(helpers.filter((file) => !asked.has(file)).map((file) => basename(file))).toEqual([]);
});

test('what is built is not built again: the file that the compiler reads stays as it is', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-bundle-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'package.json');
  writeVersion(folder);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ type: 'module' });
  utimesSync(file, 1, 1);
  writeVersion(folder);
  expect(statSync(file).mtimeMs).toBe(1000);
});
