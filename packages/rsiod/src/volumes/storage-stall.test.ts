// Tests, with a fake clock, when and with which text a storage stall is reported, and how the watch of one volume checks for stalls.
// test/integration/wrapper.test.ts tests real storage that stalls.

import { describe, expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SLOW_STORAGE_LOOK_MS, SLOW_STORAGE_MS } from './limits.ts';
import { judgeStorageStall, storageStallReason, storageStallStart, StorageStallWatch } from './storage-stall.ts';

class Scene {
  readonly clock = new FakeClock();
  readonly said: string[] = [];
  isReady = true;
  waitingSinceMs: number | null = null;
  looks = 0;
  readonly watch = new StorageStallWatch({
    clock: this.clock,
    look: () => {
      this.looks++;
      return { isReady: this.isReady, waitingSinceMs: this.waitingSinceMs };
    },
    report: (word) => this.said.push(`${this.clock.monotonicMs()} ${word}`),
  });

  submit(): void {
    this.waitingSinceMs ??= this.clock.monotonicMs();
    if (this.watch.isAsleep) this.watch.wake();
  }

  /** Completes one request. `left`: true if another request is still in flight afterwards. */
  answer(left = false): void {
    this.waitingSinceMs = left ? this.clock.monotonicMs() : null;
  }
}

describe('the watch', () => {
  test('reports a stall once, and its end once', () => {
    const scene = new Scene();
    scene.submit();
    scene.clock.advance(SLOW_STORAGE_MS - 1);
    expect([scene.said, scene.watch.reportedSinceMs]).toEqual([[], null]);
    scene.clock.advance(100 * SLOW_STORAGE_MS);
    expect([scene.said, scene.watch.reportedSinceMs]).toEqual([['5000 stands-still'], 0]);
    scene.answer();
    scene.clock.advance(SLOW_STORAGE_LOOK_MS);
    expect(scene.said[1]).toMatch(/ moves$/);
    expect([scene.said.length, scene.watch.reportedSinceMs]).toEqual([2, null]);
  });

  test('has a timer only while a request is in flight', () => {
    const scene = new Scene();
    expect(scene.clock.timersPending).toBe(0);
    scene.submit();
    scene.submit();
    expect(scene.clock.timersPending).toBe(1);
    scene.answer();
    scene.clock.advance(SLOW_STORAGE_LOOK_MS);
    expect([scene.clock.timersPending, scene.watch.isAsleep, scene.looks]).toEqual([0, true, 1]);
    scene.submit();
    scene.clock.advance(SLOW_STORAGE_MS);
    expect(scene.said).toEqual(['6000 stands-still']);
  });

  test('reports nothing while answers arrive, however long one request is in flight', () => {
    const scene = new Scene();
    scene.submit();
    for (let times = 0; times < 100; times++) {
      scene.clock.advance(SLOW_STORAGE_MS - SLOW_STORAGE_LOOK_MS);
      scene.answer(true);
    }
    expect(scene.said).toEqual([]);
  });

  test('reports each stall', () => {
    const scene = new Scene();
    scene.submit();
    scene.clock.advance(SLOW_STORAGE_MS);
    scene.answer(true);
    scene.clock.advance(2 * SLOW_STORAGE_MS);
    expect(scene.said).toEqual(['5000 stands-still', '6000 moves', '10000 stands-still']);
  });

  test('ignores a volume that is not ready, and restarts its count when it is', () => {
    const scene = new Scene();
    scene.isReady = false;
    scene.submit();
    scene.clock.advance(10 * SLOW_STORAGE_MS);
    scene.isReady = true;
    scene.clock.advance(SLOW_STORAGE_MS - SLOW_STORAGE_LOOK_MS);
    expect(scene.said).toEqual([]);
    scene.clock.advance(SLOW_STORAGE_LOOK_MS);
    expect(scene.said).toEqual(['55000 stands-still']);
    scene.isReady = false;
    scene.clock.advance(SLOW_STORAGE_LOOK_MS);
    expect([scene.said.length, scene.watch.reportedSinceMs]).toEqual([1, null]);
  });

  test('a late check neither reports a stall nor ends one', () => {
    const waiting = { isReady: true, waitingSinceMs: 0 };
    const lateMs = 10 * SLOW_STORAGE_MS;
    const late = judgeStorageStall(storageStallStart(0), waiting, lateMs);
    expect([late.event, late.state.countsFromMs]).toEqual([null, lateMs]);
    expect(judgeStorageStall({ ...late.state, lookedMs: lateMs + SLOW_STORAGE_MS }, waiting, lateMs + SLOW_STORAGE_MS).event).toBe(
      'stands-still',
    );
    expect(judgeStorageStall({ ...storageStallStart(0), reportedSinceMs: 0 }, waiting, lateMs)).toMatchObject({
      event: null,
      state: { reportedSinceMs: 0 },
    });
  });

  test('reports nothing about a closed volume', () => {
    const scene = new Scene();
    scene.submit();
    scene.clock.advance(SLOW_STORAGE_MS);
    scene.watch.stop();
    scene.answer();
    scene.clock.advance(SLOW_STORAGE_MS);
    expect([scene.said, scene.clock.timersPending, scene.watch.reportedSinceMs]).toEqual([['5000 stands-still'], 0, null]);
  });
});

describe('the reason', () => {
  const reason = (report: { oldestMs: number; atMs: number } | null): string => storageStallReason('server big-9', 1_000, report, 7_500);
  const noReport = 'an answer of server big-9, which has not said since then what it executes';

  test.each([
    ['there was no report', null, noReport],
    ['the last report is older than the stall', { oldestMs: 9_000, atMs: 1_000 }, noReport],
    ['no request is executed', { oldestMs: 0, atMs: 7_000 }, 'an answer of server big-9, which is heard and executes nothing of ours'],
    [
      'the executing request is recent, so it belongs to another volume',
      { oldestMs: 10, atMs: 7_000 },
      'an answer of server big-9, which is heard and executes nothing of ours for longer than 0 s',
    ],
    [
      'a request was executing all the time',
      { oldestMs: 5_900, atMs: 7_000 },
      "server big-9's storage: its oldest request of ours has been executing for 6 s",
    ],
    [
      'the age grows between two heartbeats',
      { oldestMs: 5_900, atMs: 6_000 },
      "server big-9's storage: its oldest request of ours has been executing for 7 s",
    ],
  ])('%s', (_, report, text) => {
    expect(reason(report)).toBe(text);
  });
});
