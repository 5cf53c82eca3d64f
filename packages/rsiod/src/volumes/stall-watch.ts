// The stall policy of one volume at work: keeps the state of stall.ts and its one timer. What is decided is stall.ts's; what giving up
// means is the volume's. Time in which our own process stood still does not count: a look that comes late has not seen what came meanwhile.
// Invariant: `giveUp` is called from a timer only, never from within what the watch is told.

import type { StallPolicy } from '@rsio/common/config/schema/types';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { DRAINING_WORD_MS } from '@rsio/common/lib/program-limits';
import { STALL_LATE_MS, STALL_LOOK_MS } from '@rsio/common/lib/limits';
import type { Standing } from '@rsio/protocol/client/attachment';
import { failsFromMs, judgeStall, STALL_START, type StallEvent, type StallState, type StallWord } from './stall.ts';

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
