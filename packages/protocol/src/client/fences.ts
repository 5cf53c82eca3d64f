// Tracks the dead paths whose end the server has not confirmed yet (S5). For each dead path, the client sends FENCE on a live path; if the
// live path dies or falls silent before FENCED arrives, the client sends FENCE on another path. A second instance of this class tracks
// abandoned handles (S11) in the same way, with REVOKE and REVOKED (handle-fences.ts). Invariant: a path or handle is removed only when its
// FENCED or REVOKED arrives, when WELCOME answers a PROOF that named the path, or when the session ends.

import { DEAD_PATHS_NAMED_MAX } from '../wire/limits.ts';

/**
 * Meaning of a FENCED (or REVOKED). `fenced`: the answer confirms the end of a dead path. `known`: the end of the path was already
 * confirmed in another way. `violation`: the client had not requested the answer on this path.
 */
export type FencedKind = 'fenced' | 'known' | 'violation';

export class Fences {
  /** Maps each dead path to the live path on which FENCE was sent; null if FENCE must be sent. */
  private readonly dead = new Map<number, number | null>();
  /**
   * Maps each live path to the dead paths for which it owes a FENCED, even if the end of a dead path has since been confirmed in another
   * way.
   */
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

  /** Adds a dead path (or an abandoned handle) whose end the server must confirm. */
  add(number: number): void {
    this.dead.set(number, null);
  }

  /** Called when a path is gone, because a FENCE that was sent on it will then not be answered. */
  pathGone(path: number): void {
    this.owed.delete(path);
    this.distrust(path);
  }

  /** Called when a path is suspect, because a FENCE that was sent on it must then be sent again on another path. */
  distrust(path: number): void {
    for (const [number, askedOn] of this.dead) {
      if (askedOn === path) this.dead.set(number, null);
    }
  }

  /** Dead paths for which FENCE must be sent, because it is not pending on any reliable path. */
  unrequested(): number[] {
    return [...this.dead].filter(([, askedOn]) => askedOn === null).map(([number]) => number);
  }

  /**
   * Records that FENCE for `path` is sent on the live path `on`. Returns false if `on` already owes the answer; the caller then sends
   * nothing.
   */
  request(path: number, on: number): boolean {
    this.dead.set(path, on);
    const owed = this.owed.get(on) ?? new Set<number>();
    this.owed.set(on, owed);
    if (owed.has(path)) return false;
    owed.add(path);
    return true;
  }

  /** Called when FENCED for `path` was received on the path `on`. */
  answered(path: number, on: number): FencedKind {
    if (this.owed.get(on)?.delete(path) !== true) return 'violation';
    return this.dead.delete(path) ? 'fenced' : 'known';
  }

  /** Called when a WELCOME confirms the end of `path`. Returns false if the end had already been confirmed. */
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
