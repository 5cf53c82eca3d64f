// A disk in memory with persistent reservations, which answers as SPC-4 says, for tests of the engine with reservations. Each machine is a
// nexus.

import type { Holder, Outcome, ReservationCalls } from '../farm/engines/reservation-calls.ts';

/** A disk with reservations of one type. */
export class ReservationTarget {
  readonly registered = new Map<string, bigint>();
  readonly log: string[] = [];
  holder: string | null = null;
  canRead = true;

  /** Returns true if the disk executes a write of this nexus. */
  executes(nexus: string): boolean {
    return this.holder === null || this.registered.has(nexus);
  }

  of(nexus: string): ReservationCalls {
    const { registered, log } = this;
    const answer = (isDone: boolean): Outcome => (isDone ? 'done' : 'conflict');
    return {
      register: async (key) => {
        registered.set(nexus, key);
        return 'done';
      },
      change: async (before, key) => {
        if (registered.get(nexus) !== before) return 'conflict';
        registered.set(nexus, key);
        return 'done';
      },
      reserve: async (key) => {
        if (registered.get(nexus) !== key) return 'conflict';
        this.holder ??= nexus;
        return answer(this.holder === nexus);
      },
      preempt: async (key, other) => {
        const victims = [...registered].filter(([, each]) => each === other).map(([name]) => name);
        if (registered.get(nexus) !== key || victims.length === 0) return 'conflict';
        for (const victim of victims) registered.delete(victim);
        if (this.holder !== null && victims.includes(this.holder)) this.holder = nexus;
        log.push(`${nexus} preempts ${victims.join()}`);
        return 'done';
      },
      abortAll: async () => {
        log.push(`${nexus} resets`);
        return true;
      },
      keys: async () => (this.canRead ? [...registered.values()] : null),
      holder: async (): Promise<Holder | null | 'unknown'> =>
        this.canRead ? (this.holder === null ? null : { key: registered.get(this.holder)!, isOurType: true }) : 'unknown',
    };
  }
}
