// The stall policy for one volume: how long I/O waits while nothing can be sent, and when waiting I/O fails. `judgeStall` is pure and makes
// the decisions; `StallWatch` keeps the state and the only timer. Invariants: I/O fails only while the volume is halted. No time-out
// elapses while the server reports that it is slow. `abandon` is called only from the timer, never while the owner is calling this class.
// Rules: E2.

import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { Standing } from '@rsio/protocol/client/attachment';
import { DRAINING_VALID_MS, STALL_FAIL_GRACE_MS, STALL_LATE_MS, STALL_LOOK_MS } from './limits.ts';

//   ready --halted--> waiting --time-out--> failed
//     ^                  |                    |
//     +------ready-------+--------ready-------+
//
// In the state `failed`, later I/O waits for its own time-out or, with `stall = fail`, fails at once. While a volume is recovering, the
// time-out continues, but no I/O fails.
export type StallInput =
  | { readonly kind: 'standing'; readonly standing: Standing; readonly hasIo: boolean }
  /** An I/O was submitted while the volume was not ready. */
  | { readonly kind: 'submitted' }
  | { readonly kind: 'idle' }
  /** This process was not running for `ms`. The pause does not count towards a time-out, because the process could receive no message. */
  | { readonly kind: 'stood-still'; readonly ms: number }
  /** The server reports that it is reachable but slow. The report is valid for `forMs`. */
  | { readonly kind: 'slow'; readonly forMs: number }
  | { readonly kind: 'time' };

/** Times in monotonic ms. */
export interface StallState {
  readonly standing: Standing;
  /** Time at which the volume stopped being ready; null if it is ready. */
  readonly sinceMs: number | null;
  /**
   * `sinceMs` plus all later pauses in which this process was not running. With the configured value `stall = fail`, the time-out starts at
   * this time.
   */
  readonly countsFromMs: number | null;
  /** Time at which I/O began to wait, plus all later pauses in which this process was not running; null if no I/O is waiting. */
  readonly waitsSinceMs: number | null;
  /** Time until which the server counts as slow. No time-out starts before this time. */
  readonly slowUntilMs: number;
  /** True if I/O has been abandoned since the volume stopped being ready. */
  readonly hasAbandoned: boolean;
}

/** StallWatch reports each event at most once until the volume is ready again. */
export type StallEvent = 'waits' | 'gave-up' | 'goes-on';

export interface StallVerdict {
  readonly state: StallState;
  /** Time at which `judgeStall` must be called again with the input `time`; null if no time-out is running. */
  readonly untilMs: number | null;
  /** True if the volume must now answer all waiting I/O with OUTCOME_UNKNOWN. */
  readonly mustAbandon: boolean;
  readonly event: StallEvent | null;
}

export const STALL_START: StallState = {
  standing: 'ready',
  sinceMs: null,
  countsFromMs: null,
  waitsSinceMs: null,
  slowUntilMs: 0,
  hasAbandoned: false,
};

export function judgeStall(policy: StallPolicy, before: StallState, event: StallInput, nowMs: number): StallVerdict {
  const state = after(before, event, nowMs);
  const untilMs = deadlineMs(policy, state);
  if (event.kind === 'time' && untilMs !== null && nowMs >= untilMs) {
    return {
      state: { ...state, waitsSinceMs: null, hasAbandoned: true },
      untilMs: null,
      mustAbandon: true,
      event: before.hasAbandoned ? null : 'gave-up',
    };
  }
  return { state, untilMs, mustAbandon: false, event: eventOf(before, state) };
}

function after(before: StallState, event: StallInput, nowMs: number): StallState {
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

/**
 * With the policy `fail`, the time-out starts when the volume stops being ready, so that later I/O fails at once. With a duration, the
 * time-out starts when I/O begins to wait.
 */
function deadlineMs(policy: StallPolicy, { standing, countsFromMs, waitsSinceMs, slowUntilMs }: StallState): number | null {
  if (standing !== 'halted' || countsFromMs === null || waitsSinceMs === null || policy === 'forever') return null;
  return policy === 'fail' ? Math.max(countsFromMs, slowUntilMs) + STALL_FAIL_GRACE_MS : Math.max(waitsSinceMs, slowUntilMs) + policy;
}

/**
 * Returns the time from which I/O fails at once, or null if there is no such time. With the policy `fail`, the time-out runs even while no
 * I/O is waiting.
 */
export function failsFromMs(policy: StallPolicy, { standing, countsFromMs }: StallState): number | null {
  return policy === 'fail' && standing === 'halted' && countsFromMs !== null ? countsFromMs + STALL_FAIL_GRACE_MS : null;
}

function eventOf(before: StallState, state: StallState): StallEvent | null {
  if (before.sinceMs === null) return state.sinceMs === null ? null : 'waits';
  return state.standing === 'ready' ? 'goes-on' : null;
}

export interface StallWatchPorts {
  readonly clock: Clock;
  abandon(): void;
  report(event: StallEvent): void;
}

export class StallWatch {
  policy: StallPolicy;
  /** Time (monotonic ms) at which waiting I/O will be abandoned; null if no time-out is running. */
  untilMs: number | null = null;
  private readonly ports: StallWatchPorts;
  private state: StallState = STALL_START;
  private timer: Timer | null = null;
  /** Time at which the next check is due; null if no check is planned. */
  private lookMs: number | null = null;
  private slowMessage: string | null = null;

  constructor(policy: StallPolicy, ports: StallWatchPorts) {
    this.policy = policy;
    this.ports = ports;
  }

  get isReady(): boolean {
    return this.state.sinceMs === null;
  }

  get hasAbandoned(): boolean {
    return this.state.hasAbandoned;
  }

  get sinceMs(): number | null {
    return this.state.sinceMs;
  }

  /** Changes the policy. The new policy also applies to I/O that is already waiting. */
  setPolicy(policy: StallPolicy): void {
    this.policy = policy;
    this.take({ kind: 'standing', standing: this.state.standing, hasIo: false });
  }

  standing(standing: Standing, hasIo: boolean): void {
    if (standing !== this.state.standing) this.take({ kind: 'standing', standing, hasIo });
  }

  /** Must be called when I/O is submitted while `isReady` is false. */
  submitted(): void {
    if (this.state.waitsSinceMs === null) this.take({ kind: 'submitted' });
  }

  idle(): void {
    if (this.state.waitsSinceMs !== null) this.take({ kind: 'idle' });
  }

  serverIsSlow(message: string): void {
    this.slowMessage = message;
    this.take({ kind: 'slow', forMs: DRAINING_VALID_MS });
  }

  /** Text of the server's last report that it is slow; null if the report is no longer valid. */
  get serverMessage(): string | null {
    return this.state.slowUntilMs > this.ports.clock.monotonicMs() ? this.slowMessage : null;
  }

  private take(event: StallInput): void {
    const { clock } = this.ports;
    const nowMs = clock.monotonicMs();
    const lateMs = nowMs - (this.lookMs ?? nowMs);
    if (lateMs > STALL_LATE_MS) {
      // Add one interval, so that the process first reads the messages that arrived during the pause, before any I/O fails.
      const paused: StallInput = { kind: 'stood-still', ms: lateMs + STALL_LOOK_MS };
      this.state = judgeStall(this.policy, this.state, paused, nowMs).state;
    }
    const verdict = judgeStall(this.policy, this.state, event, nowMs);
    this.state = verdict.state;
    this.untilMs = verdict.untilMs;
    this.lookAfter(nowMs);
    if (verdict.event !== null) this.ports.report(verdict.event);
    if (verdict.mustAbandon) this.ports.abandon();
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
