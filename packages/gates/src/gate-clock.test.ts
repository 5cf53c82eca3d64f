// The time of gates: it goes on during a suspend, which only the wall clock shows, and never goes back.
// The age of a path depends on it. Rules: D1.

import { expect, it } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { GateClock } from './gate-clock.ts';
import { GATE_GAP_MS } from './limits.ts';

it('is the monotonic time, and adds what the wall clock alone has seen', () => {
  const clock = new FakeClock();
  const time = new GateClock(clock);
  const began = time.nowMs();
  clock.advance(500);
  expect(time.nowMs() - began).toBe(500);
  clock.jumpWall(GATE_GAP_MS - 1);
  expect(time.nowMs() - began).toBe(500);
  clock.jumpWall(60_000);
  expect([time.nowMs() - began, time.nowMs() - began]).toEqual([60_500, 60_500]);
  clock.jumpWall(-3_600_000);
  expect(time.nowMs() - began).toBe(60_500);
  clock.advance(1);
  expect(time.nowMs() - began).toBe(60_501);
});
