// Tests, with snapshots of a trunk, how the scheduler chooses a path by estimated completion time, which requests it holds back, and which
// paths it never chooses. scheduler-links.test.ts tests the effect over links. Rules: S2.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  AHEAD_MIN_BYTES,
  FLIGHT_FIRST_BYTES,
  IDLE_SAME_MS,
  IDLE_SAME_PART,
  OVERDUE_GRACE_MS,
  RATE_PROBE_IDLE_MS,
  RATE_PROBE_LONGEST_MS,
  RATE_PROBE_MAX_MS,
  RATE_PROBE_TIME_PARTS,
} from '../limits.ts';
import { choosePath, completionMs, leastBusy, type PathPicture, pathToProbe, prepare } from './scheduler.ts';

const NOW_MS = 10_000;
/** 1 Gbit/s. */
const FAST = 117_000;
const QUEUED_MAX_BYTES = 1000;
const KIB = 1024;

interface Fields {
  readonly suspect?: boolean;
  readonly queuedBytes?: number;
  readonly quietMs?: number;
  readonly rate?: number;
  readonly sendingRate?: number;
  readonly receivingBytes?: number;
  readonly sendingBytes?: number;
  readonly isMeasured?: boolean;
  readonly requests?: number;
  readonly tripMs?: number | null;
  readonly idleMs?: number;
}

function path(number: number, fields: Fields = {}): PathPicture {
  const { rate = FAST, receivingBytes = 0, sendingBytes = 0, isMeasured = true } = fields;
  const meter = (bytesPerMs: number, unansweredBytes: number) => ({
    bytesPerMs,
    unansweredBytes,
    isMeasured,
    isLimit: bytesPerMs > 0,
    flightBytes: FLIGHT_FIRST_BYTES,
    lastUsedMs: NOW_MS - (fields.idleMs ?? 0),
  });
  return {
    number,
    isSuspect: fields.suspect ?? false,
    queuedBytes: fields.queuedBytes ?? 0,
    quietSinceMs: NOW_MS - (fields.quietMs ?? 0),
    load: {
      receiving: meter(rate, receivingBytes),
      sending: meter(fields.sendingRate ?? rate, sendingBytes),
      requests: fields.requests ?? (receivingBytes + sendingBytes > 0 ? 1 : 0),
      tripMs: fields.tripMs === undefined ? 0.1 : fields.tripMs,
      receivingMsPerByte: 0,
      sendingMsPerByte: 0,
      delayMs: 0,
      overdueMs: 0,
    },
  };
}

/** Chooses a path for a request; by default, for a READ of 8 KiB. */
function choose(paths: readonly PathPicture[], carried: readonly number[] = [], receivingBytes = 8 * KIB, sendingBytes = 0): number | null {
  prepare(paths, NOW_MS);
  return choosePath(paths, carried, receivingBytes, sendingBytes, QUEUED_MAX_BYTES)?.number ?? null;
}

test('the path with the fewest unanswered bytes, the first among equals', () => {
  expect(choose([path(1, { receivingBytes: 5000 }), path(2, { receivingBytes: 3000 }), path(3, { receivingBytes: 3000 })])).toBe(2);
  expect(choose([path(1, { requests: 2 }), path(2, { requests: 1 })], [], 0)).toBe(2);
  expect(choose([])).toBeNull();
});

test('the backlog in time counts, not the backlog in bytes', () => {
  const slow = path(2, { rate: FAST / 10, requests: 1 });
  expect(choose([path(1, { receivingBytes: 8 * 8 * KIB }), slow])).toBe(1);
  expect(choose([path(1, { receivingBytes: 10 * 8 * KIB }), slow])).toBe(2);
});

test('the slower direction counts, and the rate hardly matters for a small request', () => {
  const writing = path(1, { sendingBytes: 100 * KIB });
  expect(choose([writing, path(2, { receivingBytes: 90 * KIB })])).toBe(2);
  expect(choose([writing, path(2, { receivingBytes: 90 * KIB })], [], 0, 8 * KIB)).toBe(2);
  expect(choose([path(1, { tripMs: 0.3 }), path(2, { rate: FAST / 10, tripMs: 0.1 })], [], 0)).toBe(2);
});

test('a slightly longer round trip leaves no path unused, a much longer one does', () => {
  const near = path(1, { receivingBytes: 64 * KIB });
  expect(choose([near, path(2, { tripMs: 5 })])).toBe(2);
  expect(choose([near, path(2, { tripMs: 25 })])).toBe(1);
  expect(choose([path(1, { tripMs: 0.2 }), path(2, { tripMs: 0.1 })])).toBe(2);
  expect(choose([path(1, { tripMs: 60, receivingBytes: 512 * KIB }), path(2, { tripMs: 100 })])).toBe(2);
});

test('an idle path is used beside a busy one, unless that makes a request late', () => {
  const busy = path(1, { receivingBytes: 8 * KIB });
  expect(choose([busy, path(2, { rate: FAST / 10 })])).toBe(2);
  expect(choose([busy, path(2, { rate: FAST / 100 })])).toBe(1);
  expect(choose([path(1), path(2, { rate: FAST / 10 })])).toBe(1);
});

test('a nearly equal rate counts as equal', () => {
  expect(choose([path(1, { receivingBytes: 9 * KIB }), path(2, { rate: FAST * 0.75, receivingBytes: 8 * KIB })])).toBe(2);
});

test('an unmeasured path counts as fast as the best, with few bytes at a time', () => {
  const unknown = { rate: 0, isMeasured: false } as const;
  expect(choose([path(1, { receivingBytes: KIB }), path(2, unknown)])).toBe(2);
  const busy = path(1, { receivingBytes: 10 * FLIGHT_FIRST_BYTES });
  expect(choose([busy, path(2, { ...unknown, receivingBytes: FLIGHT_FIRST_BYTES - 8 * KIB })])).toBe(2);
  // The scheduler lets the request wait for path 2, unless path 2 is overdue.
  expect(choose([busy, path(2, { ...unknown, receivingBytes: FLIGHT_FIRST_BYTES })])).toBeNull();
  expect(choose([busy, path(2, { ...unknown, receivingBytes: FLIGHT_FIRST_BYTES, quietMs: 100 })])).toBe(1);
  // A request that is larger than the allowed number of bytes is sent when nothing else is in flight on the path. If there is no other
  // path, the limit holds no request back.
  expect(choose([busy, path(2, unknown)], [], 2 * FLIGHT_FIRST_BYTES)).toBe(2);
  expect(choose([path(1, { ...unknown, receivingBytes: FLIGHT_FIRST_BYTES })])).toBe(1);
});

test('a path that is silent for longer than expected gets no more requests while there is another', () => {
  const silent = { receivingBytes: 8 * KIB, quietMs: OVERDUE_GRACE_MS + 10 } as const;
  expect(choose([path(1, silent), path(2, { receivingBytes: 500 * KIB })])).toBe(2);
  expect(choose([path(1, { ...silent, quietMs: OVERDUE_GRACE_MS }), path(2, { receivingBytes: 500 * KIB })])).toBe(1);
  expect(choose([path(1, { ...silent, receivingBytes: 0, requests: 1 }), path(2, { receivingBytes: 500 * KIB })])).toBe(1);
  expect(choose([path(1, silent)])).toBe(1);
});

test('not a path that carries a copy', () => {
  expect(choose([path(1), path(2, { receivingBytes: 9000 })], [1])).toBe(2);
  expect(choose([path(1)], [1])).toBeNull();
});

test('requests wait for the best path if its output is full or too much is ahead of it', () => {
  const full = path(1, { queuedBytes: QUEUED_MAX_BYTES + 1 });
  expect(choose([full, path(2, { rate: FAST / 100 })])).toBeNull();
  expect(choose([full, path(2, { receivingBytes: 8 * KIB, queuedBytes: QUEUED_MAX_BYTES })])).toBeNull();
  expect(choose([path(1, { receivingBytes: 9 * KIB, queuedBytes: QUEUED_MAX_BYTES + 1 }), path(2, { receivingBytes: 8 * KIB })])).toBe(2);
  const ahead = path(1, { rate: FAST / 100, receivingBytes: AHEAD_MIN_BYTES });
  expect(choose([ahead])).toBeNull();
  expect(choose([path(1, { rate: FAST / 100, receivingBytes: AHEAD_MIN_BYTES - 1 })])).toBe(1);
  expect(choose([path(1, { receivingBytes: AHEAD_MIN_BYTES })])).toBe(1);
  expect(leastBusy([ahead], [], 0, 0)).toBe(ahead);
});

test('a suspect path only if there is no other', () => {
  expect(choose([path(1, { suspect: true }), path(2, { receivingBytes: 900 * KIB })])).toBe(2);
  expect(choose([path(1, { suspect: true, receivingBytes: 9 * KIB }), path(2, { suspect: true })])).toBe(2);
});

// Regression: once the good path's output was full, new requests went to the silent path and waited there until it died.
test('a full good path does not make the scheduler use a suspect one', () => {
  expect(choose([path(1, { suspect: true }), path(2, { queuedBytes: QUEUED_MAX_BYTES + 1 })])).toBeNull();
  expect(choose([path(1, { suspect: true }), path(2)], [2])).toBeNull();
});

test('a path is probed if it was idle for long, is not suspect, and would not take too long', () => {
  const probed = (fields: Fields, longestMs = RATE_PROBE_LONGEST_MS): number | null => {
    const paths = [path(1, { receivingBytes: KIB, idleMs: RATE_PROBE_IDLE_MS }), path(2, fields)];
    prepare(paths, NOW_MS);
    return pathToProbe(paths, 256 * KIB, 0, NOW_MS, longestMs)?.number ?? null;
  };
  expect(probed({ idleMs: RATE_PROBE_IDLE_MS })).toBe(2);
  expect(probed({ idleMs: RATE_PROBE_IDLE_MS - 1 })).toBeNull();
  expect(probed({ idleMs: RATE_PROBE_IDLE_MS, suspect: true })).toBeNull();
  expect(probed({ idleMs: RATE_PROBE_IDLE_MS, rate: (256 * KIB) / RATE_PROBE_MAX_MS / 2 })).toBeNull();
  const takesMs = 1000;
  const slow = { rate: (256 * KIB) / takesMs, tripMs: 0 };
  expect(probed({ ...slow, idleMs: takesMs * RATE_PROBE_TIME_PARTS - 1 })).toBeNull();
  expect(probed({ ...slow, idleMs: takesMs * RATE_PROBE_TIME_PARTS + 1 })).toBe(2);
  expect(probed({ ...slow, idleMs: 100 * takesMs * RATE_PROBE_TIME_PARTS }, takesMs / 2)).toBeNull();
  // Although WRITEs use the path, they do not show how fast READs would be.
  expect(probed({ idleMs: RATE_PROBE_IDLE_MS, sendingBytes: KIB })).toBe(2);
});

const bytes = fc.oneof(fc.constant(0), fc.nat(100 * KIB), fc.nat(32 * KIB * KIB));
const anyPath = fc.record({
  number: fc.nat(12),
  suspect: fc.boolean(),
  queuedBytes: fc.nat(2 * QUEUED_MAX_BYTES),
  quietMs: fc.oneof(fc.constant(0), fc.nat(500)),
  rate: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 2_000_000 })),
  sendingRate: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 2_000_000 })),
  receivingBytes: bytes,
  sendingBytes: bytes,
  isMeasured: fc.boolean(),
  tripMs: fc.option(fc.double({ min: 0, max: 100, noNaN: true })),
});
const anyPaths = fc
  .uniqueArray(anyPath, { selector: ({ number }) => number, minLength: 1 })
  .map((all) => all.map(({ number, ...fields }) => path(number, fields)));
const anySize = fc.record({ isRead: fc.boolean(), bytes: fc.constantFrom(0, 512, 8 * KIB, 256 * KIB) });

test('the chosen path may be used, and no other usable path completes sooner', () => {
  fc.assert(
    fc.property(anyPaths, fc.array(fc.nat(12)), anySize, (paths, carried, size) => {
      const [receiving, sending] = size.isRead ? [size.bytes, 0] : [0, size.bytes];
      prepare(paths, NOW_MS);
      const chosen = choosePath(paths, carried, receiving, sending, QUEUED_MAX_BYTES);
      if (chosen === null) return;
      expect(carried).not.toContain(chosen.number);
      expect(chosen.queuedBytes).toBeLessThanOrEqual(QUEUED_MAX_BYTES);
      if (chosen.isSuspect) expect(paths.every(({ isSuspect }) => isSuspect)).toBe(true);
      const ms = completionMs(chosen.load, receiving, sending);
      expect(Number.isFinite(ms)).toBe(true);
      for (const other of paths) {
        if (carried.includes(other.number) || (other.isSuspect && !chosen.isSuspect) || !other.load.receiving.isMeasured) continue;
        expect(completionMs(other.load, receiving, sending)).toBeGreaterThanOrEqual(ms - IDLE_SAME_MS);
      }
    }),
  );
});

test('no request waits on a slow path while an idle one would complete it sooner, and none is held back from an idle trunk', () => {
  fc.assert(
    fc.property(anyPaths, anySize, (paths, size) => {
      const [receiving, sending] = size.isRead ? [size.bytes, 0] : [0, size.bytes];
      const idle = path(99, { rate: 3_000_000, tripMs: 0 });
      const all = [...paths, idle];
      prepare(all, NOW_MS);
      const chosen = choosePath(all, [], receiving, sending, QUEUED_MAX_BYTES);
      const best = leastBusy(all, [], receiving, sending);
      expect(best).not.toBeNull();
      expect(completionMs(best!.load, receiving, sending)).toBeLessThanOrEqual(completionMs(idle.load, receiving, sending) + 1e-9);
      if (best === idle) expect(chosen).toBe(idle);
    }),
  );
});

test('any trunk: the chosen path completes no later than any idle path, and at most the tolerance for idle paths later than any other', () => {
  fc.assert(
    fc.property(anyPaths, anyPaths, fc.array(fc.nat(12)), anySize, (busy, others, carried, size) => {
      const [receiving, sending] = size.isRead ? [size.bytes, 0] : [0, size.bytes];
      const paths = [...busy, ...others.map((other) => idleAgain(other))];
      prepare(paths, NOW_MS);
      const usable = paths.filter(({ number, isSuspect }) => !isSuspect && !carried.includes(number));
      const msOf = ({ load }: PathPicture): number => completionMs(load, receiving, sending);
      const isIdle = ({ load }: PathPicture): boolean => load.requests === 0;
      const chosen = choosePath(paths, carried, receiving, sending, QUEUED_MAX_BYTES);
      // A held-back request waits for a path that will complete the request no later than the idle paths would.
      const meant = chosen ?? leastBusy(paths, carried, receiving, sending);
      for (const other of usable) {
        expect(meant).not.toBeNull();
        const toleranceMs = isIdle(meant!) && !isIdle(other) ? IDLE_SAME_MS : 0;
        expect(msOf(meant!)).toBeLessThanOrEqual(msOf(other) + toleranceMs + 1e-9);
        if (toleranceMs > 0) expect(msOf(meant!)).toBeLessThanOrEqual(msOf(other) * IDLE_SAME_PART + 1e-9);
      }
      // A request waits only if its best path is busy or has no room for output.
      if (chosen === null && meant !== null) expect(isIdle(meant) && meant.queuedBytes <= QUEUED_MAX_BYTES).toBe(false);
    }),
    { numRuns: 1000 },
  );
});

test('any trunk: the probed path is the one that was unused for longest', () => {
  fc.assert(
    fc.property(anyPaths, fc.array(fc.nat(100 * RATE_PROBE_IDLE_MS), { minLength: 13, maxLength: 13 }), anySize, (busy, ages, size) => {
      const [receiving, sending] = size.isRead ? [size.bytes, 0] : [0, size.bytes];
      const unusedMs = ({ number }: PathPicture): number => ages[number]!;
      const paths = busy.map((one) => {
        const { receiving, sending } = one.load;
        const aged = { lastUsedMs: NOW_MS - unusedMs(one) };
        return { ...one, load: { ...one.load, receiving: { ...receiving, ...aged }, sending: { ...sending, ...aged } } };
      });
      prepare(paths, NOW_MS);
      const tried = pathToProbe(paths, receiving, sending, NOW_MS, RATE_PROBE_LONGEST_MS);
      const able = paths.filter((one) => {
        const { unansweredBytes } = sending > 0 ? one.load.sending : one.load.receiving;
        const maxMs = Math.max(RATE_PROBE_MAX_MS, Math.min(RATE_PROBE_LONGEST_MS, unusedMs(one) / RATE_PROBE_TIME_PARTS));
        return !one.isSuspect && unansweredBytes === 0 && completionMs(one.load, receiving, sending) <= maxMs;
      });
      const longestMs = Math.max(-1, ...able.map(unusedMs));
      if (tried === null) expect(longestMs).toBeLessThan(RATE_PROBE_IDLE_MS);
      else expect([able.includes(tried), unusedMs(tried)]).toEqual([true, longestMs]);
    }),
    { numRuns: 500 },
  );
});

/** Returns a copy of the path with nothing in flight, under a number that no busy path has. */
function idleAgain({ number, isSuspect, queuedBytes, load }: PathPicture): PathPicture {
  const { receiving, sending, tripMs } = load;
  const rates = { rate: receiving.bytesPerMs, sendingRate: sending.bytesPerMs, isMeasured: receiving.isMeasured };
  return path(number + 100, { suspect: isSuspect, queuedBytes, tripMs, ...rates });
}
