// Tracks dead paths until the server confirms that it will not execute any more requests from them (S5). For each dead path, the client
// sends FENCE on a live path. If the live path dies or falls silent before FENCED arrives, the client sends FENCE again on another path. A
// second instance of this class tracks abandoned handles (S11), with REVOKE and REVOKED (handle-fences.ts). Invariant: an entry is removed
// only by FENCED, by REVOKED, by the end of the session, or by a WELCOME after a PROOF that named the path.

import { DEAD_PATHS_NAMED_MAX } from '../wire/limits.ts';

/**
 * `fenced`: the answer confirms that a dead path has ended. `known`: an earlier answer or a WELCOME had already confirmed the end of the
 * path. `violation`: the path that delivered the answer did not owe it.
 */
export type FencedKind = 'fenced' | 'known' | 'violation';

export class Fences {
  /** Maps each dead path to the live path on which its FENCE was sent, or to null if a FENCE must be sent. */
  private readonly dead = new Map<number, number | null>();
  /**
   * Maps each live path to the dead paths for which it owes a FENCED. The set keeps a dead path even if another answer has already
   * confirmed its end.
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

  add(number: number): void {
    this.dead.set(number, null);
  }

  /** Called when a path is gone and will not answer any FENCE. */
  pathGone(path: number): void {
    this.owed.delete(path);
    this.distrust(path);
  }

  /** Called when a path becomes suspect: FENCEs that the path has not answered must be sent again on another path. */
  distrust(path: number): void {
    for (const [number, askedOn] of this.dead) {
      if (askedOn === path) this.dead.set(number, null);
    }
  }

  /** Returns the dead paths for which FENCE must be sent now. */
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

  answered(path: number, on: number): FencedKind {
    if (this.owed.get(on)?.delete(path) !== true) return 'violation';
    return this.dead.delete(path) ? 'fenced' : 'known';
  }

  /** Called when a WELCOME confirms that `path` has ended. Returns false if the end of the path had already been confirmed. */
  confirmed(path: number): boolean {
    return this.dead.delete(path);
  }

  /** Returns the dead paths to name in a PROOF: those that died first, at most DEAD_PATHS_NAMED_MAX. */
  named(): number[] {
    return [...this.dead.keys()].slice(0, DEAD_PATHS_NAMED_MAX);
  }

  restart(): void {
    this.dead.clear();
    this.owed.clear();
  }
}
