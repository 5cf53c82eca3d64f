// The judgement on a path, from pictures: who is suspected when, and who is not.
// Leaves what is done about a judgement to trunk.test.ts.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgePath, type LivenessPicture } from './failover.ts';

const TIMES = { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 };
const NOW_MS = 100_000;

function path(fields: Partial<LivenessPicture> = {}): LivenessPicture {
  return { suspect: false, waitingSinceMs: null, lastReceivedMs: NOW_MS, roundTripMs: 1, ...fields };
}

function judge(fields: Partial<LivenessPicture>, ...others: readonly Partial<LivenessPicture>[]): string {
  return judgePath(path(fields), others.map(path), TIMES, NOW_MS);
}

describe('suspect', () => {
  const silent = { waitingSinceMs: NOW_MS - 200, lastReceivedMs: NOW_MS - 900 };

  test('requests out, nothing for the time, and another path delivered meanwhile', () => {
    expect(judge(silent, {})).toBe('suspect');
    expect(judge({ ...silent, waitingSinceMs: NOW_MS - 199 }, {})).toBe('keep');
    expect(judge({ ...silent, lastReceivedMs: NOW_MS - 199 }, {})).toBe('keep');
  });

  test('not while nothing is out', () => {
    expect(judge({ ...silent, waitingSinceMs: null }, {})).toBe('keep');
  });

  test('not when all are silent alike, nor when there is no other', () => {
    expect(judge(silent)).toBe('keep');
    expect(judge(silent, { lastReceivedMs: NOW_MS - 200 }, { lastReceivedMs: NOW_MS - 900 })).toBe('keep');
    expect(judge(silent, { lastReceivedMs: NOW_MS - 900 }, { lastReceivedMs: NOW_MS - 199 })).toBe('suspect');
  });

  test('a long round trip is waited for', () => {
    expect(judge({ ...silent, roundTripMs: 30 }, {})).toBe('keep');
    expect(judge({ ...silent, roundTripMs: 25 }, {})).toBe('suspect');
    expect(judge({ ...silent, roundTripMs: null }, {})).toBe('suspect');
  });

  test('once', () => {
    expect(judge({ ...silent, suspect: true }, {})).toBe('keep');
  });
});

describe('dead', () => {
  test('nothing for the time, whatever the others do', () => {
    expect(judge({ lastReceivedMs: NOW_MS - 3000 })).toBe('dead');
    expect(judge({ lastReceivedMs: NOW_MS - 2999 })).toBe('keep');
    expect(judge({ lastReceivedMs: NOW_MS - 3000, suspect: true }, {})).toBe('dead');
  });
});

test('a path that has just delivered is kept, whatever else is', () => {
  const picture = fc.record({
    suspect: fc.boolean(),
    waitingSinceMs: fc.option(fc.nat(NOW_MS)),
    lastReceivedMs: fc.nat(NOW_MS),
    roundTripMs: fc.option(fc.nat(5000)),
  });
  fc.assert(
    fc.property(
      picture,
      fc.array(picture),
      (one, others) => judgePath({ ...one, lastReceivedMs: NOW_MS }, others, TIMES, NOW_MS) === 'keep',
    ),
  );
});
