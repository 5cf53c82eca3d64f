// The files that the joined programs look for beside themselves (helpers, the version, a worker's program): each is where the program, as it is
// built, looks for it. A module that is joined stands elsewhere than its source: a wrong place is seen by no test of the module.
// Leaves what the helpers do to the tests of who starts them. Invariant: a way to find a file that this test cannot follow is red.

import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { joined } from './bundle.mjs';
import { PROGRAMS, programFile, ROOT } from './prepare.mjs';

const PLACED = /new URL\(([^,]+), import\.meta\.url\)/g;
/** Libraries, which are found by their names; and a question that finds nothing. */
const BY_NAME = /(requireFrom|createRequire\d*)\(import\.meta\.url\)|import\.meta\.url\.endsWith\(/g;
const HELPER_CALL = /\bhelperFile\d*\(([^)]*)\)/g;

/** Made by the build, from the same sources. */
const BUILT = new Set(Object.entries(PROGRAMS).flatMap(([name, entries]) => entries.map((entry) => programFile(name, entry))));

/** Names of helpers that a program asks for; a name that is worked out is told as it is written, and is no file. */
function helperNames(text) {
  const calls = [...text.matchAll(HELPER_CALL)].filter(({ index }) => !text.slice(0, index).endsWith('function '));
  return [...new Set(calls.map(([, argument]) => argument.replace(/^["'](.*)["']$/, '$1')))];
}

/** Files that a program finds by its own place. */
function placedFiles({ path, text }) {
  const helpers = helperNames(text);
  const places = [...text.matchAll(PLACED)].flatMap(([, place]) => [...place.matchAll(/(["'`])(\.[^"'`]*)\1/g)].map(([, , one]) => one));
  const names = places.flatMap((place) => (place.includes('${') ? helpers.map((name) => place.replace(/\$\{[^}]*\}/, name)) : [place]));
  return names.filter((name) => !name.endsWith('.ts')).map((name) => fileURLToPath(new URL(name, pathToFileURL(path))));
}

test.each(Object.keys(PROGRAMS))('the built programs of %s find every file that they look for by their own place', (name) => {
  for (const file of joined(name, 'src')) {
    const left = file.text.replaceAll(PLACED, '').replaceAll(BY_NAME, '');
    expect(left.match(/.*import\.meta\.(url|dirname|filename).*/g), `${file.path} finds a file in a way of its own`).toBe(null);
    const files = placedFiles(file);
    expect(files.filter((one) => !existsSync(one) && !BUILT.has(one))).toEqual([]);
  }
});

test.each(['rssrv', 'rsiod'])('each helper of %s is one that its built programs ask for', (name) => {
  const folder = join(ROOT, 'packages', name, 'helpers');
  const asked = new Set(joined(name, 'src').flatMap(placedFiles));
  const helpers = readdirSync(folder).map((file) => join(folder, file));
  expect(helpers.length).toBeGreaterThan(1);
  expect(helpers.filter((file) => !asked.has(file)).map((file) => basename(file))).toEqual([]);
});
