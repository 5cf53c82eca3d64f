// The stall policy of one volume at work: keeps the state of stall.ts and its one timer. What is decided is stall.ts's; what giving up
// means is the volume's. Invariant: `giveUp` is called from a timer only, never from within what the watch is told.

import type { StallPolicy } from '@rsio/protocol/config/types';
import type { Clock, Timer } from '@rsio/protocol/lib/clock';
import type { Standing } from '@rsio/protocol/trunk/attachment';
import { judgeStall, STALL_START, type StallEvent, type StallState, type StallWord } from './stall.ts';

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

  private take(event: StallEvent): void {
    const { clock } = this.ports;
    const nowMs = clock.monotonicMs();
    const verdict = judgeStall(this.policy, this.state, event, nowMs);
    this.state = verdict.state;
    this.untilMs = verdict.untilMs;
    this.timer?.cancel();
    this.timer = verdict.untilMs === null ? null : clock.after(Math.max(0, verdict.untilMs - nowMs), () => this.take({ kind: 'time' }));
    if (verdict.say !== null) this.ports.said(verdict.say);
    if (verdict.giveUp) this.ports.giveUp();
  }
}
