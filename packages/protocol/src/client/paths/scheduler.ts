// Chooses the path for a request by estimated completion time, as a pure function of a snapshot of the trunk. `prepare` makes the estimates
// once for each pump, and `choosePath` compares them for each request; neither allocates memory. Invariant: a path that already carries a
// copy of the request is never chosen, and a suspect path is chosen only if all paths are suspect.
//   The completion time is the delay, plus (unanswered bytes + bytes of this request) / rate in the slower of the two directions.
//   The delay is the round trip, plus the time by which the path's silence exceeds the expected silence.

import { SEGMENT_BYTES } from '../../link/limits.ts';
import {
  AHEAD_MAX_MS,
  AHEAD_MIN_BYTES,
  IDLE_SAME_MS,
  IDLE_SAME_PART,
  OVERDUE_GRACE_MS,
  OVERDUE_TRIPS,
  RATE_GUESS_BYTES_PER_MS,
  RATE_PROBE_IDLE_MS,
  RATE_PROBE_MAX_MS,
  RATE_PROBE_TIME_PARTS,
  RATE_SAME_SHARE,
  REQUEST_COST_MS,
  TRIP_SAME_MS,
  TRIP_SAME_PART,
} from '../limits.ts';

export interface MeterPicture {
  readonly bytesPerMs: number;
  readonly unansweredBytes: number;
  readonly isMeasured: boolean;
  readonly flightBytes: number;
  readonly isLimit: boolean;
  readonly lastUsedMs: number;
}

export interface LoadPicture {
  readonly receiving: MeterPicture;
  readonly sending: MeterPicture;
  readonly requests: number;
  readonly tripMs: number | null;
  receivingMsPerByte: number;
  sendingMsPerByte: number;
  delayMs: number;
  overdueMs: number;
}

export interface PathPicture {
  readonly number: number;
  readonly isSuspect: boolean;
  readonly queuedBytes: number;
  readonly quietSinceMs: number;
  readonly load: LoadPicture;
}

/** Makes the estimates for `choosePath`. The estimates are valid until answers arrive. */
export function prepare(paths: readonly PathPicture[], nowMs: number): void {
  const receiving = bestRate(paths, 'receiving');
  const sending = bestRate(paths, 'sending');
  const tripMs = bestTripMs(paths);
  const guess = Math.max(receiving, sending) || RATE_GUESS_BYTES_PER_MS;
  for (let index = 0; index < paths.length; index++) {
    const path = paths[index]!;
    const { load } = path;
    load.receivingMsPerByte = 1 / assumedRate(load.receiving, receiving || guess);
    load.sendingMsPerByte = 1 / assumedRate(load.sending, sending || guess);
    load.overdueMs = overdueMs(path, nowMs);
    load.delayMs = assumedTripMs(load.tripMs ?? tripMs, tripMs) + load.overdueMs;
  }
}

/**
 * Returns the path to use. Returns null if no path may take the request, or if the request should wait for the best path. `carried`:
 * numbers of the paths that already have a copy of the request.
 */
export function choosePath<P extends PathPicture>(
  paths: readonly P[],
  carried: readonly number[],
  receivingBytes: number,
  sendingBytes: number,
  queuedMaxBytes: number,
): P | null {
  const best = leastBusy(paths, carried, receivingBytes, sendingBytes);
  if (best === null || best.queuedBytes > queuedMaxBytes || isAhead(best.load)) return null;
  return paths.length > 1 && !hasFlight(best.load, receivingBytes, sendingBytes) ? null : best;
}

/** Returns the path that is best for the request, by the same comparison as `choosePath`, even if the request should wait. */
export function leastBusy<P extends PathPicture>(
  paths: readonly P[],
  carried: readonly number[],
  receivingBytes: number,
  sendingBytes: number,
): P | null {
  let best: P | null = null;
  let bestMs = Number.POSITIVE_INFINITY;
  let isSuspect = true;
  for (let index = 0; index < paths.length; index++) {
    const path = paths[index]!;
    // Skip suspect paths if any other path is good, even if that path is full or already has a copy. On a suspect path, the request would
    // wait until that path dies.
    if (path.isSuspect && !isSuspect) continue;
    if (!path.isSuspect && isSuspect) {
      isSuspect = false;
      best = null;
      bestMs = Number.POSITIVE_INFINITY;
    }
    const ms = weight(path.load, completionMs(path.load, receivingBytes, sendingBytes));
    if (ms >= bestMs || carried.includes(path.number)) continue;
    best = path;
    bestMs = ms;
  }
  return best;
}

/** Value by which paths are compared: the completion time, reduced for idle paths. */
function weight({ requests }: LoadPicture, ms: number): number {
  return requests === 0 ? Math.max(ms - IDLE_SAME_MS, ms / IDLE_SAME_PART) : ms;
}

/**
 * Returns the path that has been unused for the longest time in the direction of this request, so that a copy can measure it again. Returns
 * null if all paths have been used recently or the copy would take too long. If the paths were tried in a fixed order, rare requests would
 * probe only the first path. A path can look a thousand times slower than it is, for example if its first WRITE waits for address
 * resolution. No estimate may therefore exclude a path permanently. The copy may take RATE_PROBE_MAX_MS or, if the path has been unused for
 * a long time, up to `longestMs`.
 */
export function pathToProbe<P extends PathPicture>(
  paths: readonly P[],
  receivingBytes: number,
  sendingBytes: number,
  nowMs: number,
  longestMs: number,
): P | null {
  const direction = sendingBytes > 0 ? 'sending' : 'receiving';
  let longest: P | null = null;
  let mostMs = RATE_PROBE_IDLE_MS;
  for (let index = 0; index < paths.length; index++) {
    const path = paths[index]!;
    const { unansweredBytes, lastUsedMs } = path.load[direction];
    const unusedMs = nowMs - lastUsedMs;
    if (path.isSuspect || unansweredBytes > 0 || (longest === null ? unusedMs < mostMs : unusedMs <= mostMs)) continue;
    const maxMs = Math.max(RATE_PROBE_MAX_MS, Math.min(longestMs, unusedMs / RATE_PROBE_TIME_PARTS));
    if (completionMs(path.load, receivingBytes, sendingBytes) > maxMs) continue;
    longest = path;
    mostMs = unusedMs;
  }
  return longest;
}

/** Estimated time in ms until a request of this size is answered. */
export function completionMs(load: LoadPicture, receivingBytes: number, sendingBytes: number): number {
  const receivingMs = (load.receiving.unansweredBytes + receivingBytes) * load.receivingMsPerByte;
  const sendingMs = (load.sending.unansweredBytes + sendingBytes) * load.sendingMsPerByte;
  return load.delayMs + load.requests * REQUEST_COST_MS + (receivingMs > sendingMs ? receivingMs : sendingMs);
}

/**
 * Time in ms by which the path's silence exceeds the expected silence. The scheduler assumes that the path will remain silent for as long
 * again.
 */
function overdueMs({ load, quietSinceMs }: PathPicture, nowMs: number): number {
  const receivingBytes = load.receiving.unansweredBytes;
  const sendingBytes = load.sending.unansweredBytes;
  if (receivingBytes + sendingBytes === 0) return 0;
  const answerMs = Math.max(
    Math.min(receivingBytes, SEGMENT_BYTES) * load.receivingMsPerByte,
    Math.min(sendingBytes, SEGMENT_BYTES) * load.sendingMsPerByte,
  );
  return Math.max(0, nowMs - quietSinceMs - (load.tripMs ?? 0) * OVERDUE_TRIPS - answerMs - OVERDUE_GRACE_MS);
}

function bestRate(paths: readonly PathPicture[], direction: 'receiving' | 'sending'): number {
  let best = 0;
  for (let index = 0; index < paths.length; index++) {
    const { isSuspect, load } = paths[index]!;
    if (!isSuspect && load[direction].bytesPerMs > best) best = load[direction].bytesPerMs;
  }
  return best;
}

function bestTripMs(paths: readonly PathPicture[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < paths.length; index++) {
    const { isSuspect, load } = paths[index]!;
    if (!isSuspect && load.tripMs !== null && load.tripMs < best) best = load.tripMs;
  }
  return best === Number.POSITIVE_INFINITY ? 0 : best;
}

function assumedTripMs(tripMs: number, best: number): number {
  const longerMs = tripMs - best;
  return longerMs > TRIP_SAME_MS && longerMs > best ? tripMs : best + longerMs / TRIP_SAME_PART;
}

/**
 * Paths of unknown capacity, and paths that are nearly as fast as the fastest path, count as equally fast. Paths that count as equally fast
 * share a common bottleneck equally. If estimates alone decided, a path whose estimate is low because it carried few requests would
 * continue to get few requests.
 */
function assumedRate({ bytesPerMs, isLimit }: MeterPicture, best: number): number {
  return !isLimit || bytesPerMs >= best * RATE_SAME_SHARE ? best : bytesPerMs;
}

/** False if the path has not been measured recently and this request would put too many bytes in flight on it. */
function hasFlight({ receiving, sending }: LoadPicture, receivingBytes: number, sendingBytes: number): boolean {
  return mayFly(receiving, receivingBytes) && mayFly(sending, sendingBytes);
}

function mayFly(meter: MeterPicture, bytes: number): boolean {
  return bytes === 0 || meter.isMeasured || meter.unansweredBytes === 0 || meter.unansweredBytes + bytes <= meter.flightBytes;
}

/** True if further requests should wait in the trunk, because too much is in flight on the path. */
function isAhead({ receiving, sending, receivingMsPerByte, sendingMsPerByte }: LoadPicture): boolean {
  return isFarAhead(receiving.unansweredBytes, receivingMsPerByte) || isFarAhead(sending.unansweredBytes, sendingMsPerByte);
}

function isFarAhead(bytes: number, msPerByte: number): boolean {
  return bytes >= AHEAD_MIN_BYTES && bytes * msPerByte > AHEAD_MAX_MS;
}
