// Compares the published run with its file and with the documents that quote it. `npm run figures` fills the tables in, so that no figure
// is typed by hand. markdown.ts and quoted-figures.ts make the tables, and figures-text.ts makes the file.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { figuresText } from './figures-text.ts';
import type { Results } from './markdown.ts';
import { filled, type Later, quotedParts, QUOTING_FILES, withLater } from './quoted-figures.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const GOALS_IN_README = 5;
const MISSED_IN_README_MIN = 2;
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');
const file = read('bench/results/published.json');
const published = JSON.parse(file) as Results;
const benchmarking = read('docs/BENCHMARKING.md');

test('the file has the layout that the bench writes', () => {
  expect(figuresText(published)).toBe(file);
});

const results = withLater(published, JSON.parse(read('bench/results/later.json')) as Later);
const parts = quotedParts(results);

test.each(QUOTING_FILES)('%s has the figures as they are in bench/results: else run npm run figures', (path) => {
  const text = read(path);
  expect(text).toContain('<!-- figures: ');
  expect(filled(text, parts)).toBe(text);
});

test('each table is quoted, and README has five goals, missed ones among them', () => {
  const all = QUOTING_FILES.map(read).join('\n');
  expect([...parts.keys()].filter((name) => !all.includes(`<!-- figures: ${name} -->`))).toEqual([]);
  const shown = (parts.get('readme-goals') ?? []).slice(2);
  expect(shown).toHaveLength(GOALS_IN_README);
  const missed = (lines: readonly string[]): number => lines.filter((line) => line.includes('**not met**')).length;
  expect(missed(shown)).toBeGreaterThanOrEqual(Math.min(MISSED_IN_README_MIN, missed(parts.get('goals') ?? [])));
});

test('a figure that was measured again replaces the earlier one, and is judged by the same bound', () => {
  const goal = { what: 'a', aim: '<= 1.2 x nbdkit', measured: { median: 2, min: 2, max: 2 }, digits: 1, isMet: false };
  const base = { ...published, sheets: [], goals: [goal] };
  const again = { median: 1.2, min: 1, max: 1.3 };
  expect(withLater(base, { sheets: [], goals: [{ what: 'a', measured: again }] }).goals).toEqual([
    { ...goal, measured: again, isMet: true },
  ]);
  expect(() => withLater(base, { sheets: [], goals: [{ what: 'b', measured: again }] })).toThrow('lacks b');
});

test('docs/BENCHMARKING.md fits into 40 KB', () => {
  expect(Buffer.byteLength(benchmarking)).toBeLessThanOrEqual(40_960);
});

test("README's figures of RSIO beside nbdkit are in docs/BENCHMARKING.md", () => {
  const heading = '| | RSIO | nbdkit, one address | nbdkit, load spread over all addresses | nbdkit over MPTCP |\n';
  const [readme = '', page = ''] = [read('README.md'), benchmarking].map((text) => text.split(heading)[1]?.split('\n\n')[0]);
  expect(readme.split('\n').length).toBeGreaterThan(GOALS_IN_README);
  expect(page).toBe(readme);
});

test('the published run is complete: each goal has a figure, and nothing failed', () => {
  expect(published.goals.filter(({ measured }) => measured === null).map(({ what }) => what)).toEqual([]);
  expect([published.absent, published.failed, published.notMeasured]).toEqual([[], [], []]);
});
