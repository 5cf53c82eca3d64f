// The figures that documents quote: the figures of the published run, or later measurements that replace them. `npm run figures` fills the
// figures in between markers of the documents. Pure; fill-figures.ts reads and writes the files. Invariants: each later figure replaces a
// figure of the published run; if a goal or section was renamed, there is no figure to replace, and `withLater` throws. Only the text
// between markers changes.

import { conditionsTable, coresTable, goalsTable, type Results, rowsTable } from './markdown.ts';
import { type Sheet, sheetMarkdown } from './sheet.ts';
import type { GoalResult } from './goals.ts';
import type { Spread } from './summary.ts';

/** Figures that were measured again after the published run. */
export interface Later {
  readonly sheets: readonly Sheet[];
  readonly goals: readonly { readonly what: string; readonly measured: Spread }[];
}

export const QUOTING_FILES = ['README.md', 'docs/BENCHMARKING.md', 'bench/results/all-rows.md'];

const SHORT_ROWS = [
  'read-8k-d1',
  'write-8k-d1',
  'read-8k-d32',
  'write-8k-d32',
  'read-8k-d128',
  'write-8k-d128',
  'seqread-1m-d8',
  'seqwrite-1m-d8',
  'read-8k-d128-x4',
  'read-8k-d32-uncached',
];
const README_GOALS = [
  '8 KiB random reads, depth 128, IOPS per server core',
  '4 KiB reads, depth 1, p50',
  'fio, NBD frontend, one path, rssrv: 8 KiB reads, depth 32, IOPS',
  'garbage-collection pauses, p99.9, rsiod',
  'time until 1,000 clients are all back after a server was killed',
];
const BEGIN = /^<!-- figures: (\S+) -->$/;
const END = '<!-- end -->';

export function withLater(results: Results, later: Later): Results {
  const sheets = replaced(
    results.sheets,
    later.sheets,
    ({ name }) => name,
    (_, sheet) => sheet,
  );
  const goals = replaced(
    results.goals,
    later.goals,
    ({ what }) => what,
    (goal, { measured }) => ({ ...goal, measured, isMet: isMet(goal, measured) }),
  );
  return { ...results, sheets, goals };
}

function replaced<O, N>(olds: readonly O[], news: readonly N[], key: (one: O | N) => string, join: (old: O, by: N) => O): O[] {
  const unknown = news.filter((one) => !olds.some((old) => key(old) === key(one)));
  if (unknown.length > 0) throw new Error(`The published run lacks ${unknown.map(key).join(', ')}: correct bench/results/later.json`);
  return olds.map((old) => {
    const by = news.find((one) => key(one) === key(old));
    return by === undefined ? old : join(old, by);
  });
}

function isMet({ aim }: GoalResult, { median }: Spread): boolean {
  const [, sign, bound] = /^([<>]=) ([\d.]+)/.exec(aim) ?? [];
  return sign === '<=' ? median <= Number(bound) : median >= Number(bound);
}

/** Returns the lines of each part by the name of its marker. `results` already includes the later figures. */
export function quotedParts(results: Results): ReadonlyMap<string, readonly string[]> {
  const { rows, sheets, goals } = results;
  const met = goals.filter((goal) => goal.isMet === true).length;
  const parts: [string, readonly string[]][] = [
    ['conditions', conditionsTable(results)],
    ['goals', goalsTable(goals)],
    ['cores', coresTable(rows)],
    ['cores-short', coresTable(rows.filter(({ row }) => SHORT_ROWS.includes(row.name)))],
    ['rows', rowsTable(rows)],
    ['readme-goals', goalsTable(README_GOALS.flatMap((what) => goals.find((goal) => goal.what === what) ?? []))],
    [
      'readme-count',
      [
        `Of ${goals.length} goals, ${met} were met and ${goals.length - met} ${goals.length - met === 1 ? 'was' : 'were'} missed. Five of them:`,
      ],
    ],
    ...sheets.map((sheet): [string, readonly string[]] => [sheet.name, sheetMarkdown(sheet)]),
  ];
  return new Map(parts);
}

/** Returns the text with the parts between markers replaced. */
export function filled(text: string, parts: ReadonlyMap<string, readonly string[]>): string {
  const lines: string[] = [];
  let isMade = false;
  for (const line of text.split('\n')) {
    const name = BEGIN.exec(line)?.[1];
    if (line === END) isMade = false;
    if (!isMade) lines.push(line);
    if (name === undefined) continue;
    const part = parts.get(name);
    if (part === undefined) throw new Error(`No figures ${name}: use one of ${[...parts.keys()].join(', ')}`);
    lines.push('', ...part, '');
    isMade = true;
  }
  // Without an end marker, all text after the figures would be lost.
  if (isMade) throw new Error(`No line ${END} behind the figures`);
  return lines.join('\n');
}
