// Tests how many lines a path leaves in the log while its server is away, and that what changes is said at
// once. test/integration/refusals.test.ts has the lines of real daemons.

import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { FailedTries } from './failed-tries.ts';
import { FAILED_TRIES_LOG_MAX_MS, FAILED_TRIES_LOGGED_MAX } from './limits.ts';

const TRY_MS = 5_000;
const DAY_MS = 24 * 60 * 60_000;

function fail(tries: FailedTries, code: ErrorCode, nowMs: number): string | null {
  const error = new RsError(code, 'No connection');
  return tries.changed(
    { lastError: error, lastErrorSentence: error.message },
    { from: 'connecting', to: 'down', reason: error.message },
    nowMs,
  );
}

/** Returns the ends of the lines of a path that fails for this long. */
function away(tries: FailedTries, fromMs: number, forMs: number): string[] {
  const lines: string[] = [];
  for (let nowMs = fromMs; nowMs < fromMs + forMs; nowMs += TRY_MS) {
    const line = fail(tries, 'E_UNREACHABLE', nowMs);
    if (line !== null) lines.push(line);
  }
  return lines;
}

// Regression: each path left 8 to 14 lines a minute for as long as its server was away.
test('the first failures are logged, and then one in ten minutes, with the number of the others', () => {
  const tries = new FailedTries();
  const [first, second, third, fourth, ...others] = away(tries, 0, DAY_MS);
  expect([first, second, third]).toEqual(['', '', '']);
  expect(fourth).toBe(' (11 more attempts failed since the last line)');
  expect(others.length).toBeLessThanOrEqual(1 + DAY_MS / FAILED_TRIES_LOG_MAX_MS);
  expect(others.at(-1)).toBe(' (119 more attempts failed since the last line)');
  expect(FAILED_TRIES_LOGGED_MAX).toBe(3);
});

test('another kind of failure is said at once, and two that alternate are no flood', () => {
  const tries = new FailedTries();
  away(tries, 0, DAY_MS);
  expect(fail(tries, 'E_AUTH', DAY_MS)).toContain('more attempts');
  expect(fail(tries, 'E_UNREACHABLE', DAY_MS + TRY_MS)).toBeNull();
  expect(fail(tries, 'E_AUTH', DAY_MS + 2 * TRY_MS)).toBeNull();
});

test('after a connection, all is said again', () => {
  const tries = new FailedTries();
  away(tries, 0, DAY_MS);
  const none = { lastError: null, lastErrorSentence: null };
  expect(tries.changed(none, { from: 'proving', to: 'up', reason: '' }, DAY_MS)).toBe('');
  expect(tries.changed(none, { from: 'up', to: 'down', reason: 'Lost' }, DAY_MS)).toBe('');
  expect(away(tries, DAY_MS, 3 * TRY_MS)).toEqual(['', '', '']);
});
