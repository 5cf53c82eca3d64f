// Dead paths whose end the server has not confirmed yet (S5). For each, the client sends FENCE on a live path, and repeats it on another
// one if that path dies or is silent, until FENCED arrives. Another object tracks abandoned handles (S11) in the same way, with REVOKE and
// REVOKED. Invariant: a number is removed only when its answer arrives, when a join that named it gets a WELCOME (paths only), or when the
// session ends.

import { DEAD_PATHS_NAMED_MAX } from '../wire/limits.ts';

/** `fenced`: confirms a dead path. `known`: the path was already confirmed in another way. `violation`: not requested on this path. */
export type FencedKind = 'fenced' | 'known' | 'violation';

export class Fences {
  /** Key: dead path. Value: path on which FENCE was requested, or null. */
  private readonly dead = new Map<number, number | null>();
  /** Key: live path. Value: dead paths for which the live one owes a FENCED, even if they have since been confirmed in another way. */
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

  /** Adds a dead path (or an abandoned handle) that the server must confirm. */
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

  /** Records a request on path `on`. Returns false if that path already owes the answer; the caller then sends nothing. */
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

  /** A WELCOME confirms `path`. Returns false if it was already confirmed. */
  confirmed(path: number): boolean {
    return this.dead.delete(path);
  }

  /** Returns the dead paths that a PROOF names: at most DEAD_PATHS_NAMED_MAX, beginning with those that died first. */
  named(): number[] {
    return [...this.dead.keys()].slice(0, DEAD_PATHS_NAMED_MAX);
  }

  restart(): void {
    this.dead.clear();
    this.owed.clear();
  }
}
