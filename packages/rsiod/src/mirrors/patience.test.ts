// Tests, with a fake clock, how long a mirror waits for an unreachable replica. The test sets the state of each replica;
// mirror-driver.test.ts tests how the driver determines the state.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { PATIENCE_LATE_MS, PATIENCE_LOOK_MS } from './limits.ts';
import { Patience, type Reach } from './patience.ts';

/** A fake clock that can simulate a paused process, in which timers fire late. */
class PausedClock extends FakeClock {
  pausedMs = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.pausedMs;
  }
}

class Scene {
  readonly clock = new PausedClock();
  readonly reach = new Map<string, Reach>();
  readonly said: string[] = [];
  patienceMs = 1000;
  readonly patience = new Patience({
    clock: this.clock,
    patienceMs: () => this.patienceMs,
    reach: () => this.reach,
    over: (identity) => void this.said.push(`${identity} over`),
    returned: (identity) => void this.said.push(`${identity} back`),
  });

  set(identity: string, reach: Reach): void {
    this.reach.set(identity, reach);
    this.patience.look();
  }
}

test('a replica that is away for longer than the patience is reported once, and once more when it is back', () => {
  const scene = new Scene();
  scene.set('a', 'there');
  expect(scene.clock.timersPending).toBe(0);
  scene.set('a', 'away');
  scene.clock.advance(999);
  expect(scene.said).toEqual([]);
  scene.clock.advance(1);
  expect(scene.said).toEqual(['a over']);
  scene.clock.advance(10_000);
  expect([scene.said, scene.clock.timersPending]).toEqual([['a over'], 0]);
  scene.set('a', 'there');
  scene.set('a', 'there');
  expect(scene.said).toEqual(['a over', 'a back']);
});

test('one that comes back in time is not reported, and its next absence counts from its own begin', () => {
  const scene = new Scene();
  scene.set('a', 'away');
  scene.clock.advance(900);
  scene.set('a', 'there');
  scene.set('a', 'away');
  scene.clock.advance(900);
  expect(scene.said).toEqual([]);
  scene.clock.advance(100);
  expect(scene.said).toEqual(['a over']);
});

test('one that is slow is never reported; one that was away before it is slow is reported when it is away again', () => {
  const scene = new Scene();
  scene.set('a', 'slow');
  scene.clock.advance(60_000);
  scene.set('b', 'away');
  scene.set('b', 'slow');
  scene.clock.advance(60_000);
  expect(scene.said).toEqual([]);
  scene.set('b', 'away');
  expect(scene.said).toEqual(['b over']);
});

test('the time in which this process stood still does not count', () => {
  const scene = new Scene();
  scene.set('a', 'away');
  scene.clock.advance(PATIENCE_LOOK_MS);
  scene.clock.pausedMs = PATIENCE_LATE_MS + 5_000;
  expect(scene.said).toEqual([]);
  scene.clock.advance(600);
  expect(scene.said).toEqual([]);
  scene.clock.advance(1_000);
  expect(scene.said).toEqual(['a over']);
});

test('a replica that the mirror has no longer is forgotten, and a longer patience holds at once', () => {
  const scene = new Scene();
  scene.set('a', 'away');
  scene.patienceMs = 5_000;
  scene.clock.advance(4_000);
  expect(scene.said).toEqual([]);
  scene.reach.clear();
  scene.clock.advance(10_000);
  expect([scene.said, scene.clock.timersPending]).toEqual([[], 0]);
});
