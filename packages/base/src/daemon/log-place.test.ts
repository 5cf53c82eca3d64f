// Tests when a daemon counts as started by systemd: if its output, or the output of the process that started it, is the stream that
// JOURNAL_STREAM names. The variable alone is not enough, because programs of a desktop session inherit it.

import { fstatSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BACKGROUND_VARIABLE } from './background-start.ts';
import { isUnderJournal, keeperLog } from './log-place.ts';

const { dev, ino } = fstatSync(2);
const OUTPUT = `${dev}:${ino}`;
const PATHS = { root: '/nowhere', logFile: '/nowhere/log', runDir: '/nowhere/run', stateDir: '/nowhere/state' };

test('the journal is chosen only if the output goes there', () => {
  expect(isUnderJournal(false, {})).toBe(false);
  expect(isUnderJournal(false, { JOURNAL_STREAM: '1:1' })).toBe(false);
  expect(isUnderJournal(false, { JOURNAL_STREAM: '1:1', RSIO_JOURNAL: '1:1' }), 'a trigger that starts a daemon').toBe(false);
  expect(isUnderJournal(false, { JOURNAL_STREAM: OUTPUT })).toBe(true);
});

test('the process in the background, and one under the keeper, learn it from the one that started them', () => {
  const environment = { JOURNAL_STREAM: OUTPUT };
  isUnderJournal(false, environment);
  expect(isUnderJournal(false, { ...environment, [BACKGROUND_VARIABLE]: '1' })).toBe(true);
  expect(isUnderJournal(true, { ...environment })).toBe(true);
  expect(isUnderJournal(true, { JOURNAL_STREAM: '1:1' })).toBe(false);
});

test('the keeper of rsiod logs where rsiod logs', () => {
  expect(keeperLog(PATHS, 'auto', false)).toBe('/nowhere/log');
  expect(keeperLog(PATHS, 'auto', true)).toBe('journal:/run/systemd/journal/socket');
  expect(keeperLog(PATHS, 'syslog', true)).toBe('syslog:/dev/log');
});
