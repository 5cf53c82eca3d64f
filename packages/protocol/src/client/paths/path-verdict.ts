// Judges when a path becomes suspect, dead or deaf: a pure function of a snapshot of the trunk. Clearing a suspect path needs no judgement;
// the next answer or PONG on it does so. Acting on a verdict is liveness.ts' job.
//   suspect: in-flight requests, no answer and no PONG for max(suspect, 8 x srtt), while another path delivered one
//   dead:    nothing was received for `dead`
//   deaf:    bytes arrive, but for `dead` nothing shows that the peer receives ours, and our queued output does not move
// If all paths are silent alike, the peer is slow: no path becomes suspect, and after `dead` all are reconnected.

import { LIVENESS_TICKS_PER_SUSPECT, LIVENESS_TICK_MAX_MS, LIVENESS_TICK_MIN_MS, SUSPECT_SRTT_FACTOR } from './limits.ts';

/** Times that a namespace configures. All other liveness times derive from these three. */
export interface LivenessTimes {
  readonly heartbeatMs: number;
  readonly suspectMs: number;
  readonly deadMs: number;
}

export interface LivenessPicture {
  readonly isSuspect: boolean;
  /** Start of the uninterrupted period in which at least one request has been in flight; null if none is in flight. */
  readonly waitingSinceMs: number | null;
  readonly lastReceivedMs: number;
  /** When the last answer or PONG arrived. Only these prove that the peer receives our frames. */
  readonly lastProofMs: number;
  /** Like `lastProofMs`, except that the peer's count of the PINGs that it received is a proof, too. */
  readonly lastHeardMs: number;
  /** When output that was waiting for the link last moved. */
  readonly lastMovedMs: number;
  readonly roundTripMs: number | null;
}

export type Verdict = 'keep' | 'suspect' | 'dead' | 'deaf';

/** Interval between a trunk's checks of its paths, in ms. */
export function tickMs({ suspectMs }: LivenessTimes): number {
  return Math.min(LIVENESS_TICK_MAX_MS, Math.max(LIVENESS_TICK_MIN_MS, suspectMs / LIVENESS_TICKS_PER_SUSPECT));
}

/** Start of a path's silence while requests are in flight; infinity if none is in flight. Moving output is not silence. */
export function quietSinceMs({ lastProofMs, lastMovedMs, waitingSinceMs }: LivenessPicture): number {
  return Math.max(lastProofMs, lastMovedMs, waitingSinceMs ?? Number.POSITIVE_INFINITY);
}

/** True if no answer and no PONG has arrived for the suspect time although requests are in flight. */
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

/** A round trip measured across an outage would hide the next outage. The time is therefore at most half of `dead`. */
function patienceMs(roundTripMs: number | null, { suspectMs, deadMs }: LivenessTimes): number {
  return Math.min(Math.max(suspectMs, (roundTripMs ?? 0) * SUSPECT_SRTT_FACTOR), deadMs / 2);
}
