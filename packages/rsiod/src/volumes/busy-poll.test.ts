// Tests busy polling with an event loop and a processor time that the test controls. A benchmark in bench/ measures the benefit of polling,
// and an integration test polls in real processes.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expectSame } from '@rsio/base/testing/quick-expect';
import { BusyPoll } from './busy-poll.ts';
import { BUSY_POLL_CORE_SHARE_MIN, BUSY_POLL_LOOK_MS, BUSY_POLL_REST_MS } from './limits.ts';

const TURN_MS = 0.002;

/** Makes an event loop in which each turn of polling takes TURN_MS. `core`: the share of this time in which the process has the core. */
function scene(limitUs: number | null = 100) {
  const clock = new FakeClock();
  const loop = { core: 1, cpuMs: 1_000, turns: 0, next: null as (() => void) | null };
  const poll = new BusyPoll({
    clock,
    nextTurn: (fire) => {
      expectSame(loop.next, null);
      loop.next = fire;
    },
    cpuMs: () => loop.cpuMs,
  });
  poll.limitUs = limitUs;
  const touch = (): void => poll.touch(clock.monotonicMs());
  /** Runs one turn; returns false if the loop would sleep. */
  const turn = (): boolean => {
    const fire = loop.next;
    loop.next = null;
    clock.advance(TURN_MS);
    loop.cpuMs += TURN_MS * loop.core;
    fire?.();
    if (fire !== null) loop.turns++;
    return loop.next !== null;
  };
  /** Runs turns for `ms`, each of them with one I/O. */
  const busyFor = (ms: number): void => {
    for (const endMs = clock.monotonicMs() + ms; clock.monotonicMs() < endMs; ) {
      touch();
      turn();
    }
  };
  return { clock, loop, poll, touch, turn, busyFor };
}

test('the loop does not sleep for the configured time after an I/O, and then it does', () => {
  const { poll, touch, turn, loop } = scene(100);
  touch();
  while (turn());
  expect(loop.turns).toBe(50);
  expect(poll.polledMs).toBeCloseTo(0.1, 6);
});

test('each further I/O begins the time again, and is not polled for twice', () => {
  const { touch, turn, loop } = scene(100);
  touch();
  for (let count = 0; count < 30; count++) turn();
  touch();
  touch();
  while (turn());
  expect(loop.turns).toBe(80);
});

test.each([null, 0])('without a time (%s), nothing is polled', (limitUs) => {
  const { touch, loop } = scene(limitUs);
  touch();
  expect(loop.next).toBeNull();
});

test('a reload ends polling at once, and begins it again', () => {
  const { poll, touch, turn } = scene(1_000);
  touch();
  expect(turn()).toBe(true);
  poll.limitUs = null;
  expect(turn()).toBe(false);
  poll.limitUs = 1_000;
  touch();
  expect(turn()).toBe(true);
});

test('it rests while others want the core, and then tries again', () => {
  const { clock, loop, poll, touch, turn, busyFor } = scene();
  loop.core = 0.5;
  busyFor(2 * BUSY_POLL_LOOK_MS);
  expect(poll.rests).toBe(1);
  expect(loop.next).toBeNull();
  const { polledMs } = poll;
  expect(polledMs).toBeLessThan(BUSY_POLL_LOOK_MS * 1.01);
  clock.advance(BUSY_POLL_REST_MS - 2 * BUSY_POLL_LOOK_MS);
  touch();
  expect(loop.next).toBeNull();
  clock.advance(2 * BUSY_POLL_LOOK_MS);
  // Processor time that the process uses while polling is paused must not count towards the share of the core.
  loop.cpuMs += 1_000;
  loop.core = 1;
  busyFor(10 * BUSY_POLL_LOOK_MS);
  expect(poll.rests).toBe(1);
  expect(turn()).toBe(true);
  expect(poll.polledMs).toBeGreaterThan(polledMs + 9 * BUSY_POLL_LOOK_MS);
});

test('the threads of the kernel do not stop it; a program that wants the core does, as soon as it comes', () => {
  const { loop, poll, busyFor } = scene();
  loop.core = BUSY_POLL_CORE_SHARE_MIN + 0.01;
  busyFor(20 * BUSY_POLL_LOOK_MS);
  expect(poll.rests).toBe(0);
  loop.core = BUSY_POLL_CORE_SHARE_MIN - 0.01;
  busyFor(2 * BUSY_POLL_LOOK_MS);
  expect(poll.rests).toBe(1);
});

test('short polls between pauses add up to a look', () => {
  const { clock, loop, poll, touch, turn } = scene(100);
  loop.core = 0.5;
  for (let count = 0; count < 300 && poll.rests === 0; count++) {
    touch();
    while (turn());
    clock.advance(0.05);
  }
  expect(poll.rests).toBe(1);
  expect(poll.polledMs).toBeLessThan(BUSY_POLL_LOOK_MS * 1.1);
});
