// Tests the counters of a volume: requests, bytes, errors, latencies of requests that are answered at once, and volumes that a report
// leaves out. session-figures.test.ts tests the counting in a real session.

import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { expect, test } from 'vitest';
import { NOTHING_HELD } from '../throttle/throttle-messages.ts';
import { COUNTERS_CLOSED_MAX } from '../limits.ts';
import { SessionCounters } from './volume-counters.ts';

const IDLE = { outstanding: 0, oldestMs: 0, waitingForSpace: 0, heldForSnapshot: 0, ...NOTHING_HELD };

test('a request that is answered at once ends with the next request or the end of the event', () => {
  const all = new SessionCounters();
  const counters = all.of('a');
  all.reached(10);
  all.atOnce(counters, OP.READ, 4_096, STATUS.OK, 10);
  all.reached(10.1);
  all.atOnce(counters, OP.WRITE, 512, STATUS.IO_ERROR, 10.1);
  all.reached(10.3);
  all.reached(5_000);
  const [figures] = all.figures(() => IDLE, false);
  expect(figures).toMatchObject({ volumeId: 'a', reads: 1, readBytes: 4_096, writes: 1, writtenBytes: 512, errors: 1, flushes: 0 });
  expect([figures?.readLatency.maxUs, figures?.writeLatency.maxUs, figures?.flushLatency.maxUs]).toEqual([100, 200, 0]);
});

test('other requests are counted by their kind', () => {
  const all = new SessionCounters();
  const counters = all.of('a');
  for (const op of [OP.FLUSH, OP.DISCARD, OP.ZERO]) counters.count(op, 0, STATUS.OK);
  counters.took(OP.FLUSH, 1.5);
  counters.took(OP.DISCARD, 1.5);
  expect(all.figures(() => IDLE, false)[0]).toMatchObject({
    flushes: 1,
    discards: 1,
    zeroes: 1,
    errors: 0,
    flushLatency: { maxUs: 1_500 },
  });
});

test('volumes without a change are left out, unless they are busy or everything is asked for', () => {
  const all = new SessionCounters();
  all.of('a').count(OP.READ, 512, STATUS.OK);
  all.of('b');
  const ids = (isWhole = false, now = IDLE): string[] => all.figures(() => now, isWhole).map(({ volumeId }) => volumeId);
  expect([ids(), ids(), ids(true), ids(false, { ...IDLE, outstanding: 1 })]).toEqual([['a'], [], ['a', 'b'], ['a', 'b']]);
});

test('counters continue when a volume is opened again, and those of volumes closed long ago are dropped', () => {
  const all = new SessionCounters();
  all.of('a').count(OP.READ, 512, STATUS.OK);
  for (let index = 0; index < COUNTERS_CLOSED_MAX + 10; index++) all.of(`v${index}`);
  all.of('a').count(OP.READ, 512, STATUS.OK);
  all.closed((id) => id === 'v0');
  const left = all.figures(() => IDLE, true);
  expect(left).toHaveLength(COUNTERS_CLOSED_MAX + 1);
  expect(left.find(({ volumeId }) => volumeId === 'a')).toMatchObject({ reads: 2 });
  expect(left.some(({ volumeId }) => volumeId === 'v0')).toBe(true);
});
