// Tests a sheet as text and as markdown with hand-made figures: every figure with its digits, a missing figure as a dash.
// Nothing is measured.

import { expect, test } from 'vitest';
import { type Sheet, sheetMarkdown, sheetText, spreadText } from './sheet.ts';
import { once } from './summary.ts';

const SHEET: Sheet = {
  name: 'links',
  title: 'rsiod over links',
  columns: [
    { heading: 'MB/s', digits: 0 },
    { heading: 'cores', digits: 2 },
  ],
  lines: [
    { what: '1 link', values: [{ median: 116.4, min: 90, max: 117.6 }, once(0.071)] },
    { what: '8 links', values: [once(930), null] },
  ],
  notes: ['all share the cores'],
};

test('a figure has its digits, and its bounds if it was measured more than once', () => {
  expect([spreadText({ median: 1.25, min: 1, max: 2 }, 1), spreadText(once(3), 2)]).toEqual(['1.3 (1.0-2.0)', '3.00']);
});

test('as text, its columns are aligned', () => {
  expect(sheetText(SHEET).split('\n')).toEqual([
    'rsiod over links  [links]',
    '           MB/s          cores',
    '  1 link   116 (90-118)  0.07',
    '  8 links  930           -',
    '  Note: all share the cores',
    '',
  ]);
});

test('as markdown, it is a table below its title, with its notes at the end', () => {
  expect(sheetMarkdown(SHEET)).toEqual([
    'rsiod over links:',
    '',
    '|  | MB/s | cores |',
    '| --- | --- | --- |',
    '| 1 link | 116 (90-118) | 0.07 |',
    '| 8 links | 930 | - |',
    '',
    'all share the cores.',
  ]);
});
