// A storage stall: the volume's paths are up, but its I/O gets no answer. This file decides when a stall is reported, when it is over, and
// what the I/O waits for. The judgement is a pure function of times; the watch polls. Lost paths and volumes that are not open are the job
// of path-stall.ts. Invariant: a timer runs only while I/O was outstanding at the last check, so that the data path only tests `isAsleep`.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import type { StorageReport } from '@rsio/protocol/link/heartbeat';
import { SLOW_STORAGE_LOOK_MS, SLOW_STORAGE_MS } from './limits.ts';

export type StorageStallEvent = 'stands-still' | 'moves';

/** The state of the volume at one check; times in monotonic ms. */
export interface StorageStallLook {
  /** Whether the volume has a path and is open. */
  readonly isReady: boolean;
  /** Since when I/O is outstanding without any completion; null: no I/O is outstanding. */
  readonly waitingSinceMs: number | null;
}

export interface StorageStallState {
  readonly lookedMs: number;
  /** Waiting time counts from here on, because before it the volume was not ready or this process did not run. */
  readonly countsFromMs: number;
  /** `waitingSinceMs` of the stall that was reported; null: none is. */
  readonly reportedSinceMs: number | null;
}

export function storageStallStart(nowMs: number): StorageStallState {
  return { lookedMs: nowMs, countsFromMs: nowMs, reportedSinceMs: null };
}

export function judgeStorageStall(
  before: StorageStallState,
  { isReady, waitingSinceMs }: StorageStallLook,
  nowMs: number,
): { readonly state: StorageStallState; readonly event: StorageStallEvent | null } {
  // Not reported here: path-stall.ts reports why the volume is not ready, and when it is ready again.
  if (!isReady) return { state: storageStallStart(nowMs), event: null };
  const wasAway = nowMs - before.lookedMs > 2 * SLOW_STORAGE_LOOK_MS;
  const state = { ...before, lookedMs: nowMs, countsFromMs: wasAway ? nowMs : before.countsFromMs };
  if (before.reportedSinceMs !== null) {
    return before.reportedSinceMs === waitingSinceMs
      ? { state, event: null }
      : { state: { ...state, reportedSinceMs: null }, event: 'moves' };
  }
  if (waitingSinceMs === null || nowMs - Math.max(waitingSinceMs, state.countsFromMs) < SLOW_STORAGE_MS) return { state, event: null };
  return { state: { ...state, reportedSinceMs: waitingSinceMs }, event: 'stands-still' };
}

/**
 * Describes for people what the I/O waits for. `reported`: the server's newest report of what it executes. A report from before
 * `waitingSinceMs` does not count.
 */
export function storageStallReason(serverText: string, waitingSinceMs: number, reported: StorageReport | null, nowMs: number): string {
  const answer = `an answer of ${serverText}, which`;
  if (reported === null || reported.atMs <= waitingSinceMs) return `${answer} has not said since then what it executes`;
  if (reported.oldestMs === 0) return `${answer} is heard and executes nothing of ours`;
  const ageMs = reported.oldestMs + nowMs - reported.atMs;
  // A request that the server started only recently cannot have caused the whole wait.
  return ageMs < SLOW_STORAGE_MS / 2
    ? `${answer} is heard and executes nothing of ours for longer than ${secondsOf(ageMs)}`
    : `${serverText}'s storage: its oldest request of ours has been executing for ${secondsOf(ageMs)}`;
}

export function secondsOf(ms: number): string {
  return `${Math.floor(ms / 1_000)} s`;
}

export interface StorageStallPorts {
  readonly clock: Clock;
  look(): StorageStallLook;
  report(event: StorageStallEvent): void;
}

export class StorageStallWatch {
  isAsleep = true;
  private readonly ports: StorageStallPorts;
  private state = storageStallStart(0);
  private timer: Timer | null = null;

  constructor(ports: StorageStallPorts) {
    this.ports = ports;
  }

  /** `waitingSinceMs` of the stall that was reported; null: none is. */
  get reportedSinceMs(): number | null {
    return this.state.reportedSinceMs;
  }

  /** I/O is outstanding: starts the checks. */
  wake(): void {
    this.isAsleep = false;
    this.state = storageStallStart(this.ports.clock.monotonicMs());
    this.lookLater();
  }

  /** The volume has ended: nothing more is reported. */
  stop(): void {
    this.timer?.cancel();
    this.timer = null;
    this.isAsleep = true;
    this.state = storageStallStart(0);
  }

  private lookLater(): void {
    this.timer = this.ports.clock.after(SLOW_STORAGE_LOOK_MS, () => this.look());
  }

  private look(): void {
    const seen = this.ports.look();
    const { state, event } = judgeStorageStall(this.state, seen, this.ports.clock.monotonicMs());
    this.state = state;
    this.timer = null;
    this.isAsleep = seen.waitingSinceMs === null;
    if (!this.isAsleep) this.lookLater();
    if (event !== null) this.ports.report(event);
  }
}
