// The judgement on a path, from pictures: who is suspected when, who is dead or deaf, and who is not.
// Leaves what is done about a judgement to liveness.test.ts.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgePath, type LivenessPicture, tickMs } from './failover.ts';

const TIMES = { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 };
const NOW_MS = 100_000;

function path(fields: Partial<LivenessPicture> = {}): LivenessPicture {
  const well = { isSuspect: false, waitingSinceMs: null, lastReceivedMs: NOW_MS, lastProofMs: NOW_MS, lastHeardMs: NOW_MS };
  return { ...well, lastMovedMs: 0, roundTripMs: 1, ...fields };
}

function judge(fields: Partial<LivenessPicture>, ...others: readonly Partial<LivenessPicture>[]): string {
  return judgePath(path(fields), others.map(path), TIMES, NOW_MS);
}

describe('suspect', () => {
  const silent = { waitingSinceMs: NOW_MS - 200, lastProofMs: NOW_MS - 900 };

  test('requests out, no answer for the time, and another path proved itself meanwhile', () => {
    expect(judge(silent, {})).toBe('suspect');
    expect(judge({ ...silent, waitingSinceMs: NOW_MS - 199 }, {})).toBe('keep');
    expect(judge({ ...silent, lastProofMs: NOW_MS - 199 }, {})).toBe('keep');
  });

  // Once any byte counted: with a fault from client to server the server's own PINGs put the suspicion off.
  test('also when bytes come that answer nothing', () => {
    expect(judge({ ...silent, lastReceivedMs: NOW_MS }, {})).toBe('suspect');
  });

  test('not while nothing is out', () => {
    expect(judge({ ...silent, waitingSinceMs: null }, {})).toBe('keep');
  });

  test('not when all are silent alike, nor when there is no other', () => {
    expect(judge(silent)).toBe('keep');
    expect(judge(silent, { lastProofMs: NOW_MS - 200 }, { lastProofMs: NOW_MS - 900 })).toBe('keep');
    expect(judge(silent, { lastProofMs: NOW_MS - 900 }, { lastProofMs: NOW_MS - 199 })).toBe('suspect');
  });

  test('a long round trip is waited for, but not for ever', () => {
    expect(judge({ ...silent, roundTripMs: 30 }, {})).toBe('keep');
    expect(judge({ ...silent, roundTripMs: 25 }, {})).toBe('suspect');
    expect(judge({ ...silent, roundTripMs: null }, {})).toBe('suspect');
    const long = { waitingSinceMs: NOW_MS - 1500, lastProofMs: NOW_MS - 1500, roundTripMs: 2000 };
    expect(judge(long, {})).toBe('suspect');
    expect(judge({ ...long, lastProofMs: NOW_MS - 1499 }, {})).toBe('keep');
  });

  test('not while output that waits for a slow link still moves', () => {
    expect(judge({ ...silent, lastMovedMs: NOW_MS - 199 }, {})).toBe('keep');
    expect(judge({ ...silent, lastMovedMs: NOW_MS - 200 }, {})).toBe('suspect');
  });

  test('once', () => {
    expect(judge({ ...silent, isSuspect: true }, {})).toBe('keep');
  });
});

describe('dead', () => {
  test('nothing for the time, whatever the others do', () => {
    expect(judge({ lastReceivedMs: NOW_MS - 3000 })).toBe('dead');
    expect(judge({ lastReceivedMs: NOW_MS - 2999 })).toBe('keep');
    expect(judge({ lastReceivedMs: NOW_MS - 3000, isSuspect: true }, {})).toBe('dead');
  });
});

describe('deaf', () => {
  const deaf = { lastProofMs: NOW_MS - 5000, lastHeardMs: NOW_MS - 3000 };

  test('bytes come, but nothing shows that the peer hears us', () => {
    expect(judge(deaf)).toBe('deaf');
    expect(judge({ ...deaf, isSuspect: true }, {})).toBe('deaf');
    expect(judge({ ...deaf, lastHeardMs: NOW_MS - 2999 })).toBe('keep');
  });

  test('not while our own output there moves: on a slow link a PING waits behind it', () => {
    expect(judge({ ...deaf, lastMovedMs: NOW_MS - 2999 })).toBe('keep');
    expect(judge({ ...deaf, lastMovedMs: NOW_MS - 3000 })).toBe('deaf');
  });
});

test('a path that has just answered is kept, whatever else is', () => {
  const picture = fc.record({
    isSuspect: fc.boolean(),
    waitingSinceMs: fc.option(fc.nat(NOW_MS)),
    lastReceivedMs: fc.nat(NOW_MS),
    lastProofMs: fc.nat(NOW_MS),
    lastHeardMs: fc.nat(NOW_MS),
    lastMovedMs: fc.nat(NOW_MS),
    roundTripMs: fc.option(fc.nat(5000)),
  });
  const answered = { lastReceivedMs: NOW_MS, lastProofMs: NOW_MS, lastHeardMs: NOW_MS };
  fc.assert(fc.property(picture, fc.array(picture), (one, others) => judgePath({ ...one, ...answered }, others, TIMES, NOW_MS) === 'keep'));
});

test('the look at paths derives from `suspect`, within bounds', () => {
  expect([10, 40, 200, 5000].map((suspectMs) => tickMs({ ...TIMES, suspectMs }))).toEqual([5, 10, 50, 50]);
});
