// Judges one trunk: no request waits for silent paths while another path delivers, and no healthy path stays without requests forever.
// sim-judge.ts judges the total time of an I/O. Invariant: the judge observes and changes nothing.

import { RATE_PROBE_IDLE_MS, RATE_PROBE_MAX_MS, RATE_PROBE_SHARE, SUSPECT_SRTT_FACTOR } from '@rsio/protocol/client/limits';
import type { LivenessTimes } from '@rsio/protocol/client/paths/path-verdict';
import { completionMs, type PathPicture } from '@rsio/protocol/client/paths/scheduler';

/**
 * Within this time after a path falls silent, the client sends the path's requests again over other paths, before it sends later requests.
 * The time allows for a few checks and a PING.
 */
export const MOVED_WITHIN_MS = 800;
/**
 * A path counts as delivering if it has received something within this time. A healthy path always counts as delivering, because the client
 * sends PINGs on all paths while at least one path is silent.
 */
const DELIVERS_MS = 500;
/**
 * An idle path counts as forgotten after this number of requests, multiplied by RATE_PROBE_SHARE and by the number of paths. One request in
 * RATE_PROBE_SHARE may test an idle path, idle paths take turns, and requests without data test no path.
 */
const PROBES_PER_PATH = 4;

export interface JudgedPath extends PathPicture {
  readonly lastProofMs: number;
  readonly roundTripMs: number | null;
  /** Number of requests sent on the path so far. */
  readonly requests: number;
}

export interface JudgedRequest {
  /** null: the request carries no data, and may precede all others. */
  readonly attachment: object | null;
  readonly bodyBytes: number;
}

export interface JudgedSlots {
  readonly size: number;
  readonly freeCount: number;
  requestOf(slot: number): JudgedRequest | null;
  copiesOf(slot: number): readonly number[];
}

/** A request in a slot, and the time at which a check first saw it there. */
interface Seen {
  readonly request: JudgedRequest;
  readonly sinceMs: number;
}

/** A path without requests in flight. */
interface Idle {
  readonly usedMs: number;
  /** Value of the judge's `sent` when the client could first have tried the path. Null: it was too early to try the path. */
  sent: number | null;
}

export class TrunkJudge {
  private readonly times: LivenessTimes;
  private readonly bodyBytes: number;
  private readonly begun = new Map<number, Seen>();
  /** Requests to which only silent paths owe an answer. */
  private readonly waiting = new Map<number, Seen>();
  private readonly idle = new Map<number, Idle>();
  private readonly seen = new Map<number, number>();
  /** Number of requests with data that checks have seen on all paths so far. */
  private sent = 0;
  private lookedMs = 0;

  constructor(times: LivenessTimes, bodyBytes: number) {
    this.times = times;
    this.bodyBytes = bodyBytes;
  }

  /** Forgets all observations, because the client's process was stopped and could not act. */
  forget(): void {
    this.begun.clear();
    this.waiting.clear();
    this.idle.clear();
  }

  /** Returns a sentence about the fault that this check has found. Null: no fault. */
  look(paths: readonly JudgedPath[], slots: JudgedSlots, nowMs: number): string | null {
    return this.leftWaiting(paths, slots, nowMs) ?? this.leftIdle(paths, nowMs);
  }

  private leftWaiting(paths: readonly JudgedPath[], slots: JudgedSlots, nowMs: number): string | null {
    const heard = paths.filter((path) => !path.isSuspect && !this.isSilent(path, nowMs));
    const well = heard.filter(({ lastProofMs }) => nowMs - lastProofMs <= DELIVERS_MS);
    const newestMs = this.newestMs(well, slots, nowMs);
    for (let slot = 0; slot < slots.size; slot++) {
      const request = slots.requestOf(slot);
      if (request === null || well.length === 0 || isOn(heard, slots.copiesOf(slot))) this.waiting.delete(slot);
      else if (this.waiting.get(slot)?.request !== request) this.waiting.set(slot, { request, sinceMs: nowMs });
    }
    // An idle path should have got the request only if it would have answered by now. A slower path would have been no better than waiting.
    const idle = well.filter(({ load }) => load.requests === 0);
    for (const [slot, { request, sinceMs }] of this.waiting) {
      const waitsMs = nowMs - sinceMs;
      if (waitsMs <= MOVED_WITHIN_MS) continue;
      if (newestMs <= sinceMs && !idle.some(({ load }) => takesMs(load, request.bodyBytes) < waitsMs)) continue;
      this.waiting.delete(slot);
      const others = well.map(({ number }) => number).join(', ');
      return `a request waits for ${Math.round(waitsMs)} ms for silent paths (${slots.copiesOf(slot).join(', ')}) while others (${others}) deliver`;
    }
    return null;
  }

  /** Time at which the newest data request on one of these paths was first seen. */
  private newestMs(well: readonly JudgedPath[], slots: JudgedSlots, nowMs: number): number {
    let newestMs = Number.NEGATIVE_INFINITY;
    for (let slot = 0; slot < slots.size; slot++) {
      const request = slots.freeCount === slots.size ? null : slots.requestOf(slot);
      if (request === null) this.begun.delete(slot);
      else if (this.begun.get(slot)?.request !== request) this.begun.set(slot, { request, sinceMs: nowMs });
      if (request !== null && request.attachment !== null && isOn(well, slots.copiesOf(slot)))
        newestMs = Math.max(newestMs, this.begun.get(slot)!.sinceMs);
    }
    return newestMs;
  }

  private leftIdle(paths: readonly JudgedPath[], nowMs: number): string | null {
    for (const { number, requests, load } of paths) {
      if (usedMsOf(load) >= this.lookedMs) this.sent += requests - (this.seen.get(number) ?? 0);
      this.seen.set(number, requests);
    }
    this.lookedMs = nowMs;
    for (const { number, isSuspect, load } of paths) {
      const usedMs = usedMsOf(load);
      if (isSuspect || load.requests > 0 || paths.length < 2) this.idle.delete(number);
      else if (this.idle.get(number)?.usedMs !== usedMs) this.idle.set(number, { usedMs, sent: null });
      const idle = this.idle.get(number);
      if (idle === undefined || nowMs - usedMs < RATE_PROBE_IDLE_MS) continue;
      if (takesMs(load, this.bodyBytes) > RATE_PROBE_MAX_MS) idle.sent = null;
      else idle.sent ??= this.sent;
      const sent = this.sent - (idle.sent ?? this.sent);
      if (sent <= PROBES_PER_PATH * RATE_PROBE_SHARE * paths.length) continue;
      this.idle.delete(number);
      return `path ${number} is well and was left idle for ${Math.round(nowMs - usedMs)} ms, though ${sent} requests went elsewhere`;
    }
    return null;
  }

  /** Whether the path has been silent for longer than the time after which it is suspect. */
  private isSilent({ quietSinceMs, roundTripMs }: JudgedPath, nowMs: number): boolean {
    const { suspectMs, deadMs } = this.times;
    return nowMs - quietSinceMs > Math.min(Math.max(suspectMs, (roundTripMs ?? 0) * SUSPECT_SRTT_FACTOR), deadMs / 2);
  }
}

/** Time at which data was last in flight on the path. */
function usedMsOf({ receiving, sending }: PathPicture['load']): number {
  return Math.max(receiving.lastUsedMs, sending.lastUsedMs);
}

/** The time for a request on this path, by the estimate that the client itself uses. */
function takesMs(load: PathPicture['load'], bodyBytes: number): number {
  return Math.max(completionMs(load, bodyBytes, 0), completionMs(load, 0, bodyBytes));
}

function isOn(paths: readonly JudgedPath[], copies: readonly number[]): boolean {
  return copies.some((number) => paths.some((path) => path.number === number));
}
