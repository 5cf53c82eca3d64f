// Decides whether a path becomes suspect, dead or deaf, as a pure function of a snapshot of the trunk. A suspect path needs no verdict to
// recover, because the next answer or PONG on the path clears the suspicion. If all paths are silent, the server is considered slow: no
// path becomes suspect, and all paths reconnect after the configured time `dead`.

import { LIVENESS_TICKS_PER_SUSPECT, LIVENESS_TICK_MAX_MS, LIVENESS_TICK_MIN_MS, SUSPECT_SRTT_FACTOR } from '../limits.ts';

/** Liveness times from the configuration of a namespace. */
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
  /** Arrival time of the last answer, PONG or other frame that proves that the server receives our frames. */
  readonly lastProofMs: number;
  /**
   * Arrival time of the last frame that proves that the server receives our frames. Unlike `lastProofMs`, this time also counts reports
   * that the server has received further PINGs.
   */
  readonly lastHeardMs: number;
  /** Last time at which a part of the queued output was sent. */
  readonly lastMovedMs: number;
  readonly roundTripMs: number | null;
}

/**
 * `suspect`: requests are in flight, and the path has been silent for the suspect time, while another path has delivered an answer or a
 * PONG. The suspect time is the configured time `suspect` or 8 smoothed round trips, whichever is longer, but at most half of the
 * configured time `dead`. `dead`: nothing has been received on the path for the configured time `dead`. `deaf`: bytes arrive, but for the
 * configured time `dead`, no output was sent and nothing has shown that the server receives our bytes.
 */
export type Verdict = 'keep' | 'suspect' | 'dead' | 'deaf';

/** Interval between a trunk's checks of its paths, in ms. */
export function tickMs({ suspectMs }: LivenessTimes): number {
  return Math.min(LIVENESS_TICK_MAX_MS, Math.max(LIVENESS_TICK_MIN_MS, suspectMs / LIVENESS_TICKS_PER_SUSPECT));
}

/**
 * Start of a path's silence while requests are in flight; infinity if no request is in flight. A path is not silent while its output is
 * being sent.
 */
export function quietSinceMs({ lastProofMs, lastMovedMs, waitingSinceMs }: LivenessPicture): number {
  return Math.max(lastProofMs, lastMovedMs, waitingSinceMs ?? Number.POSITIVE_INFINITY);
}

/** True if requests are in flight, but neither an answer nor a PONG has arrived for the suspect time. */
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

/**
 * Time without an answer after which a path is quiet. The time is at most half of the configured time `dead`, because a long round trip
 * that was measured during an outage could otherwise hide the next outage.
 */
function patienceMs(roundTripMs: number | null, { suspectMs, deadMs }: LivenessTimes): number {
  return Math.min(Math.max(suspectMs, (roundTripMs ?? 0) * SUSPECT_SRTT_FACTOR), deadMs / 2);
}
