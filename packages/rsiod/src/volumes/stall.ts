// The stall policy of a volume as a pure judgement: how long its I/O waits while nothing can be sent, and when all that waits is given up.
// Leaves timers to stall-watch.ts, and giving up to the volume. Invariant: I/O is given up only while the volume is halted; a server that
// is slow, or that is just taking up what an old session left, is waited for without end.
//
//   ready --halted--> waiting --until--> given up (what comes now waits for its own time)
//     ^--ready-----------+------------------/             recovering: the time runs on, and nothing is given up

import type { StallPolicy } from '@rsio/common/config/schema/types';
import { STALL_FAIL_GRACE_MS } from '@rsio/common/lib/limits';
import type { Standing } from '@rsio/protocol/client/attachment';

export type StallEvent =
  | { readonly kind: 'standing'; readonly standing: Standing; readonly hasIo: boolean }
  /** I/O came, while the volume is not ready. */
  | { readonly kind: 'submitted' }
  /** No I/O is left. */
  | { readonly kind: 'idle' }
  /** Our own process stood still for so long: that time counts for nothing, since nothing that came meanwhile could be seen. */
  | { readonly kind: 'stood-still'; readonly ms: number }
  /** The server says that it is there, and slow; that counts for so long. */
  | { readonly kind: 'slow'; readonly forMs: number }
  | { readonly kind: 'time' };

/** Times in monotonic ms. */
export interface StallState {
  readonly standing: Standing;
  /** Since when it is not ready; null: it is. */
  readonly sinceMs: number | null;
  /** The same, later by what our own process stood still: what counts for `fail`. */
  readonly countsFromMs: number | null;
  /** Since when I/O waits that was not given up, less what our own process stood still; null: none does. */
  readonly waitsSinceMs: number | null;
  /** Until then the server's word counts that it is there and slow: no time before it counts. */
  readonly slowUntilMs: number;
  /** I/O was given up since it was ready last. */
  readonly gaveUp: boolean;
}

/** What is to be said aloud, each once between two times of being ready. */
export type StallWord = 'waits' | 'gave-up' | 'goes-on';

export interface StallVerdict {
  readonly state: StallState;
  /** When to ask again, with `time`; null: no time-out is running. */
  readonly untilMs: number | null;
  /** Everything that waits is to be answered now: outcome unknown. */
  readonly giveUp: boolean;
  readonly say: StallWord | null;
}

export const STALL_START: StallState = {
  standing: 'ready',
  sinceMs: null,
  countsFromMs: null,
  waitsSinceMs: null,
  slowUntilMs: 0,
  gaveUp: false,
};

export function judgeStall(policy: StallPolicy, before: StallState, event: StallEvent, nowMs: number): StallVerdict {
  const state = after(before, event, nowMs);
  const untilMs = deadlineMs(policy, state);
  if (event.kind === 'time' && untilMs !== null && nowMs >= untilMs) {
    return { state: { ...state, waitsSinceMs: null, gaveUp: true }, untilMs: null, giveUp: true, say: before.gaveUp ? null : 'gave-up' };
  }
  return { state, untilMs, giveUp: false, say: wordFor(before, state) };
}

function after(before: StallState, event: StallEvent, nowMs: number): StallState {
  switch (event.kind) {
    case 'standing':
      if (event.standing === 'ready' || event.standing === 'over') return { ...STALL_START, standing: event.standing };
      return {
        ...before,
        standing: event.standing,
        sinceMs: before.sinceMs ?? nowMs,
        countsFromMs: before.countsFromMs ?? nowMs,
        waitsSinceMs: before.waitsSinceMs ?? (event.hasIo ? nowMs : null),
      };
    case 'submitted':
      return { ...before, waitsSinceMs: before.waitsSinceMs ?? nowMs };
    case 'idle':
      return { ...before, waitsSinceMs: null };
    case 'stood-still':
      return { ...before, countsFromMs: later(before.countsFromMs, event.ms), waitsSinceMs: later(before.waitsSinceMs, event.ms) };
    case 'slow':
      return { ...before, slowUntilMs: nowMs + event.forMs };
    case 'time':
      return before;
  }
}

function later(timeMs: number | null, ms: number): number | null {
  return timeMs === null ? null : timeMs + ms;
}

/** `fail` counts from the loss, so that later I/O fails at once; a duration counts from when I/O began to wait. */
function deadlineMs(policy: StallPolicy, { standing, countsFromMs, waitsSinceMs, slowUntilMs }: StallState): number | null {
  if (standing !== 'halted' || countsFromMs === null || waitsSinceMs === null || policy === 'forever') return null;
  return policy === 'fail' ? Math.max(countsFromMs, slowUntilMs) + STALL_FAIL_GRACE_MS : Math.max(waitsSinceMs, slowUntilMs) + policy;
}

/** With `fail` the time runs also while no I/O waits: from when on I/O fails at once; null: it does not run. */
export function failsFromMs(policy: StallPolicy, { standing, countsFromMs }: StallState): number | null {
  return policy === 'fail' && standing === 'halted' && countsFromMs !== null ? countsFromMs + STALL_FAIL_GRACE_MS : null;
}

function wordFor(before: StallState, state: StallState): StallWord | null {
  if (before.sinceMs === null) return state.sinceMs === null ? null : 'waits';
  return state.standing === 'ready' ? 'goes-on' : null;
}
