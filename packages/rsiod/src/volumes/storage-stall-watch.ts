// Looks at one volume from time to time while it has I/O out, and says when that stands still and when it moves again. What is decided is
// standstill.ts's. Invariant: there is a timer only while something was outstanding at the last look, so the data path only asks `isAsleep`.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { SLOW_STORAGE_LOOK_MS } from '@rsio/common/lib/limits';
import { judgeStandstill, type StandstillLook, standstillStart, type StandstillWord } from './storage-stall.ts';

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
