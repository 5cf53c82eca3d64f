// The volumes that a session has been granted, and those that it is just opening. The listener asks it before it changes a volume, and when
// it revokes a volume's handles. Invariant: from the begin of an OPEN until its answer, the session counts as a user of the volume, so that
// no change passes between the decision and its answer.

import { FORMER_USES_MAX } from './limits.ts';

export class VolumeUses implements Iterable<string> {
  private readonly granted = new Set<string>();
  /**
   * Volumes that the session was granted and has no more, the latest last. Its server process may still say something about them. True: it
   * has said that writes may be lost.
   */
  private readonly former = new Map<string, boolean>();
  /** Number of OPENs in progress, keyed by volume id. */
  private readonly opening = new Map<string, number>();

  /** Returns true if the session has been granted the volume, or is opening it. */
  has(volumeId: string): boolean {
    return this.granted.has(volumeId) || this.opening.has(volumeId);
  }

  /** Returns true if the session has been granted the volume. An OPEN in progress is granted later, as the volume is then. */
  isGranted(volumeId: string): boolean {
    return this.granted.has(volumeId);
  }

  /** Iterates over the volumes granted to the session, whose storage it may have changed. */
  [Symbol.iterator](): Iterator<string> {
    return this.granted.values();
  }

  add(volumeId: string): void {
    this.former.delete(volumeId);
    this.granted.add(volumeId);
  }

  /** Returns true if the session had the volume, and has it no more. */
  wasGranted(volumeId: string): boolean {
    return this.former.has(volumeId);
  }

  /** A sync has failed late, of a volume that the session has no more. Returns true the first time. */
  losesFormer(volumeId: string): boolean {
    const isFirst = this.former.get(volumeId) === false;
    if (isFirst) this.former.set(volumeId, true);
    return isFirst;
  }

  /** The session has closed all its handles of the volume. OPENs in progress continue to count. */
  delete(volumeId: string): void {
    if (!this.granted.delete(volumeId)) return;
    for (const oldest of this.former.keys()) {
      if (this.former.size < FORMER_USES_MAX) break;
      this.former.delete(oldest);
    }
    this.former.set(volumeId, false);
  }

  /** Ids of the volumes that the session is just opening. */
  get openingIds(): Iterable<string> {
    return this.opening.keys();
  }

  /** An OPEN of the volume begins. */
  opens(volumeId: string): void {
    this.opening.set(volumeId, (this.opening.get(volumeId) ?? 0) + 1);
  }

  /** An OPEN of the volume has ended. */
  opened(volumeId: string): void {
    const left = (this.opening.get(volumeId) ?? 0) - 1;
    if (left > 0) this.opening.set(volumeId, left);
    else this.opening.delete(volumeId);
  }
}
