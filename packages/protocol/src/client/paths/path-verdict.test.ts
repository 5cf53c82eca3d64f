// Tests, with snapshots of a trunk, when a path becomes suspect, dead or deaf, and when it does not.
// liveness.test.ts tests the actions that follow a verdict. Rules: G2.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgePath, type LivenessPicture, tickMs } from './path-verdict.ts';

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

  test('requests in flight, no answer for the suspect time, and an answer on another path meanwhile', () => {
    expect(judge(silent, {})).toBe('suspect');
    expect(judge({ ...silent, waitingSinceMs: NOW_MS - 199 }, {})).toBe('keep');
    expect(judge({ ...silent, lastProofMs: NOW_MS - 199 }, {})).toBe('keep');
  });

  // Regression: any received byte counted as a sign of life. When only the client's sending direction was broken, the server's PINGs
  // therefore delayed the suspicion.
  test('even if bytes arrive that are no answer', () => {
    expect(judge({ ...silent, lastReceivedMs: NOW_MS }, {})).toBe('suspect');
  });

  test('not while nothing is in flight', () => {
    expect(judge({ ...silent, waitingSinceMs: null }, {})).toBe('keep');
  });

  test('not if all paths are silent alike, nor if there is no other path', () => {
    expect(judge(silent)).toBe('keep');
    expect(judge(silent, { lastProofMs: NOW_MS - 200 }, { lastProofMs: NOW_MS - 900 })).toBe('keep');
    expect(judge(silent, { lastProofMs: NOW_MS - 900 }, { lastProofMs: NOW_MS - 199 })).toBe('suspect');
  });

  test('a long round trip extends the time, but not indefinitely', () => {
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

  test('only once', () => {
    expect(judge({ ...silent, isSuspect: true }, {})).toBe('keep');
  });
});

describe('dead', () => {
  test('nothing received for `dead`, whatever the other paths do', () => {
    expect(judge({ lastReceivedMs: NOW_MS - 3000 })).toBe('dead');
    expect(judge({ lastReceivedMs: NOW_MS - 2999 })).toBe('keep');
    expect(judge({ lastReceivedMs: NOW_MS - 3000, isSuspect: true }, {})).toBe('dead');
  });
});

describe('deaf', () => {
  const deaf = { lastProofMs: NOW_MS - 5000, lastHeardMs: NOW_MS - 3000 };

  test('bytes arrive, but nothing shows that the peer receives ours', () => {
    expect(judge(deaf)).toBe('deaf');
    expect(judge({ ...deaf, isSuspect: true }, {})).toBe('deaf');
    expect(judge({ ...deaf, lastHeardMs: NOW_MS - 2999 })).toBe('keep');
  });

  test('not while our own output moves: on a slow link a PING waits behind it', () => {
    expect(judge({ ...deaf, lastMovedMs: NOW_MS - 2999 })).toBe('keep');
    expect(judge({ ...deaf, lastMovedMs: NOW_MS - 3000 })).toBe('deaf');
  });
});

test('a path that has just answered is kept in every case', () => {
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

test('the interval of checks derives from `suspect`, within bounds', () => {
  expect([10, 40, 200, 5000].map((suspectMs) => tickMs({ ...TIMES, suspectMs }))).toEqual([5, 10, 50, 50]);
});
