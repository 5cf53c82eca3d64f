// Schedules the computations of authentications. A computation blocks the event loop for up to some ten milliseconds, and a stranger who
// knows an NQN can cause one. Invariants: between two computations, the loop is free for AUTH_REST times as long as the first one took, so
// that most of the time is left for I/O, whatever the number of logins; the sources of logins take turns, so that a source with many logins
// delays the others by one computation.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import type { AuthPorts } from './dh-chap.ts';
import { AUTH_REST, AUTH_REST_MIN_MS } from '../../limits.ts';

export interface TurnOwner {
  /** The address of the host, or the network that it belongs to. */
  readonly source: string;
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
  /** For each source that waits, and for the latest one: the number of its last turn. */
  private readonly served = new Map<string, number>();
  private turns = 0;
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

  /** Takes the first turn of the source whose last turn was longest ago. */
  private take(): Turn | undefined {
    let first: Turn | undefined;
    const lastOf = ({ owner }: Turn): number => this.served.get(owner.source) ?? 0;
    for (const turn of this.waiting) if (first === undefined || lastOf(turn) < lastOf(first)) first = turn;
    if (first === undefined) return undefined;
    const { owner } = first;
    this.waiting.splice(this.waiting.indexOf(first), 1);
    this.turns++;
    this.served.set(owner.source, this.turns);
    for (const source of [...this.served.keys()])
      if (source !== owner.source && !this.waiting.some((one) => one.owner.source === source)) this.served.delete(source);
    return first;
  }

  private next(): void {
    this.timer = null;
    const turn = this.take();
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
