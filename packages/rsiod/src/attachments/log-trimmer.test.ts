// Tests which replay logs are flushed without a request, and when, with a fake clock. What a FLUSH removes from a log is tested in
// replay-log.test.ts.

import { expect, test } from 'vitest';
import { SELF_SYNC_MS } from '@rsio/protocol/link/limits';
import { LOG_FLUSH_AGE_MS, LOG_LOOK_MS } from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { LogTotal } from '@rsio/protocol/client/replay/log-total';
import { LogTrimmer } from './log-trimmer.ts';

const LIMIT = 1600;

class Scene {
  readonly clock = new FakeClock();
  readonly total = new LogTotal(LIMIT);
  readonly flushed: string[] = [];
  readonly volumes: ReturnType<Scene['volume']>[] = [];

  constructor() {
    new LogTrimmer(this.clock, this.total, () => this.volumes);
  }

  add(name: string, usedBytes: number, canFlushLog = true): ReturnType<Scene['volume']> {
    const volume = this.volume(name, usedBytes, canFlushLog);
    this.volumes.push(volume);
    this.total.change(usedBytes);
    return volume;
  }

  private volume(name: string, usedBytes: number, canFlushLog: boolean) {
    const log: { usedBytes: number; sinceMs: number | null } = { usedBytes, sinceMs: this.clock.monotonicMs() };
    const target = { canFlushLog, log };
    return { target, flushLog: () => void this.flushed.push(`${this.clock.monotonicMs()} ${name}`) };
  }
}

test('the largest log that can be flushed is flushed when all logs together pass half of their bound', () => {
  const scene = new Scene();
  scene.add('small', 200);
  scene.add('out of reach', 400, false);
  scene.add('large', 250);
  expect(scene.flushed).toEqual([]);
  scene.clock.advance(0);
  expect(scene.flushed).toEqual(['0 large']);
  // The FLUSH of the largest log is in flight, so the next log is flushed.
  scene.volumes[2]!.target.canFlushLog = false;
  scene.total.change(LIMIT / 16);
  scene.clock.advance(0);
  expect(scene.flushed).toEqual(['0 large', '0 small']);
});

test("a log that is not flushed otherwise is flushed before the server's own sync; then no timer runs", () => {
  const scene = new Scene();
  scene.clock.advance(100);
  const { target } = scene.add('quiet', 100);
  const elsewhere = scene.add('out of reach', 100, false);
  scene.clock.advance(LOG_FLUSH_AGE_MS - 1);
  expect(scene.flushed).toEqual([]);
  scene.clock.advance(LOG_LOOK_MS);
  expect(scene.flushed).toEqual([expect.stringMatching(/^4[0-9]+ quiet$/)]);
  expect(Number.parseInt(scene.flushed[0] ?? '', 10)).toBeLessThan(100 + SELF_SYNC_MS);
  target.log.sinceMs = null;
  elsewhere.target.log.sinceMs = null;
  scene.total.change(-200);
  scene.clock.advance(LOG_LOOK_MS);
  expect(scene.clock.timersPending).toBe(0);
});

test('no timer runs when the last log has ended', () => {
  const scene = new Scene();
  scene.add('detached', 100);
  expect(scene.clock.timersPending).toBe(1);
  scene.total.leave(100);
  expect(scene.clock.timersPending).toBe(0);
});
