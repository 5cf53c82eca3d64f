// What documents say of the published run is what its file says: their tables come from `npm run bench -- --table`, and nobody types figures.
// Leaves how tables are printed to markdown.ts.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { goalsTable, markdownText, type Results } from './markdown.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');
const published = JSON.parse(read('bench/results/published.json')) as Results;

test('docs/BENCHMARKING.md has all tables of the published run', () => {
  expect(read('docs/BENCHMARKING.md')).toContain(markdownText(published).trimEnd());
});

test('README has its goals', () => {
  expect(read('README.md')).toContain(goalsTable(published.goals).join('\n'));
});

test('the published run is a whole one: no goal is without a figure, and nothing failed', () => {
  expect(published.goals.filter(({ measured }) => measured === null).map(({ what }) => what)).toEqual([]);
  expect([published.absent, published.failed, published.notMeasured]).toEqual([[], [], []]);
});
