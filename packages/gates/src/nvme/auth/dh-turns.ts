// Schedules the computations of authentications. A computation blocks the event loop for up to some ten milliseconds, and a stranger who
// knows an NQN can cause one, with the group that costs most. Invariants: between two computations, the loop is free for AUTH_REST times as
// long as the first one took, so that most of the time is left for I/O, whatever the number of logins; the sources of logins, and the logins
// of a source, have equal shares of the time that computations take, however costly those of others are, and also if others reconnect.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { AuthPorts } from './dh-chap.ts';
import { AUTH_REST, AUTH_REST_MIN_MS } from '../../limits.ts';

export interface TurnOwner {
  /** The address of the host, or the network that it belongs to. */
  readonly source: string;
  /** Called if a computation has thrown. */
  failed(thrown: unknown): void;
}

export interface Turns {
  /**
   * Calls `work` later, which costs as much as dhCost says. An owner has at most one computation, and cancels it with `forget` when the
   * owner ends.
   */
  run(owner: TurnOwner, cost: number, work: () => void): void;
  forget(owner: TurnOwner): void;
}

/** What all connections share. */
export interface SharedAuthPorts extends Omit<AuthPorts, 'compute'> {
  readonly turns: Turns;
}

interface Turn {
  readonly owner: TurnOwner;
  readonly cost: number;
  readonly work: () => void;
  /** When the turn would end if its source gave equal shares to its owners, in the virtual time of the owners. */
  readonly endsAt: number;
}

/**
 * Fair shares in virtual time, which passes more slowly the more parties wait. A party has its next turn when its last one would have ended;
 * a new one has it now.
 */
class Shares<K> {
  private now = 0;
  private readonly next = new Map<K, number>();

  beginOf(party: K): number {
    return Math.max(this.now, this.next.get(party) ?? 0);
  }

  took(party: K, cost: number, parties: number): void {
    this.next.set(party, this.beginOf(party) + cost);
    this.now += cost / parties;
    for (const [one, at] of this.next) if (at <= this.now) this.next.delete(one);
  }
}

export class DhTurns implements Turns {
  private readonly clock: Pick<Clock, 'after' | 'monotonicMs'>;
  private waiting: Turn[] = [];
  private readonly sources = new Shares<string>();
  private readonly owners = new Shares<TurnOwner>();
  private timer: Timer | null = null;

  constructor(clock: Pick<Clock, 'after' | 'monotonicMs'>) {
    this.clock = clock;
  }

  run(owner: TurnOwner, cost: number, work: () => void): void {
    this.waiting.push({ owner, cost, work, endsAt: this.owners.beginOf(owner) + cost });
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

  /** Takes the turn that would end first. */
  private take(): Turn | undefined {
    const endOf = ({ owner, cost }: Turn): number => this.sources.beginOf(owner.source) + cost;
    let first: Turn | undefined;
    for (const turn of this.waiting) {
      const isEarlier = first === undefined || endOf(turn) < endOf(first) || (endOf(turn) === endOf(first) && turn.endsAt < first.endsAt);
      if (isEarlier) first = turn;
    }
    if (first === undefined) return undefined;
    const { owner, cost } = first;
    const same = this.waiting.filter((one) => one.owner.source === owner.source);
    this.sources.took(owner.source, cost, new Set(this.waiting.map((one) => one.owner.source)).size);
    this.owners.took(owner, cost, same.length);
    this.waiting.splice(this.waiting.indexOf(first), 1);
    return first;
  }

  private next(): void {
    const turn = this.take();
    if (turn === undefined) return void (this.timer = null);
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
