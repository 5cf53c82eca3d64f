// Rule D1: a gap of the event loop is found before anything else happens, by the monotonic clock or by the wall clock. AoE gates use
// it.

import { expect, it } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { StallingClock } from '@rsio/base/testing/stalling-clock';
import { GapWatch } from './gap-watch.ts';
import { GATE_GAP_MS, GATE_TICK_MS } from './limits.ts';

function scene(): { clock: FakeClock; stalling: StallingClock; watch: GapWatch; seen: string[] } {
  const clock = new FakeClock();
  const stalling = new StallingClock(clock);
  const seen: string[] = [];
  const watch = new GapWatch(
    stalling,
    (lengthMs) => seen.push(`gap ${lengthMs}`),
    () => seen.push('tick'),
  );
  watch.start();
  return { clock, stalling, watch, seen };
}

it('ticks, and finds no gap while the loop runs', () => {
  const { clock, watch, seen } = scene();
  for (let step = 0; step < 40; step++) {
    clock.advance(GATE_TICK_MS / 2);
    expect(watch.look()).toBe(false);
  }
  expect(seen).toEqual(Array.from({ length: 20 }, () => 'tick'));
});

it('finds a gap once, whether a connection or the timer looks first', () => {
  const { clock, stalling, watch, seen } = scene();
  stalling.stall();
  clock.advance(GATE_GAP_MS);
  expect([watch.look(), watch.look()]).toEqual([true, false]);
  stalling.goOn();
  expect(seen).toEqual([`gap ${GATE_GAP_MS}`, 'tick']);
  stalling.stall();
  clock.advance(GATE_GAP_MS + 5);
  stalling.goOn();
  expect(seen.slice(2)).toEqual([`gap ${GATE_GAP_MS + 5}`, 'tick']);
  expect(watch.look()).toBe(false);
});

it('a suspended machine is a gap, too: only its wall clock shows it', () => {
  const { clock, watch, seen } = scene();
  clock.jumpWall(GATE_GAP_MS);
  expect(watch.look()).toBe(true);
  expect(seen).toEqual([`gap ${GATE_GAP_MS}`]);
});

it('a shorter pause is no gap, and nothing happens after the stop', () => {
  const { clock, stalling, watch, seen } = scene();
  stalling.stall();
  clock.advance(GATE_GAP_MS - 1);
  expect(watch.look()).toBe(false);
  watch.stop();
  stalling.goOn();
  clock.advance(10 * GATE_GAP_MS);
  expect(seen).toEqual([]);
});
