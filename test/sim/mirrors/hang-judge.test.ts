// The judge of mirror users reports an I/O that waits for too long while all machines work and the mirror names no reason. The judge
// reports no I/O that waits for a named reason.

import { expect, test } from 'vitest';
import { HangJudge, type JudgedMirror } from './hang-judge.ts';

const WAITING: JudgedMirror = { oldestMs: 0, isGood: true, isTold: false, failedMs: Number.NEGATIVE_INFINITY };

function found(judged: (nowMs: number) => JudgedMirror): number[] {
  const judge = new HangJudge(1000, 500);
  return Array.from({ length: 30 }, (_unused, at) => at * 100).filter((nowMs) => judge.hangsMs(judged(nowMs), nowMs) !== null);
}

test('an I/O that waits without a reason is reported', () => {
  expect(found(() => WAITING)[0]).toBe(1100);
});

test('an I/O that ends, waits for a told reason or for bad storage is not', () => {
  expect(found((nowMs) => ({ ...WAITING, oldestMs: nowMs - 900 }))).toEqual([]);
  expect(found(() => ({ ...WAITING, isTold: true }))).toEqual([]);
  expect(found(() => ({ ...WAITING, isGood: false }))).toEqual([]);
  expect(found(() => ({ ...WAITING, oldestMs: Number.POSITIVE_INFINITY }))).toEqual([]);
});

test('the time begins anew after a reason, and later after a failure', () => {
  expect(found((nowMs) => ({ ...WAITING, isTold: nowMs === 500 }))[0]).toBe(1700);
  expect(found(() => ({ ...WAITING, failedMs: 200 }))[0]).toBe(1800);
});
