// Tests the stall watch of a volume with a fake clock. A changed policy also applies to I/O that is already waiting. path-stall.test.ts
// tests what a policy decides. Rules: G6.

import { describe, expect, test } from 'vitest';
import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { StallingClock } from '@rsio/base/testing/stalling-clock';
import { STALL_LOOK_MS } from './limits.ts';
import { StallWatch } from './path-stall.ts';

function halted(policy: 'forever' | number): { clock: FakeClock; watch: StallWatch; said: string[] } {
  const clock = new FakeClock();
  const said: string[] = [];
  const watch = new StallWatch(policy, { clock, abandon: () => said.push('given up'), report: (word) => said.push(word) });
  watch.standing('halted', true);
  clock.advance(10_000);
  return { clock, watch, said };
}

test('a shorter policy fails I/O that has waited longer, from a timer', () => {
  const { clock, watch, said } = halted('forever');
  watch.setPolicy(5_000);
  expect(said).toEqual(['waits']);
  clock.advance(1);
  expect(said).toEqual(['waits', 'gave-up', 'given up']);
});

test('a longer policy lets I/O wait on', () => {
  const { clock, watch, said } = halted(15_000);
  watch.setPolicy('forever');
  clock.advance(1_000_000);
  expect([said, watch.untilMs]).toEqual([['waits'], null]);
});

describe('while rsiod itself is stopped', () => {
  function stopped(policy: StallPolicy, hasIo: boolean): { clock: FakeClock; own: StallingClock; watch: StallWatch; said: string[] } {
    const clock = new FakeClock();
    const own = new StallingClock(clock);
    const said: string[] = [];
    const watch = new StallWatch(policy, { clock: own, abandon: () => said.push('given up'), report: (word) => said.push(word) });
    watch.standing('halted', hasIo);
    clock.advance(200);
    own.stall();
    clock.advance(60_000);
    return { clock, own, watch, said };
  }

  test.each<[StallPolicy, number]>([
    [5_000, 5_000],
    ['fail', 1_000],
  ])('stall = %s does not run, and what was received meanwhile is seen first', (policy, graceMs) => {
    const { clock, own, watch, said } = stopped(policy, true);
    own.goOn();
    clock.advance(graceMs - 1_000);
    expect(said).toEqual(['waits']);
    expect(watch.untilMs! - clock.monotonicMs()).toBeGreaterThan(0);
    clock.advance(1_000 + STALL_LOOK_MS);
    expect(said).toEqual(['waits', 'gave-up', 'given up']);
  });

  test('the stopped time does not count, also if another event comes before the timer', () => {
    const { clock, own, watch, said } = stopped('fail', false);
    watch.submitted();
    own.goOn();
    clock.advance(100);
    expect(said).toEqual(['waits']);
    clock.advance(1_000 + STALL_LOOK_MS);
    expect(said).toEqual(['waits', 'gave-up', 'given up']);
  });

  test('a time limit that passed meanwhile takes effect only after pending input was read', () => {
    const { clock, own, said } = stopped(400, true);
    own.goOn();
    expect(said).toEqual(['waits']);
    clock.advance(STALL_LOOK_MS);
    expect(said).toEqual(['waits', 'gave-up', 'given up']);
  });

  test('the reported start of the wait stays the same', () => {
    const { own, watch } = stopped(5_000, true);
    own.goOn();
    expect(watch.sinceMs).toBe(0);
  });
});

test('with fail, no timer runs once new I/O fails at once', () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const watch = new StallWatch('fail', { clock, abandon: () => said.push('given up'), report: (word) => said.push(word) });
  watch.standing('halted', false);
  expect(clock.timersPending).toBe(1);
  clock.advance(10_000);
  expect(clock.timersPending).toBe(0);
  watch.submitted();
  clock.advance(1);
  expect(said).toEqual(['waits', 'gave-up', 'given up']);
});

test('a ready volume is left alone', () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const watch = new StallWatch('forever', { clock, abandon: () => said.push('given up'), report: (word) => said.push(word) });
  watch.setPolicy(1_000);
  clock.advance(10_000);
  expect([said, watch.isReady]).toEqual([[], true]);
});
