// Tests the option --since: durations, times in the form that commands print, and the refusal of all other texts. The tests of the commands
// cover the filtered lists.

import { expect, test } from 'vitest';
import { parseSince } from './since.ts';

const NOW_MS = Date.UTC(2010, 8, 14, 15, 2, 32);

test.each([
  ['30m', NOW_MS - 1_800_000],
  ['3d', NOW_MS - 3 * 86_400_000],
  ['2010-09-14', Date.UTC(2010, 8, 14)],
  ['2010-09-14 15:02', Date.UTC(2010, 8, 14, 15, 2)],
  ['2010_09_14-15:02:32 (GMT)', NOW_MS],
  [null, null],
])('%j', (text, sinceMs) => expect(parseSince(text, NOW_MS)).toBe(sinceMs));

test.each(['', '5', 'yesterday', '2010-13-01', '2010-09-14 25:00', '-1d'])('%j is refused', (text) =>
  expect(() => parseSince(text, NOW_MS)).toThrow('Wrong --since'),
);
