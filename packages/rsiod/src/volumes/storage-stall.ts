// A volume whose paths are up and whose I/O gets no answer: when that is reported, when it is over, and what the I/O waits for. The judgement is
// pure over the times it is given; the watch looks from time to time. Lost paths and volumes that are not open are stall.ts's.
// Invariant: there is a timer only while something was outstanding at the last look, so the data path only asks `isAsleep`.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import type { StorageReport } from '@rsio/protocol/link/heartbeat';
import { SLOW_STORAGE_LOOK_MS, SLOW_STORAGE_MS } from './limits.ts';

export type StandstillWord = 'stands-still' | 'moves';

/** What a look sees; times in monotonic ms. */
export interface StandstillLook {
  /** There is a path, and the volume is open. */
  readonly isReady: boolean;
  /** Since when something is outstanding without any completion; null: nothing is. */
  readonly waitingSinceMs: number | null;
}

export interface StandstillState {
  readonly lookedMs: number;
  /** Nothing earlier counts: the volume was not ready then, or nobody looked. */
  readonly countsFromMs: number;
  /** `waitingSinceMs` of the standstill that was said; null: none is. */
  readonly saidSinceMs: number | null;
}

export function standstillStart(nowMs: number): StandstillState {
  return { lookedMs: nowMs, countsFromMs: nowMs, saidSinceMs: null };
}

export function judgeStandstill(
  before: StandstillState,
  { isReady, waitingSinceMs }: StandstillLook,
  nowMs: number,
): { readonly state: StandstillState; readonly say: StandstillWord | null } {
  // Who says why it is not ready says also that it goes on.
  if (!isReady) return { state: standstillStart(nowMs), say: null };
  const wasAway = nowMs - before.lookedMs > 2 * SLOW_STORAGE_LOOK_MS;
  const state = { ...before, lookedMs: nowMs, countsFromMs: wasAway ? nowMs : before.countsFromMs };
  if (before.saidSinceMs !== null) {
    return before.saidSinceMs === waitingSinceMs ? { state, say: null } : { state: { ...state, saidSinceMs: null }, say: 'moves' };
  }
  if (waitingSinceMs === null || nowMs - Math.max(waitingSinceMs, state.countsFromMs) < SLOW_STORAGE_MS) return { state, say: null };
  return { state: { ...state, saidSinceMs: waitingSinceMs }, say: 'stands-still' };
}

/** What is waited for, for people. `told`: the newest that the server has said of what it executes; what it said before does not count. */
export function standstillReason(serverText: string, waitingSinceMs: number, told: StorageReport | null, nowMs: number): string {
  const answer = `an answer of ${serverText}, which`;
  if (told === null || told.atMs <= waitingSinceMs) return `${answer} has not said since then what it executes`;
  if (told.oldestMs === 0) return `${answer} is heard and executes nothing of ours`;
  const ageMs = told.oldestMs + nowMs - told.atMs;
  // One that is young is not what has been waited for all the time.
  return ageMs < SLOW_STORAGE_MS / 2
    ? `${answer} is heard and executes nothing of ours for longer than ${secondsOf(ageMs)}`
    : `${serverText}'s storage: its oldest request of ours has been executing for ${secondsOf(ageMs)}`;
}

export function secondsOf(ms: number): string {
  return `${Math.floor(ms / 1_000)} s`;
}

export interface StandstillWatchPorts {
  readonly clock: Clock;
  look(): StandstillLook;
  said(word: StandstillWord): void;
}

export class StandstillWatch {
  isAsleep = true;
  private readonly ports: StandstillWatchPorts;
  private state = standstillStart(0);
  private timer: Timer | null = null;

  constructor(ports: StandstillWatchPorts) {
    this.ports = ports;
  }

  /** `waitingSinceMs` of the standstill that was said; null: none is. */
  get saidSinceMs(): number | null {
    return this.state.saidSinceMs;
  }

  /** Something is outstanding. */
  wake(): void {
    this.isAsleep = false;
    this.state = standstillStart(this.ports.clock.monotonicMs());
    this.lookLater();
  }

  /** The volume is over: nothing is said of it any more. */
  stop(): void {
    this.timer?.cancel();
    this.timer = null;
    this.isAsleep = true;
    this.state = standstillStart(0);
  }

  private lookLater(): void {
    this.timer = this.ports.clock.after(SLOW_STORAGE_LOOK_MS, () => this.look());
  }

  private look(): void {
    const seen = this.ports.look();
    const { state, say } = judgeStandstill(this.state, seen, this.ports.clock.monotonicMs());
    this.state = state;
    this.timer = null;
    this.isAsleep = seen.waitingSinceMs === null;
    if (!this.isAsleep) this.lookLater();
    if (say !== null) this.ports.said(say);
  }
}
