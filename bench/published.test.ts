// The published run against its file and the documents that quote it. Tables of documents are printed from the file
// (`npm run bench -- --table`), so that no figure is typed.
// For the tables see markdown.ts, for the file figures-text.ts.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { figuresText } from './figures-text.ts';
import { conditionsTable, coresTable, goalsTable, type Results, rowsTable } from './markdown.ts';
import { sheetMarkdown } from './sheet.ts';

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

const { rows, sheets, goals } = published;
test.each([
  ['conditions', conditionsTable(published)],
  ['goals', goalsTable(goals)],
  ...sheets.map((sheet): [string, string[]] => [sheet.name, sheetMarkdown(sheet)]),
  ['IOPS per server core', coresTable(rows)],
  ['all figures of all rows', rowsTable(rows)],
])('docs/BENCHMARKING.md has the table of the published run: %s', (_, lines) => {
  expect(benchmarking).toContain(`\n${lines.join('\n')}\n`);
});

test("README has five of the goals with the file's figures, missed ones among them, and says how many were met", () => {
  const readme = read('README.md');
  const shown = goalsTable(goals).filter((line) => readme.includes(`\n${line}\n`));
  // Two lines are the heading.
  expect(shown).toHaveLength(GOALS_IN_README + 2);
  expect(shown.filter((line) => line.includes('**not met**')).length).toBeGreaterThanOrEqual(MISSED_IN_README_MIN);
  const met = goals.filter(({ isMet }) => isMet === true).length;
  expect(readme.replaceAll('\n', ' ')).toContain(`Of ${goals.length} goals, ${met} were met and ${goals.length - met} were missed`);
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
