// Dead paths that the server has not yet confirmed (S5): FENCE is asked for each on a living path, again when that one dies too,
// until FENCED. Invariant: a number leaves only by FENCED, by a WELCOME to a join that named it, or with the session.

import { DEAD_PATHS_NAMED_MAX } from '../limits.ts';

export class Fences {
  /** Dead path -> path on which FENCE was asked, or null. */
  private readonly dead = new Map<number, number | null>();

  get count(): number {
    return this.dead.size;
  }

  died(path: number): void {
    this.dead.set(path, null);
    for (const [number, askedOn] of this.dead) {
      if (askedOn === path) this.dead.set(number, null);
    }
  }

  /** Dead paths for which nobody living was asked. */
  unasked(): number[] {
    return [...this.dead].filter(([, askedOn]) => askedOn === null).map(([number]) => number);
  }

  asked(path: number, on: number): void {
    this.dead.set(path, on);
  }

  /** False: that path was not waiting for it. */
  fenced(path: number): boolean {
    return this.dead.delete(path);
  }

  /** What a PROOF names: the longest dead first. */
  named(): number[] {
    return [...this.dead.keys()].slice(0, DEAD_PATHS_NAMED_MAX);
  }

  restart(): void {
    this.dead.clear();
  }
}
