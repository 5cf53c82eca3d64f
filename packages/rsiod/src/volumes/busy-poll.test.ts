// Tests busy polling with an event loop and a processor time that the test controls. A benchmark in bench/ measures the benefit of polling,
// and an integration test polls in real processes.

import { describe, expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expectSame } from '@rsio/base/testing/quick-expect';
import { BusyPoll } from './busy-poll.ts';
import {
  BUSY_POLL_AUTO_US,
  BUSY_POLL_CORE_SHARE_MIN,
  BUSY_POLL_LOOK_MS,
  BUSY_POLL_REST_MS,
  BUSY_POLL_VAIN_MS,
  BUSY_POLL_VAIN_SHARE,
  BUSY_POLL_VAIN_SPAN_MS,
} from './limits.ts';

const TURN_MS = 0.002;

/** Makes an event loop in which each turn of polling takes TURN_MS. `core`: the share of this time in which the process has the core. */
function scene(limitUs: number | 'auto' | null = 100) {
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
  let outstanding = 0;
  const began = (): void => poll.touch(clock.monotonicMs(), ++outstanding);
  const ended = (): void => poll.touch(clock.monotonicMs(), --outstanding);
  /** A request that ends at once. */
  const touch = (): void => {
    began();
    ended();
  };
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
  /** Lets `ms` pass: the loop polls as long as it wants to, and then sleeps. */
  const pass = (ms: number): void => {
    const endMs = clock.monotonicMs() + ms;
    while (loop.next !== null && clock.monotonicMs() < endMs) turn();
    if (clock.monotonicMs() < endMs) clock.advance(endMs - clock.monotonicMs());
  };
  /** Runs turns for `ms`, each of them with one I/O. */
  const busyFor = (ms: number): void => {
    for (const endMs = clock.monotonicMs() + ms; clock.monotonicMs() < endMs; ) {
      touch();
      turn();
    }
  };
  return { clock, loop, poll, began, ended, touch, turn, pass, busyFor };
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

describe('auto', () => {
  const ANSWER_MS = 0.06;
  const THINK_MS = 0.02;

  /** One request after the other for `spans`; returns the share of the time that was polled. */
  function oneByOne(
    { clock, poll, began, ended, pass }: ReturnType<typeof scene>,
    spans: number,
    answerMs: number,
    thinkMs: number,
  ): number {
    const [beginMs, beginPolledMs] = [clock.monotonicMs(), poll.polledMs];
    while (clock.monotonicMs() < beginMs + spans * BUSY_POLL_VAIN_SPAN_MS) {
      began();
      pass(answerMs);
      ended();
      pass(thinkMs);
    }
    return (poll.polledMs - beginPolledMs) / (clock.monotonicMs() - beginMs);
  }

  test('it polls all the time while requests come one by one, and answers and requests come soon', () => {
    const all = scene('auto');
    expect(oneByOne(all, 2, ANSWER_MS, THINK_MS)).toBeGreaterThan(0.99);
    expect(all.poll.rests).toBe(0);
  });

  test('it sleeps BUSY_POLL_AUTO_US after the last request', () => {
    const { touch, turn, loop } = scene('auto');
    touch();
    while (turn());
    expect(loop.turns).toBe(BUSY_POLL_AUTO_US / 1000 / TURN_MS);
  });

  test.each([
    ['answers that take longer than a poll', 3, THINK_MS],
    ['a program that thinks longer than a poll', ANSWER_MS, 3],
    ['both', 3, 3],
  ])('for %s, it gives up after its budget, and tries again in the next span', (_what, answerMs, thinkMs) => {
    const all = scene('auto');
    const waits = [answerMs, thinkMs];
    const share = oneByOne(all, 5, answerMs, thinkMs);
    const useful = waits.filter((ms) => ms < BUSY_POLL_AUTO_US / 1000).reduce((sum, ms) => sum + ms, 0) / (answerMs + thinkMs);
    const vain = waits.filter((ms) => ms >= BUSY_POLL_AUTO_US / 1000).length;
    const most = (BUSY_POLL_VAIN_MS + BUSY_POLL_AUTO_US / 1000 + TURN_MS) / BUSY_POLL_VAIN_SPAN_MS;
    expect(share - useful).toBeLessThan(vain * most * 1.15);
    expect(share - useful).toBeGreaterThan(vain * most * 0.8);
    expect(all.poll.rests).toBe(0);
  });

  test('a few late answers do not stop it, and many do', () => {
    /** Polls for answers, of which one in `every` is late; returns the share of the time that was polled. */
    const shareOf = (every: number): number => {
      const all = scene('auto');
      const lateMs = BUSY_POLL_AUTO_US / 1000;
      for (let count = 0; count < 40_000; count++) {
        all.began();
        all.pass(count % every === 0 ? lateMs * 1.01 : ANSWER_MS);
        all.ended();
        all.pass(THINK_MS);
      }
      return all.poll.polledMs / all.clock.monotonicMs();
    };
    const lateShare = (every: number): number => BUSY_POLL_AUTO_US / 1000 / ((every - 1) * ANSWER_MS);
    expect(lateShare(100)).toBeLessThan(BUSY_POLL_VAIN_SHARE);
    expect(shareOf(100)).toBeGreaterThan(0.98);
    expect(lateShare(10)).toBeGreaterThan(2 * BUSY_POLL_VAIN_SHARE);
    expect(shareOf(10)).toBeLessThan(0.8);
  });

  test('with two requests in flight the loop sleeps, and polls again when one is left', () => {
    const { poll, began, ended, turn, loop } = scene('auto');
    began();
    expect(loop.next).not.toBeNull();
    began();
    expect(turn()).toBe(false);
    began();
    ended();
    expect(loop.next).toBeNull();
    ended();
    expect(loop.next).not.toBeNull();
    expect(poll.polledMs).toBeCloseTo(TURN_MS, 6);
  });

  test('a time polls with any number of requests', () => {
    const { began, turn } = scene(100);
    began();
    began();
    expect(turn()).toBe(true);
  });

  test('a pause of the loop is no polling for nothing', () => {
    const all = scene('auto');
    oneByOne(all, 0.1, ANSWER_MS, THINK_MS);
    all.began();
    // A garbage collection, which uses the core.
    all.clock.advance(20 * BUSY_POLL_VAIN_MS);
    all.loop.cpuMs += 20 * BUSY_POLL_VAIN_MS;
    all.pass(ANSWER_MS);
    all.ended();
    expect(oneByOne(all, 0.5, ANSWER_MS, THINK_MS)).toBeGreaterThan(0.98);
  });

  test('it rests while others want the core', () => {
    const all = scene('auto');
    all.loop.core = 0.5;
    // 10 ms of polling in each 260 ms.
    expect(oneByOne(all, 1, ANSWER_MS, THINK_MS)).toBeLessThan(0.05);
    expect(all.poll.rests).toBeGreaterThan(2);
  });
});
