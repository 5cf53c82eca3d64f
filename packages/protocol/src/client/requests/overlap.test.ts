// Compares the overlap tracker (rule O1) with a naive model. No two overlapping changes are in flight. Overlapping changes are sent in
// order of arrival. No change waits without a reason, and every change is sent eventually. Rules: G1.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WIDE_UNIT_SECTORS } from '../../wire/limits.ts';
import { FLAG, OP } from '../../wire/frames.ts';
import { OverlapTracker } from './overlap.ts';
import { Request } from './request.ts';

function request(op: number, lba: number, count: number, flags = 0): Request {
  return Object.assign(new Request(), { op, lba, count, flags });
}

function overlap(a: Request, b: Request): boolean {
  return a.lba < b.lba + b.count && b.lba < a.lba + a.count;
}

/** All requests that have arrived and not yet left, in order of arrival. The requests in flight follow from this list. */
class NaiveTracker {
  readonly present: Request[] = [];

  get inFlight(): Set<Request> {
    return new Set(this.present.filter((one, index) => !this.present.slice(0, index).some((earlier) => overlap(earlier, one))));
  }
}

test('the requests in flight match the naive model after each step', () => {
  const change = fc.record({ op: fc.constantFrom(OP.WRITE, OP.ZERO, OP.DISCARD), lba: fc.nat(12), count: fc.integer({ min: 1, max: 5 }) });
  const step = fc.oneof({ weight: 2, arbitrary: change }, { weight: 1, arbitrary: fc.record({ leave: fc.nat(100) }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const tracker = new OverlapTracker();
      const naive = new NaiveTracker();
      const inFlight = new Set<Request>();
      for (const next of steps) {
        if ('op' in next) {
          const made = request(next.op, next.lba, next.count);
          naive.present.push(made);
          if (tracker.enter(made)) inFlight.add(made);
        } else if (inFlight.size > 0) {
          const leaving = [...inFlight][next.leave % inFlight.size]!;
          inFlight.delete(leaving);
          naive.present.splice(naive.present.indexOf(leaving), 1);
          tracker.leave(leaving, (released) => inFlight.add(released));
        }
        expect(inFlight).toEqual(naive.inFlight);
      }
      while (inFlight.size > 0) {
        const [leaving] = inFlight;
        inFlight.delete(leaving!);
        naive.present.splice(naive.present.indexOf(leaving!), 1);
        tracker.leave(leaving!, (released) => inFlight.add(released));
      }
      expect(naive.present).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

describe('order', () => {
  test('later small changes do not starve a large one', () => {
    const tracker = new OverlapTracker();
    const small = request(OP.WRITE, 0, 1);
    const large = request(OP.WRITE, 0, 100);
    const later = request(OP.WRITE, 50, 1);
    expect([tracker.enter(small), tracker.enter(large), tracker.enter(later)]).toEqual([true, false, false]);
    const released: Request[] = [];
    tracker.leave(small, (one) => released.push(one));
    expect(released).toEqual([large]);
    tracker.leave(large, (one) => released.push(one));
    expect(released).toEqual([large, later]);
  });

  test('a request that leaves during the release of another releases the next one', () => {
    const tracker = new OverlapTracker();
    const [first, second, third] = [request(OP.WRITE, 0, 1), request(OP.WRITE, 0, 1), request(OP.WRITE, 0, 1)];
    for (const one of [first, second, third]) tracker.enter(one);
    const released: Request[] = [];
    tracker.leave(first, (one) => released.push(one));
    tracker.leave(second, (one) => released.push(one));
    expect(released).toEqual([second, third]);
  });
});

test('READs and FLUSHes are not tracked', () => {
  const tracker = new OverlapTracker();
  tracker.enter(request(OP.WRITE, 0, 8));
  for (const op of [OP.READ, OP.FLUSH, OP.IOCTL]) {
    const free = request(op, 0, 8);
    expect(tracker.enter(free)).toBe(true);
    tracker.leave(free, () => expect.fail('Something was released'));
  }
  expect(tracker.enter(request(OP.WRITE, 7, 1))).toBe(false);
});

test('WIDE ranges count in MiB', () => {
  const tracker = new OverlapTracker();
  tracker.enter(request(OP.ZERO, 0, 2, FLAG.WIDE));
  expect(tracker.enter(request(OP.WRITE, 2 * WIDE_UNIT_SECTORS - 1, 1))).toBe(false);
  expect(tracker.enter(request(OP.WRITE, 2 * WIDE_UNIT_SECTORS, 1))).toBe(true);
});

test('waiting requests can be removed and reused', () => {
  const tracker = new OverlapTracker();
  const [first, second] = [request(OP.WRITE, 0, 1), request(OP.WRITE, 0, 1)];
  tracker.enter(first);
  tracker.enter(second);
  expect(tracker.takeWaiting()).toEqual([second]);
  tracker.leave(first, () => expect.fail('What was taken out was released'));
  expect(tracker.enter(second)).toBe(true);
});
