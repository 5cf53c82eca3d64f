// Tests which lines of a room a seed chooses, and the figures and lines that a report of Stryker becomes. No test here runs Stryker.

import { expect, test } from 'vitest';
import { resultOf, sampleOf } from './mutants.mjs';

/** A file with `count` lines, each of which can have a mutant. */
const file = (count) => Array.from({ length: count }, (_, index) => `call(${index});`).join('\n');
const FILES = new Map([
  ['a.ts', file(40)],
  ['b.ts', file(100)],
  ['texts.ts', `// One line.\n\nimport { one } from './one.mjs';\n/** Two lines,\n * of words. */\n}\n});\n`],
]);

test('a large sample has each block with a line that can have a mutant, once', () => {
  const all = sampleOf(FILES, { mutants: 1000, seed: '1' });
  const blocks = [
    'a.ts:1-15',
    'a.ts:16-30',
    'a.ts:31-40',
    'b.ts:1-15',
    'b.ts:16-30',
    'b.ts:31-45',
    'b.ts:46-60',
    'b.ts:61-75',
    'b.ts:76-90',
  ];
  expect(all).toEqual([...blocks, 'b.ts:91-100']);
});

test('a sample ends with the block that completes its mutants, and the same seed repeats it', () => {
  const one = sampleOf(FILES, { mutants: 40, seed: '1' });
  expect(one.length).toBeGreaterThanOrEqual(3);
  expect(one.length).toBeLessThanOrEqual(4);
  expect(sampleOf(FILES, { mutants: 40, seed: '1' })).toEqual(one);
  const seeds = Array.from({ length: 10 }, (_, seed) => sampleOf(FILES, { mutants: 40, seed: String(seed) }).join(' '));
  expect(new Set(seeds).size).toBeGreaterThan(1);
});

test('a larger sample has all blocks of the smaller one, also if a file is new', () => {
  const small = sampleOf(FILES, { mutants: 40, seed: '1' });
  expect(sampleOf(FILES, { mutants: 80, seed: '1' })).toEqual(expect.arrayContaining(small));
  expect(sampleOf(new Map([...FILES, ['c.ts', file(15)]]), { mutants: 1000, seed: '1' })).toEqual(expect.arrayContaining(small));
});

test('a report counts each kind of mutant, and lists in the order of lines what no test noticed', () => {
  const source = 'if (a > b) {\n  stop(1);\n}\nreturn c;\n';
  const at = (line, column, endLine, endColumn) => ({ start: { line, column }, end: { line: endLine, column: endColumn } });
  const mutants = [
    { status: 'NoCoverage', location: at(4, 8, 4, 9), replacement: '!c' },
    { status: 'Killed', location: at(1, 5, 1, 10), replacement: 'a >= b' },
    { status: 'Timeout', location: at(1, 5, 1, 10), replacement: 'true' },
    { status: 'Survived', location: at(1, 12, 3, 2), replacement: '{}' },
    { status: 'Ignored', location: at(4, 8, 4, 9), replacement: '""' },
  ];
  expect(resultOf({ files: { 'a.ts': { source, mutants } } })).toEqual({
    mutants: 4,
    Killed: 1,
    Timeout: 1,
    Survived: 1,
    NoCoverage: 1,
    percent: 50,
    survivors: ['a.ts:1: { stop(1); }  ->  {}', 'a.ts:4: not covered: c  ->  !c'],
  });
  expect(resultOf({ files: {} })).toMatchObject({ mutants: 0, percent: 0, survivors: [] });
});
