// Waiting for another snapshot: how long, and for which errors. snapshot-rules.ts refuses a snapshot meanwhile.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { RsError } from '@rsio/base/lib/errors';
import { afterMaking } from './after-making.ts';
import { MAKING_LOOK_MS, MAKING_WAIT_MS } from './limits.ts';

function scene(code: 'E_BUSY' | 'E_EXISTS' = 'E_BUSY') {
  const clock = new FakeClock();
  const now = { isMaking: true, checks: 0, outcome: 'not yet' };
  const check = (): string => {
    now.checks++;
    if (now.isMaking) throw new RsError(code, 'Snapshot db@monday is being made');
    return 'made';
  };
  void afterMaking(clock, () => now.isMaking, check).then(
    (result) => (now.outcome = result),
    (error: Error) => (now.outcome = error.message),
  );
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += MAKING_LOOK_MS) {
      clock.advance(MAKING_LOOK_MS);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { clock, now, pass };
}

test('a command waits until the other snapshot is there', async () => {
  const { clock, now, pass } = scene();
  await pass(5 * MAKING_LOOK_MS);
  expect([now.outcome, now.checks]).toEqual(['not yet', 6]);
  now.isMaking = false;
  await pass(MAKING_LOOK_MS);
  expect([now.outcome, clock.timersPending]).toEqual(['made', 0]);
});

test('a command waits for a bounded time', async () => {
  const { clock, now, pass } = scene();
  await pass(MAKING_WAIT_MS - MAKING_LOOK_MS);
  expect(now.outcome).toBe('not yet');
  await pass(MAKING_LOOK_MS);
  expect([now.outcome, clock.timersPending]).toEqual(['Snapshot db@monday is being made', 0]);
});

test('another error is thrown at once, and so is E_BUSY for another reason', async () => {
  const { now, pass } = scene('E_EXISTS');
  await pass(0);
  await Promise.resolve();
  expect([now.outcome, now.checks]).toEqual(['Snapshot db@monday is being made', 1]);
  const busy = new RsError('E_BUSY', 'The volume is handed over');
  const check = (): never => {
    throw busy;
  };
  await expect(afterMaking(new FakeClock(), () => false, check)).rejects.toBe(busy);
});
