// Dead paths that the server has not confirmed yet (S5). For each, FENCE is requested on a live path, and again on another one if that path
// dies or is silent, until FENCED is received. Abandoned handles (S11) are tracked in the same way in another object, by REVOKE and REVOKED.
// Invariant: a number is removed only by its answer, for a path also by a WELCOME to a join that named it, or with the session.

import { DEAD_PATHS_NAMED_MAX } from '../wire/limits.ts';

/** `fenced`: it confirms a dead path; `known`: the path was already confirmed in another way; `violation`: not requested on this path. */
export type FencedKind = 'fenced' | 'known' | 'violation';

export class Fences {
  /** Dead path -> path on which FENCE was requested, or null. */
  private readonly dead = new Map<number, number | null>();
  /** Live path -> dead paths for which it owes a FENCED, confirmed meanwhile or not. */
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

  /** Adds a number that must be confirmed. */
  add(number: number): void {
    this.dead.set(number, null);
  }

  /** A path is gone: requests on it get no answer. */
  pathGone(path: number): void {
    this.owed.delete(path);
    this.distrust(path);
  }

  /** A path is suspect: requests on it must be repeated on another path. */
  distrust(path: number): void {
    for (const [number, askedOn] of this.dead) {
      if (askedOn === path) this.dead.set(number, null);
    }
  }

  /** Dead paths without a request on a reliable path. */
  unrequested(): number[] {
    return [...this.dead].filter(([, askedOn]) => askedOn === null).map(([number]) => number);
  }

  /** Records a request on path `on`. False: that path already owes the answer, so send nothing. */
  request(path: number, on: number): boolean {
    this.dead.set(path, on);
    const owed = this.owed.get(on) ?? new Set<number>();
    this.owed.set(on, owed);
    if (owed.has(path)) return false;
    owed.add(path);
    return true;
  }

  /** FENCED for `path` was received on `on`. */
  answered(path: number, on: number): FencedKind {
    if (this.owed.get(on)?.delete(path) !== true) return 'violation';
    return this.dead.delete(path) ? 'fenced' : 'known';
  }

  /** A WELCOME confirms `path`. False: it was already confirmed. */
  confirmed(path: number): boolean {
    return this.dead.delete(path);
  }

  /** The dead paths that a PROOF names, the longest dead first. */
  named(): number[] {
    return [...this.dead.keys()].slice(0, DEAD_PATHS_NAMED_MAX);
  }

  restart(): void {
    this.dead.clear();
    this.owed.clear();
  }
}
