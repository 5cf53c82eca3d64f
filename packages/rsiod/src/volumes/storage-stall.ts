// A volume whose paths are up and whose I/O gets no answer: when that is said, when it is over, and what is then waited for. Pure over the
// times it is given; the timer is standstill-watch.ts's, paths that are lost and volumes that are not open are stall.ts's.
// Invariant: each standstill is said once, and that it is over once; none is made of time in which this process did not look.

import { SLOW_STORAGE_LOOK_MS, SLOW_STORAGE_MS } from '@rsio/common/lib/limits';
import type { StorageTold } from '@rsio/protocol/link/heartbeat';

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
export function standstillReason(serverText: string, waitingSinceMs: number, told: StorageTold | null, nowMs: number): string {
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
