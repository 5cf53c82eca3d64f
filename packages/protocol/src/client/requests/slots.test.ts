// Tests the client's slots against the rules S2 to S6. slot-rules.test.ts tests both ends together on any network. scheduler.test.ts tests
// the choice of a path for a copy. Rules: G1.

import { describe, expect, test } from 'vitest';
import { AssertionError } from '@rsio/base/lib/assert';
import { SEQ_MODULUS } from '../../link/limits.ts';
import { SLOTS_RESERVED } from '../../wire/limits.ts';
import { Request } from './request.ts';
import { Slots } from './slots.ts';

function take(slots: Slots, ...paths: number[]): { request: Request; slot: number; seq: number } {
  const request = new Request();
  const slot = slots.take(request);
  for (const path of paths) slots.addCopy(slot, path);
  return { request, slot, seq: slots.seqOf(slot) };
}

/** Does what the dispatcher does when a result has arrived and the request is finished. */
function finish(slots: Slots, slot: number, seq: number, path: number): void {
  expect(slots.answer(slot, seq, path)).toBe('result');
  slots.settle(slot);
}

describe('taking', () => {
  test('the first use has seq 1; slots are taken in the order in which they became free', () => {
    const slots = new Slots(3);
    const first = take(slots, 0);
    const second = take(slots, 0);
    expect([first.slot, first.seq, second.slot, second.seq]).toEqual([0, 1, 1, 1]);
    finish(slots, 1, 1, 0);
    finish(slots, 0, 1, 0);
    const next = [take(slots, 0), take(slots, 0), take(slots, 0)].map(({ slot, seq }) => [slot, seq]);
    expect(next).toEqual([
      [2, 1],
      [1, 2],
      [0, 2],
    ]);
  });

  test('seq wraps', () => {
    const slots = new Slots(1);
    const seen: number[] = [];
    for (let use = 1; use <= SEQ_MODULUS + 1; use++) {
      const { slot, seq } = take(slots, 0);
      if (seq === use % SEQ_MODULUS && slots.answer(slot, seq, 0) === 'result') seen.push(seq);
      slots.settle(slot);
    }
    expect([seen.length, seen.at(-2), seen.at(-1)]).toEqual([SEQ_MODULUS + 1, 0, 1]);
  });

  test('data requests leave the reserved slots free', () => {
    const slots = new Slots(SLOTS_RESERVED + 1);
    expect([slots.hasRoom(false), slots.hasRoom(true)]).toEqual([true, true]);
    take(slots, 0);
    expect([slots.hasRoom(false), slots.hasRoom(true)]).toEqual([false, true]);
    for (let times = 0; times < SLOTS_RESERVED; times++) take(slots, 0);
    expect(slots.hasRoom(true)).toBe(false);
    expect(() => slots.take(new Request())).toThrow(AssertionError);
  });
});

describe('answers', () => {
  test('the first is the result, later copies are extra, and only then the slot is free', () => {
    const slots = new Slots(1);
    const { slot, seq } = take(slots, 4, 5, 6);
    finish(slots, slot, seq, 5);
    expect([slots.freeCount, slots.quarantined]).toEqual([0, 1]);
    expect(slots.requestOf(slot)).toBeNull();
    expect(slots.answer(slot, seq, 4)).toBe('extra');
    expect([slots.freeCount, slots.quarantined]).toEqual([0, 1]);
    expect(slots.answer(slot, seq, 6)).toBe('extra');
    expect([slots.freeCount, slots.quarantined]).toEqual([1, 0]);
  });

  test('from a path that owes none are violations and change nothing', () => {
    const slots = new Slots(2);
    const { slot, seq, request } = take(slots, 4);
    const wrong = [
      [slot, seq, 5],
      [slot, seq + 1, 4],
      [slot, seq - 1, 4],
      [1, 0, 4],
      [1, 1, 4],
      [2, 1, 4],
      [65_535, 1, 4],
    ] as const;
    for (const [index, number, path] of wrong) expect(slots.answer(index, number, path)).toBe('violation');
    expect(slots.requestOf(slot)).toBe(request);
    finish(slots, slot, seq, 4);
    expect(slots.answer(slot, seq, 4)).toBe('violation');
    expect(slots.freeCount).toBe(2);
  });

  test('a second copy on one path is our own bug', () => {
    const slots = new Slots(1);
    const { slot } = take(slots, 4);
    expect(() => slots.addCopy(slot, 4)).toThrow(AssertionError);
  });
});

describe('fences', () => {
  test('FENCED counts as the answer to its copies, and brings no result', () => {
    const slots = new Slots(2);
    const both = take(slots, 4, 5);
    const one = take(slots, 4);
    slots.fenced(4);
    expect(slots.requestOf(one.slot)).toBe(one.request);
    expect(slots.freeCount).toBe(0);
    expect(slots.answer(both.slot, both.seq, 4)).toBe('violation');
    finish(slots, both.slot, both.seq, 5);
    expect(slots.freeCount).toBe(1);
  });

  test('FENCED ends a quarantine', () => {
    const slots = new Slots(1);
    const { slot, seq } = take(slots, 4, 5);
    finish(slots, slot, seq, 5);
    slots.fenced(7);
    expect(slots.freeCount).toBe(0);
    slots.fenced(4);
    expect([slots.freeCount, slots.quarantined]).toEqual([1, 0]);
  });

  test('quarantinedOn counts only slots that have their result and wait for this path alone', () => {
    const slots = new Slots(3);
    const first = take(slots, 4, 5);
    take(slots, 4);
    const third = take(slots, 4, 5);
    finish(slots, first.slot, first.seq, 5);
    finish(slots, third.slot, third.seq, 4);
    expect([slots.quarantinedOn(4), slots.quarantinedOn(5), slots.quarantined]).toEqual([1, 1, 2]);
  });
});

test('unserved: requests to which no good path owes an answer', () => {
  const slots = new Slots(4);
  take(slots, 1);
  const second = take(slots, 1, 2);
  take(slots, 2);
  const fourth = take(slots, 1, 3);
  finish(slots, fourth.slot, fourth.seq, 3);
  expect(slots.unserved((path) => path === 2)).toEqual([0]);
  expect(slots.unserved((path) => path === 1)).toEqual([2]);
  expect(slots.unserved(() => false)).toEqual([0, second.slot, 2]);
});

test('a new session resets the slots and returns the unanswered requests, not the quarantined ones', () => {
  const slots = new Slots(3);
  const first = take(slots, 1);
  const second = take(slots, 1, 2);
  finish(slots, second.slot, second.seq, 2);
  expect(slots.restart()).toEqual([first.request]);
  expect(first.request.slot).toBe(-1);
  expect([slots.freeCount, slots.quarantined]).toEqual([3, 0]);
  expect(take(slots, 1)).toMatchObject({ slot: 0, seq: 1 });
});
