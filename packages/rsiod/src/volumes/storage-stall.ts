// Detects storage stalls, in which a volume's paths are up but its I/O gets no answer. `judgeStorageStall` is pure; `StorageStallWatch`
// calls it at intervals. The module path-stall.ts handles volumes that have no path or are not open. Invariant: the timer runs only if I/O
// was outstanding at the last check; otherwise, the next I/O calls `wake`.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { StorageReport } from '@rsio/protocol/link/heartbeat';
import { SLOW_STORAGE_LOOK_MS, SLOW_STORAGE_MS } from './limits.ts';

export type StorageStallEvent = 'stands-still' | 'moves';

/** State of the volume at one check; times in monotonic ms. */
export interface StorageStallLook {
  /** True while the volume has a path and is open. */
  readonly isReady: boolean;
  /** Time since which I/O is outstanding and none has completed; null if no I/O is outstanding. */
  readonly waitingSinceMs: number | null;
}

export interface StorageStallState {
  readonly lookedMs: number;
  /** Before this time, the volume was not ready or this process was not running, so waiting does not count. */
  readonly countsFromMs: number;
  /** `waitingSinceMs` of the reported stall; null if no stall has been reported. */
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
  // If the volume is not ready, path-stall.ts reports the stall.
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
 * Returns a readable description of what the I/O is waiting for. The server's newest report about running requests (`reported`) is ignored
 * if it is older than `waitingSinceMs`.
 */
export function storageStallReason(serverText: string, waitingSinceMs: number, reported: StorageReport | null, nowMs: number): string {
  const answer = `an answer of ${serverText}, which`;
  if (reported === null || reported.atMs <= waitingSinceMs) return `${answer} has not said since then what it executes`;
  if (reported.oldestMs === 0) return `${answer} is heard and executes nothing of ours`;
  const ageMs = reported.oldestMs + nowMs - reported.atMs;
  // A request that the server has started only recently cannot be the cause of the stall.
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

  get reportedSinceMs(): number | null {
    return this.state.reportedSinceMs;
  }

  /** Starts the checks. Must be called when I/O is submitted while `isAsleep` is true. */
  wake(): void {
    this.isAsleep = false;
    this.state = storageStallStart(this.ports.clock.monotonicMs());
    this.lookLater();
  }

  /** Stops the checks, because the attachment has ended. */
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
