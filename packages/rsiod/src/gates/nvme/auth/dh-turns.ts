// Schedules the computations of authentications. A computation blocks the event loop for up to some ten milliseconds, and a stranger who
// knows an NQN can cause one. Invariant: between two computations, the loop is free for AUTH_REST times as long as the first one took, so
// that most of the time is left for I/O, whatever the number of logins.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import type { AuthPorts } from './dh-chap.ts';
import { AUTH_REST, AUTH_REST_MIN_MS } from '../../limits.ts';

export interface TurnOwner {
  /** Called if a computation has thrown. */
  failed(thrown: unknown): void;
}

export interface Turns {
  /** Calls `work` later. An owner has at most one computation, and cancels it with `forget` when the owner ends. */
  run(owner: TurnOwner, work: () => void): void;
  forget(owner: TurnOwner): void;
}

/** What all connections share. */
export interface SharedAuthPorts extends Omit<AuthPorts, 'compute'> {
  readonly turns: Turns;
}

interface Turn {
  readonly owner: TurnOwner;
  readonly work: () => void;
}

export class DhTurns implements Turns {
  private readonly clock: Pick<Clock, 'after' | 'monotonicMs'>;
  private waiting: Turn[] = [];
  private timer: Timer | null = null;

  constructor(clock: Pick<Clock, 'after' | 'monotonicMs'>) {
    this.clock = clock;
  }

  run(owner: TurnOwner, work: () => void): void {
    this.waiting.push({ owner, work });
    this.timer ??= this.clock.after(0, () => this.next());
  }

  forget(owner: TurnOwner): void {
    this.waiting = this.waiting.filter((turn) => turn.owner !== owner);
  }

  close(): void {
    this.waiting = [];
    this.timer?.cancel();
    this.timer = null;
  }

  private next(): void {
    this.timer = null;
    const turn = this.waiting.shift();
    if (turn === undefined) return;
    const beganMs = this.clock.monotonicMs();
    try {
      turn.work();
    } catch (thrown) {
      turn.owner.failed(thrown);
    }
    const tookMs = this.clock.monotonicMs() - beganMs;
    this.timer = this.clock.after(Math.max(AUTH_REST_MIN_MS, AUTH_REST * tookMs), () => this.next());
  }
}
