// The stall policy of one volume: how long its I/O waits while nothing can be sent, and when all that waits fails. `judgeStall` decides, purely;
// `StallWatch` keeps the state and the one timer. Time in which this process itself stood still does not count: a look that comes late has
// not seen what came meanwhile. Invariants: I/O fails only while the volume is halted; a server that is there and slow is waited for;
// `giveUp` is called from a timer only, never from within what the watch is told.

import type { StallPolicy } from '@rsio/common/config/schema/types';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import type { Standing } from '@rsio/protocol/client/attachment';
import { DRAINING_WORD_MS, STALL_FAIL_GRACE_MS, STALL_LATE_MS, STALL_LOOK_MS } from './limits.ts';

//   ready --halted--> waiting --until--> failed (what comes now waits for its own time)
//     ^--ready-----------+------------------/             recovering: the time runs on, and nothing fails
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

export interface StallWatchPorts {
  readonly clock: Clock;
  /** Answers everything that waits. */
  giveUp(): void;
  said(word: StallWord): void;
}

export class StallWatch {
  policy: StallPolicy;
  /** When what waits is given up, monotonic ms; null: no time-out is running. */
  untilMs: number | null = null;
  private readonly ports: StallWatchPorts;
  private state: StallState = STALL_START;
  private timer: Timer | null = null;
  /** When the next look is due; null: none is. */
  private lookMs: number | null = null;
  private slowSentence: string | null = null;

  constructor(policy: StallPolicy, ports: StallWatchPorts) {
    this.policy = policy;
    this.ports = ports;
  }

  get isReady(): boolean {
    return this.state.sinceMs === null;
  }

  /** I/O was given up since the volume was ready last. */
  get gaveUp(): boolean {
    return this.state.gaveUp;
  }

  /** Since when the volume is not ready, monotonic ms; null: it is. */
  get sinceMs(): number | null {
    return this.state.sinceMs;
  }

  /** Another policy: for what waits already, too. */
  setPolicy(policy: StallPolicy): void {
    this.policy = policy;
    this.take({ kind: 'standing', standing: this.state.standing, hasIo: false });
  }

  standing(standing: Standing, hasIo: boolean): void {
    if (standing !== this.state.standing) this.take({ kind: 'standing', standing, hasIo });
  }

  /** I/O came; the data path asks `isReady` first. */
  submitted(): void {
    if (this.state.waitsSinceMs === null) this.take({ kind: 'submitted' });
  }

  idle(): void {
    if (this.state.waitsSinceMs !== null) this.take({ kind: 'idle' });
  }

  /** The server has said that it is there and slow, in this sentence. */
  serverIsSlow(sentence: string): void {
    this.slowSentence = sentence;
    this.take({ kind: 'slow', forMs: DRAINING_WORD_MS });
  }

  /** What it has said so, as long as that counts; null: nothing. */
  get serverWord(): string | null {
    return this.state.slowUntilMs > this.ports.clock.monotonicMs() ? this.slowSentence : null;
  }

  private take(event: StallEvent): void {
    const { clock } = this.ports;
    const nowMs = clock.monotonicMs();
    const lateMs = nowMs - (this.lookMs ?? nowMs);
    if (lateMs > STALL_LATE_MS) {
      // And one look more: what was received meanwhile is read first.
      const stood: StallEvent = { kind: 'stood-still', ms: lateMs + STALL_LOOK_MS };
      this.state = judgeStall(this.policy, this.state, stood, nowMs).state;
    }
    const verdict = judgeStall(this.policy, this.state, event, nowMs);
    this.state = verdict.state;
    this.untilMs = verdict.untilMs;
    this.lookAfter(nowMs);
    if (verdict.say !== null) this.ports.said(verdict.say);
    if (verdict.giveUp) this.ports.giveUp();
  }

  private lookAfter(nowMs: number): void {
    this.timer?.cancel();
    this.timer = null;
    this.lookMs = null;
    const endMs = this.untilMs ?? failsFromMs(this.policy, this.state);
    if (endMs === null || (this.untilMs === null && endMs <= nowMs)) return;
    this.lookMs = Math.min(nowMs + STALL_LOOK_MS, Math.max(nowMs, endMs));
    this.timer = this.ports.clock.after(this.lookMs - nowMs, () => this.take({ kind: 'time' }));
  }
}
