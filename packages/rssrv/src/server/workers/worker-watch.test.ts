// Tests that a worker counts as blocked by its storage while the worker sleeps and does not answer pings.
// test/integration/slow-process.test.ts tests real processes. Rules: G7.

import { WORKER_PINGS_UNANSWERED, WORKER_PING_MS } from '../limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { StallingClock } from '@rsio/base/testing/stalling-clock';
import { expect, test } from 'vitest';
import { WorkerWatch } from './worker-watch.ts';

/** Time from the first unanswered ping until the worker counts as blocked. */
const KNOWN_MS = WORKER_PING_MS * (WORKER_PINGS_UNANSWERED + 1);

class Scene {
  readonly clock = new FakeClock();
  readonly listener = new StallingClock(this.clock);
  readonly said: (number | null)[] = [];
  asked = 0;
  runs = true;
  isAsleep = true;
  readonly watch = new WorkerWatch({
    clock: this.listener,
    ping: () => {
      this.asked++;
      if (this.runs) this.watch.answered();
    },
    isAsleep: () => this.isAsleep,
    changed: (forMs) => this.said.push(forMs),
  });

  constructor() {
    this.watch.start();
  }
}

test('a process that answers is asked repeatedly, and nothing is logged', () => {
  const { clock, watch, said, ...scene } = new Scene();
  clock.advance(60_000);
  expect([watch.blockedMs, said, scene.listener.monotonicMs()]).toEqual([null, [], 60_000]);
});

test('a process that hangs in its storage is detected before its paths time out, is asked no more, and is reported to go on', () => {
  const scene = new Scene();
  scene.runs = false;
  scene.clock.advance(KNOWN_MS - 1);
  expect([scene.watch.blockedMs, scene.said]).toEqual([null, []]);
  scene.clock.advance(1);
  expect([scene.watch.blockedMs, scene.said]).toEqual([KNOWN_MS - WORKER_PING_MS, [null]]);
  scene.clock.advance(20_000);
  expect([scene.watch.blockedMs, scene.said, scene.asked]).toEqual([20_000 + KNOWN_MS - WORKER_PING_MS, [null], 1]);
  scene.runs = true;
  scene.watch.answered();
  expect([scene.watch.blockedMs, scene.said]).toEqual([null, [null, 20_000 + KNOWN_MS - WORKER_PING_MS]]);
});

test('a stopped or busy process waits for no storage', () => {
  const scene = new Scene();
  scene.runs = false;
  scene.isAsleep = false;
  scene.clock.advance(60_000);
  expect([scene.watch.blockedMs, scene.said]).toEqual([null, []]);
  scene.watch.answered();
  expect(scene.said).toEqual([]);
});

test('when the listener itself was stopped, the unread answer is waited for', () => {
  const scene = new Scene();
  scene.runs = false;
  scene.clock.advance(WORKER_PING_MS);
  scene.listener.stall();
  scene.clock.advance(60_000);
  scene.listener.goOn();
  expect(scene.watch.blockedMs).toBeNull();
  scene.watch.answered();
  expect(scene.said).toEqual([]);
});

test('a process that is gone is asked no more', () => {
  const scene = new Scene();
  scene.watch.stop();
  scene.clock.advance(60_000);
  expect(scene.asked).toBe(0);
});
