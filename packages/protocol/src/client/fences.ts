// Dead paths that the server has not yet confirmed (S5): FENCE is asked for each on a living path, again when that one dies too or falls
// silent, until FENCED. Handles whose I/O was given up (S11) are kept the same way in another object, for REVOKE and REVOKED. Invariant: a
// number leaves only by its answer, a path also by a WELCOME to a join that named it, or with the session.

import { DEAD_PATHS_NAMED_MAX } from '../wire/limits.ts';

/** What a FENCED means: it confirms a dead path; that was confirmed meanwhile in another way; it was not asked for on this path. */
export type FencedKind = 'fenced' | 'known' | 'violation';

export class Fences {
  /** Dead path -> path on which FENCE was asked, or null. */
  private readonly dead = new Map<number, number | null>();
  /** Living path -> dead paths for which it owes a FENCED, confirmed meanwhile or not. */
  private readonly owed = new Map<number, Set<number>>();

  get count(): number {
    return this.dead.size;
  }

  isDead(path: number): boolean {
    return this.dead.has(path);
  }

  died(path: number): void {
    this.add(path);
    this.pathGone(path);
  }

  /** To be asked for. */
  add(number: number): void {
    this.dead.set(number, null);
  }

  /** A path on which may have been asked is gone. */
  pathGone(path: number): void {
    this.owed.delete(path);
    this.distrust(path);
  }

  /** What was asked on this path is to be asked on another one too. */
  distrust(path: number): void {
    for (const [number, askedOn] of this.dead) {
      if (askedOn === path) this.dead.set(number, null);
    }
  }

  /** Dead paths for which nobody who can be relied on was asked. */
  unasked(): number[] {
    return [...this.dead].filter(([, askedOn]) => askedOn === null).map(([number]) => number);
  }

  /** The path `on` is to be asked; false: it owes the answer already. */
  ask(path: number, on: number): boolean {
    this.dead.set(path, on);
    const owed = this.owed.get(on) ?? new Set<number>();
    this.owed.set(on, owed);
    if (owed.has(path)) return false;
    owed.add(path);
    return true;
  }

  /** FENCED for `path` came on `on`. */
  answered(path: number, on: number): FencedKind {
    if (this.owed.get(on)?.delete(path) !== true) return 'violation';
    return this.dead.delete(path) ? 'fenced' : 'known';
  }

  /** A WELCOME confirms `path`; false: it was confirmed before. */
  confirmed(path: number): boolean {
    return this.dead.delete(path);
  }

  /** What a PROOF names: the longest dead first. */
  named(): number[] {
    return [...this.dead.keys()].slice(0, DEAD_PATHS_NAMED_MAX);
  }

  restart(): void {
    this.dead.clear();
    this.owed.clear();
  }
}
