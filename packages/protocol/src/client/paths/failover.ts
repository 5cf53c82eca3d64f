// When a path becomes suspect or dead: a pure judgement over a picture of the trunk. A suspect path is cleared by the next answer or PONG
// on it, that needs no judgement.
//   suspect: requests are out, no answer and no PONG has come for max(suspect, 8 x srtt), and another path has proved itself meanwhile
//   dead:    nothing was received for `dead`
//   deaf:    bytes come, but for `dead` nothing shows that the peer hears us, and our own output there does not move
// All paths silent alike is the peer's slowness: nobody is suspected, and after `dead` all are reconnected.

import { LIVENESS_TICKS_PER_SUSPECT, LIVENESS_TICK_MAX_MS, LIVENESS_TICK_MIN_MS, SUSPECT_SRTT_FACTOR } from './limits.ts';

/** What a namespace sets; every other time of liveness derives from these three. */
export interface LivenessTimes {
  readonly heartbeatMs: number;
  readonly suspectMs: number;
  readonly deadMs: number;
}

export interface LivenessPicture {
  readonly isSuspect: boolean;
  /** Since when requests are out on it without pause; null: none is out. */
  readonly waitingSinceMs: number | null;
  readonly lastReceivedMs: number;
  /** When the last answer or PONG came: only those show that the peer hears us. */
  readonly lastProofMs: number;
  /** The same, or the peer's word on how many PINGs it has heard. */
  readonly lastHeardMs: number;
  /** When output that had to wait for the link last moved. */
  readonly lastMovedMs: number;
  readonly roundTripMs: number | null;
}

export type Verdict = 'keep' | 'suspect' | 'dead' | 'deaf';

/** How often a trunk looks at its paths, ms. */
export function tickMs({ suspectMs }: LivenessTimes): number {
  return Math.min(LIVENESS_TICK_MAX_MS, Math.max(LIVENESS_TICK_MIN_MS, suspectMs / LIVENESS_TICKS_PER_SUSPECT));
}

/** Since when a path with requests out shows nothing; later than any time when it has none. Output that moves is not silence. */
export function quietSinceMs({ lastProofMs, lastMovedMs, waitingSinceMs }: LivenessPicture): number {
  return Math.max(lastProofMs, lastMovedMs, waitingSinceMs ?? Number.POSITIVE_INFINITY);
}

/** For as long as makes a suspect, nothing has shown that it is well. */
export function isQuiet(path: LivenessPicture, times: LivenessTimes, nowMs: number): boolean {
  return path.isSuspect || nowMs - quietSinceMs(path) >= patienceMs(path.roundTripMs, times);
}

export function judgePath(path: LivenessPicture, others: readonly LivenessPicture[], times: LivenessTimes, nowMs: number): Verdict {
  if (nowMs - path.lastReceivedMs >= times.deadMs) return 'dead';
  if (nowMs - Math.max(path.lastHeardMs, path.lastMovedMs) >= times.deadMs) return 'deaf';
  const quietMs = quietSinceMs(path);
  if (path.isSuspect || nowMs - quietMs < patienceMs(path.roundTripMs, times)) return 'keep';
  return others.some((other) => other.lastProofMs > quietMs) ? 'suspect' : 'keep';
}

/** A round trip measured across an outage must not make the next one unseen: half of `dead` is the most. */
function patienceMs(roundTripMs: number | null, { suspectMs, deadMs }: LivenessTimes): number {
  return Math.min(Math.max(suspectMs, (roundTripMs ?? 0) * SUSPECT_SRTT_FACTOR), deadMs / 2);
}
