// Chooses the path for a request by estimated completion time: a pure function of a snapshot of the trunk. `prepare` makes the estimates
// once for each pump, and `choosePath` compares them for each request; neither allocates. Measuring is path-load.ts' job, and deciding when
// to send is the dispatcher's job. Invariant: a path that carries a copy of the request is never chosen, and a suspect path only if there
// is no other.
//   completion = delay + the slower of both directions: (unanswered bytes + this request's bytes) / rate
//   delay      = round trip + time by which the path's silence exceeds the expected time

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
} from './limits.ts';

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
  /** Start of the path's silence while requests are in flight; infinity if none is in flight. */
  readonly quietSinceMs: number;
  readonly load: LoadPicture;
}

/** Makes the estimates for `choosePath`. They are valid until answers arrive. */
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
 * Returns the path to use. Returns null to hold the request back, because no path may take it or because waiting for the best path is
 * better than using another one. `carried`: numbers of the paths that already have a copy of the request.
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

/** Like `choosePath`, but returns the best path even if the request should be held back. */
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
    // Wait for a good path even if it is full or already has a copy. On a suspect path, the request would wait until that path dies.
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

/** Value by which paths are compared. Idle paths keep their order among themselves. */
function weight({ requests }: LoadPicture, ms: number): number {
  return requests === 0 ? Math.max(ms - IDLE_SAME_MS, ms / IDLE_SAME_PART) : ms;
}

/**
 * Returns the path that has been unused for longest in the direction of this request, so that a copy can measure it again. Returns null if
 * all paths have been used recently or the copy would take too long. Paths take turns by unused time; in a fixed order, rare requests would
 * probe only the first path. No estimate excludes a path permanently: a first WRITE that waits for address resolution makes a cable look a
 * thousand times slower than it is. `longestMs`: upper limit for a copy that takes longer than RATE_PROBE_MAX_MS. The path's unused time
 * limits such copies, too.
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

/** Estimated time until a request of this size is answered, in ms. */
export function completionMs(load: LoadPicture, receivingBytes: number, sendingBytes: number): number {
  const receivingMs = (load.receiving.unansweredBytes + receivingBytes) * load.receivingMsPerByte;
  const sendingMs = (load.sending.unansweredBytes + sendingBytes) * load.sendingMsPerByte;
  return load.delayMs + load.requests * REQUEST_COST_MS + (receivingMs > sendingMs ? receivingMs : sendingMs);
}

/**
 * How much longer than expected the path has been silent, in ms. The scheduler assumes that the silence will last for the same time again.
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
 * Paths that are nearly as fast as the best, or whose capacity is unknown, count as equal to the best, so that they share a common
 * bottleneck equally. Otherwise a path that carried little would continue to get little.
 */
function assumedRate({ bytesPerMs, isLimit }: MeterPicture, best: number): number {
  return !isLimit || bytesPerMs >= best * RATE_SAME_SHARE ? best : bytesPerMs;
}

/** Limits the bytes in flight on a path that has not been measured recently. */
function hasFlight({ receiving, sending }: LoadPicture, receivingBytes: number, sendingBytes: number): boolean {
  return mayFly(receiving, receivingBytes) && mayFly(sending, sendingBytes);
}

function mayFly(meter: MeterPicture, bytes: number): boolean {
  return bytes === 0 || meter.isMeasured || meter.unansweredBytes === 0 || meter.unansweredBytes + bytes <= meter.flightBytes;
}

/** True if so much is in flight that further requests should wait in the trunk, where any path can still take them. */
function isAhead({ receiving, sending, receivingMsPerByte, sendingMsPerByte }: LoadPicture): boolean {
  return isFarAhead(receiving.unansweredBytes, receivingMsPerByte) || isFarAhead(sending.unansweredBytes, sendingMsPerByte);
}

function isFarAhead(bytes: number, msPerByte: number): boolean {
  return bytes >= AHEAD_MIN_BYTES && bytes * msPerByte > AHEAD_MAX_MS;
}
