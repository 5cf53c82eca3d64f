// Compares docs/internals/drbd-questions.md with the tree: each row has an answer, and each file, title of a test and mutant that it names
// exists. Whether a test really answers its question is for readers to judge.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './prepare.mjs';

/** The tests of the suite, and the questions from changes of DRBD 9.3. */
const [NAMES, CHANGES] = [144, 5];
const ABSENT = 'does not exist here, because ';
const REASON_MIN_CHARACTERS = 20;

const page = readFileSync(join(ROOT, 'docs/internals/drbd-questions.md'), 'utf8');
const rows = page
  .match(/^\|.*\|$/gm)
  .filter((line) => !/^\|(---|\s*name\s*\|)/.test(line))
  .map((line) => {
    const [name, question, answer, ...rest] = line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
    return { name, question, answer, rest };
  });
const foundAt = readFileSync(join(ROOT, 'test/sim/zoo/found-at.ts'), 'utf8');

/** The parts of an answer: a file with the titles of its tests, or the file of the zoo with mutants. */
function partsOf(answer) {
  return answer.split('; `').map((text) => {
    const [, path = '', named = ''] = /^`?([^`]*)` (.*)$/.exec(text) ?? [];
    const [titles, mutants] = [/^("[^"]+"(, |$))+$/, /^mutant (`[\w-]+`(, |$))+$/].map((form) => (form.test(named) ? named : ''));
    return { path, titles: [...titles.matchAll(/"([^"]+)"/g)], mutants: [...mutants.matchAll(/`([^`]+)`/g)] };
  });
}

/** What is missing of an answer; an empty list if all of it is there. */
function missingOf(answer) {
  if (answer.startsWith(ABSENT.trim())) return answer.length < ABSENT.length + REASON_MIN_CHARACTERS ? ['a reason'] : [];
  return partsOf(answer).flatMap(({ path, titles, mutants }) => {
    if (!/\.test\.(ts|mjs)$/.test(path) || !existsSync(join(ROOT, path))) return [`file ${path}`];
    if (titles.length + mutants.length === 0) return [`what ${path} has`];
    const text = readFileSync(join(ROOT, path), 'utf8');
    const isThere = (title) => ["'", '`', '"'].some((quote) => text.includes(quote + title + quote));
    return [
      ...titles.filter(([, title]) => !isThere(title)).map(([, title]) => `test ${title}`),
      ...mutants.filter(([, name]) => !foundAt.includes(`'${name}'`)).map(([, name]) => `mutant ${name}`),
    ];
  });
}

test('there is one row for each test of the suite, and for each change of 9.3', () => {
  const names = rows.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const changes = names.filter((name) => name.startsWith('9.3: '));
  expect([names.length - changes.length, changes.length]).toEqual([NAMES, CHANGES]);
  expect(names.filter((name) => !changes.includes(name) && !/^[a-z][\w-]*$/.test(name))).toEqual([]);
});

test('each row has a question and an answer, and what it names is there', () => {
  const wrong = rows.flatMap(({ name, question, answer, rest }) => {
    const missing = [...(rest.length > 0 ? ['a row of three cells'] : []), ...(question ? [] : ['a question']), ...missingOf(answer)];
    return missing.length > 0 ? [{ name, missing }] : [];
  });
  expect(wrong).toEqual([]);
});

test.each([
  ['', ['file ']],
  [ABSENT, ['a reason']],
  ['`test/none.test.ts` "it"', ['file test/none.test.ts']],
  ['`scripts/drbd-questions.test.mjs`', ['file ']],
  ['`scripts/drbd-questions.test.mjs` it', ['what scripts/drbd-questions.test.mjs has']],
  ['`scripts/documents.test.mjs` "no such test"', ['test no such test']],
  ['`test/sim/zoo/zoo.test.ts` mutant `no-such-mutant`', ['mutant no-such-mutant']],
])('%j is not there', (answer, missing) => {
  expect(missingOf(answer)).toEqual(missing);
});
