// What strangers may write into the log within a time, and that what is left out is told.
// Leaves who is a stranger to the listener.

import { expect, test } from 'vitest';
import { REFUSALS_LOGGED_MAX, REFUSALS_LOG_MS } from '@rsio/protocol/limits';
import { FakeClock } from '@rsio/protocol/testing/fake-clock';
import { StrangersLog } from './strangers-log.ts';

function scene(): { clock: FakeClock; lines: string[]; log: StrangersLog } {
  const clock = new FakeClock();
  const lines: string[] = [];
  return { clock, lines, log: new StrangersLog(clock, { warn: (line) => lines.push(line) }) };
}

test('a thousand refusals a second do not fill the log', () => {
  const { clock, lines, log } = scene();
  for (let refusal = 0; refusal < 60_000; refusal++) {
    log.warn(`Refused ${refusal}`);
    clock.advance(1);
  }
  clock.advance(REFUSALS_LOG_MS);
  const times = Math.ceil(60_000 / REFUSALS_LOG_MS) + 1;
  expect(lines.length).toBeLessThanOrEqual(times * (REFUSALS_LOGGED_MAX + 1));
  expect(lines).toContain(`Refused ${REFUSALS_LOGGED_MAX - 1}`);
  expect(lines).not.toContain(`Refused ${REFUSALS_LOGGED_MAX}`);
  const told = lines.flatMap((line) => /^(\d+) more connections/.exec(line)?.[1] ?? []).reduce((sum, count) => sum + Number(count), 0);
  expect(told + lines.filter((line) => line.startsWith('Refused')).length).toBe(60_000);
  expect(clock.timersPending).toBe(0);
});

test('few are all logged, also after a quiet time', () => {
  const { clock, lines, log } = scene();
  for (let minute = 0; minute < 3; minute++) {
    log.warn('one');
    log.warn('two');
    clock.advance(REFUSALS_LOG_MS);
  }
  expect(lines).toEqual(['one', 'two', 'one', 'two', 'one', 'two']);
});

test('what was left out is told at the end', () => {
  const { lines, log } = scene();
  for (let refusal = 0; refusal <= REFUSALS_LOGGED_MAX; refusal++) log.warn('Refused');
  log.close();
  expect(lines.at(-1)).toBe(`1 more connections were refused within ${REFUSALS_LOG_MS} ms`);
});
