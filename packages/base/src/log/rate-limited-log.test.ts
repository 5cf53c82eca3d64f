// Tests how many lines of each kind peers can cause in the log within an interval, and the report about omitted lines. The callers of the
// log choose the kinds.

import { expect, test } from 'vitest';
import { RATE_LIMITED_KINDS_MAX, RATE_LIMITED_LINES_MAX, RATE_LIMITED_LINES_MIN, RATE_LIMITED_LOG_MS } from './limits.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { RateLimitedLog } from './rate-limited-log.ts';

function scene(): { clock: FakeClock; lines: string[]; log: RateLimitedLog; say: (kind: string, line?: string) => void } {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = new RateLimitedLog(clock, { warn: (line) => lines.push(line) });
  return { clock, lines, log, say: (kind, line = kind) => log.note(kind, () => lines.push(line)) };
}

test('a thousand lines a second do not fill the log, and all are accounted for', () => {
  const { clock, lines, say } = scene();
  for (let count = 0; count < 120_000; count++) {
    say('Paths of node big-2', `joined ${count}`);
    clock.advance(1);
  }
  clock.advance(RATE_LIMITED_LOG_MS);
  expect(lines.length).toBeLessThanOrEqual((Math.ceil(120_000 / RATE_LIMITED_LOG_MS) + 1) * (RATE_LIMITED_LINES_MAX + 1));
  expect(lines).toContain(`joined ${RATE_LIMITED_LINES_MAX - 1}`);
  expect(lines).not.toContain(`joined ${RATE_LIMITED_LINES_MAX}`);
  const dropped = lines.flatMap((line) => /^Paths of node big-2: (\d+) more lines/.exec(line)?.[1] ?? []).map(Number);
  expect(dropped.reduce((sum, count) => sum + count, 0) + lines.filter((line) => line.startsWith('joined')).length).toBe(120_000);
  expect(clock.timersPending).toBe(0);
});

test('at level debug no line is dropped', () => {
  const lines: string[] = [];
  const clock = new FakeClock();
  const log = new RateLimitedLog(clock, { isDebug: true, warn: (line) => lines.push(line) });
  for (let count = 0; count < 1_000; count++) log.note('Paths of node big-2', () => lines.push('joined'));
  expect([lines.length, clock.timersPending]).toEqual([1_000, 0]);
});

test('one kind does not silence another, and few lines need no timer', () => {
  const { clock, lines, say } = scene();
  for (let count = 0; count < RATE_LIMITED_LINES_MAX; count++) say('big-2');
  expect(clock.timersPending).toBe(0);
  for (let count = 0; count < 1_000; count++) say('big-2');
  say('venus');
  expect(lines.at(-1)).toBe('venus');
});

test('few lines are all logged, also after a quiet time', () => {
  const { clock, lines, say } = scene();
  for (let minute = 0; minute < 3; minute++) {
    for (let count = 0; count < RATE_LIMITED_LINES_MAX; count++) say('one');
    clock.advance(RATE_LIMITED_LOG_MS);
  }
  expect(lines).toHaveLength(3 * RATE_LIMITED_LINES_MAX);
});

// Regression: two hosts with one name, or one client that logs in again and again, filled the log at the full rate for ever.
test('a flood that lasts gets fewer lines each minute, and one that has ended all of them again', () => {
  const { clock, lines, say } = scene();
  const minutes = Array.from({ length: 8 }, () => {
    const before = lines.length;
    for (let count = 0; count < 150; count++) {
      say('Hosts', 'in');
      clock.advance(RATE_LIMITED_LOG_MS / 150);
    }
    return lines.slice(before).filter((line) => line === 'in').length;
  });
  expect(minutes.slice(0, 4)).toEqual([32, 16, 8, 4]);
  expect(Math.max(...minutes.slice(4))).toBe(RATE_LIMITED_LINES_MIN);
  clock.advance(2 * RATE_LIMITED_LOG_MS);
  say('Hosts', 'in');
  clock.advance(RATE_LIMITED_LOG_MS);
  lines.length = 0;
  for (let count = 0; count < RATE_LIMITED_LINES_MAX; count++) say('Hosts', 'in');
  expect(lines).toHaveLength(RATE_LIMITED_LINES_MAX);
});

test('dropped lines are reported at the end', () => {
  const { clock, lines, log, say } = scene();
  for (let count = 0; count <= RATE_LIMITED_LINES_MAX; count++) say('NBD connections');
  log.close();
  expect(lines.at(-1)).toBe('NBD connections: 1 more line of this kind within 60 s');
  expect(clock.timersPending).toBe(0);
});

test('a flood of new kinds shares the remaining lines', () => {
  const { clock, lines, say } = scene();
  for (let count = 0; count < 10 * RATE_LIMITED_KINDS_MAX; count++) say(`kind ${count}`);
  expect(lines.length).toBeLessThanOrEqual(RATE_LIMITED_KINDS_MAX + RATE_LIMITED_LINES_MAX);
  clock.advance(RATE_LIMITED_LOG_MS);
  expect(lines.at(-1)).toMatch(/^Others: \d+ more lines of this kind within 60 s$/);
  say('a new one');
  expect(lines.at(-1)).toBe('a new one');
});
