// When a path becomes suspect or dead (any byte from a suspect path clears it, that needs no judgement): a pure judgement over a picture of the trunk.
//   suspect: requests are out, nothing has come on this path for max(suspect, 8 x srtt), and another path delivered something meanwhile
//   dead:    nothing for `dead`
// All paths silent alike is the peer's slowness: nobody is suspected, and after `dead` all are reconnected.

import { SUSPECT_SRTT_FACTOR } from '../limits.ts';

export interface LivenessTimes {
  readonly heartbeatMs: number;
  readonly suspectMs: number;
  readonly deadMs: number;
}

export interface LivenessPicture {
  readonly suspect: boolean;
  /** When the oldest request unanswered on it was sent; null: none is out. */
  readonly waitingSinceMs: number | null;
  readonly lastReceivedMs: number;
  readonly roundTripMs: number | null;
}

export type Verdict = 'keep' | 'suspect' | 'dead';

export function judgePath(path: LivenessPicture, others: readonly LivenessPicture[], times: LivenessTimes, nowMs: number): Verdict {
  if (nowMs - path.lastReceivedMs >= times.deadMs) return 'dead';
  const patienceMs = Math.max(times.suspectMs, (path.roundTripMs ?? 0) * SUSPECT_SRTT_FACTOR);
  const quietSinceMs = Math.max(path.lastReceivedMs, path.waitingSinceMs ?? Number.POSITIVE_INFINITY);
  const isQuiet = nowMs - quietSinceMs >= patienceMs;
  if (path.suspect || !isQuiet) return 'keep';
  return others.some((other) => other.lastReceivedMs > quietSinceMs) ? 'suspect' : 'keep';
}
