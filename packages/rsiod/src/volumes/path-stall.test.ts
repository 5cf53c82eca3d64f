// Tests the stall policy with a fake clock: when waiting I/O is abandoned, and what is reported earlier. The tests of the trunk cover how
// I/O is abandoned, and test/integration/stall.test.ts tests real processes. Rules: E2, G7.

import { describe, expect, test } from 'vitest';
import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { DRAINING_RETRY_MS } from '@rsio/protocol/client/limits';
import { DRAINING_VALID_MS, STALL_FAIL_GRACE_MS } from './limits.ts';
import { StallWatch } from './path-stall.ts';

class Scene {
  readonly clock = new FakeClock();
  readonly seen: string[] = [];
  readonly watch: StallWatch;

  constructor(policy: StallPolicy) {
    this.watch = new StallWatch(policy, {
      clock: this.clock,
      abandon: () => {
        this.seen.push(`${this.clock.monotonicMs()} given up`);
        this.watch.idle();
      },
      report: (word) => this.seen.push(`${this.clock.monotonicMs()} ${word}`),
    });
  }
}

describe('a duration', () => {
  test('counts from the loss of the path for I/O in flight', () => {
    const { watch, clock, seen } = new Scene(2_000);
    clock.advance(500);
    watch.standing('halted', true);
    expect(watch.untilMs).toBe(2_500);
    clock.advance(1_999);
    expect(seen).toEqual(['500 waits']);
    clock.advance(1);
    expect(seen).toEqual(['500 waits', '2500 gave-up', '2500 given up']);
    expect(watch.untilMs).toBeNull();
  });

  test('counts from the arrival of the I/O if none was in flight', () => {
    const { watch, clock, seen } = new Scene(2_000);
    watch.standing('halted', false);
    clock.advance(10_000);
    watch.submitted();
    clock.advance(1_000);
    watch.submitted();
    expect(watch.untilMs).toBe(12_000);
    clock.advance(1_000);
    expect(seen).toEqual(['0 waits', '12000 gave-up', '12000 given up']);
  });

  test('I/O after the failure has a time limit of its own, and fails without another report', () => {
    const { watch, clock, seen } = new Scene(2_000);
    watch.standing('halted', true);
    clock.advance(2_500);
    watch.submitted();
    clock.advance(1_999);
    expect(seen).toHaveLength(3);
    clock.advance(1);
    expect(seen.slice(3)).toEqual(['4500 given up']);
  });

  test('nothing fails if the volume recovers in time, and the next loss has the whole time again', () => {
    const { watch, clock, seen } = new Scene(2_000);
    watch.standing('halted', true);
    clock.advance(1_900);
    watch.standing('ready', true);
    expect([watch.untilMs, clock.timersPending]).toEqual([null, 0]);
    clock.advance(10_000);
    watch.standing('halted', true);
    expect(watch.untilMs).toBe(13_900);
    expect(seen).toEqual(['0 waits', '1900 goes-on', '11900 waits']);
  });

  test('a server that recovers unanswered requests is awaited; that time is not returned if it is lost again meanwhile', () => {
    const { watch, clock, seen } = new Scene(2_000);
    watch.standing('halted', true);
    clock.advance(1_000);
    watch.standing('recovering', true);
    clock.advance(60_000);
    expect(seen).toEqual(['0 waits']);
    watch.standing('halted', true);
    clock.advance(0);
    expect(seen.slice(1)).toEqual(['61000 gave-up', '61000 given up']);
  });

  test.each<StallPolicy>([2_000, 'fail'])('stall = %s: a server that keeps reporting slow storage is awaited', (policy) => {
    const { watch, clock, seen } = new Scene(policy);
    watch.standing('halted', true);
    for (let time = 0; time < 60; time++) {
      watch.serverIsSlow('Server process 7 stands still');
      clock.advance(DRAINING_RETRY_MS);
      watch.submitted();
    }
    expect([seen, watch.serverMessage]).toEqual([['0 waits'], 'Server process 7 stands still']);
    clock.advance(DRAINING_VALID_MS - DRAINING_RETRY_MS);
    expect(watch.serverMessage).toBeNull();
    clock.advance((policy === 'fail' ? STALL_FAIL_GRACE_MS : 2_000) - 1);
    expect(seen).toEqual(['0 waits']);
    clock.advance(1);
    expect(seen.slice(1)).toEqual([expect.stringContaining('gave-up'), expect.stringContaining('given up')]);
  });

  test('no timer runs while no I/O waits', () => {
    const { watch, clock } = new Scene(2_000);
    watch.standing('halted', true);
    watch.idle();
    expect([watch.untilMs, clock.timersPending]).toEqual([null, 0]);
  });
});

test('fail: after the grace period for a reconnection all I/O fails at once, and so does later I/O', () => {
  const { watch, clock, seen } = new Scene('fail');
  watch.standing('halted', true);
  clock.advance(STALL_FAIL_GRACE_MS - 1);
  expect(seen).toEqual(['0 waits']);
  clock.advance(1);
  clock.advance(5_000);
  watch.submitted();
  expect(seen.slice(3)).toEqual([]);
  clock.advance(0);
  expect(seen).toEqual(['0 waits', '1000 gave-up', '1000 given up', '6000 given up']);
  watch.standing('ready', false);
  expect(seen.at(-1)).toBe('6000 goes-on');
});

test('forever: the wait is reported, and no timer is ever created', () => {
  const { watch, clock, seen } = new Scene('forever');
  watch.standing('halted', true);
  watch.submitted();
  expect([watch.untilMs, clock.timersPending]).toEqual([null, 0]);
  expect(seen).toEqual(['0 waits']);
});

test('a failed or closed volume waits for nothing', () => {
  const { watch, clock, seen } = new Scene(2_000);
  watch.standing('halted', true);
  watch.standing('over', true);
  clock.advance(10_000);
  expect(seen).toEqual(['0 waits']);
});
