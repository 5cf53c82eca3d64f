// The volumes that a session has been granted, and the volumes that it is opening. The listener consults both lists before it changes a
// volume and before it revokes handles. Invariant: from the start of an OPEN until its answer, the session counts as a user of the volume.
// The volume therefore does not change between the decision about the OPEN and the answer. Rules: C3.

import { assert, counted } from '@rsio/base/lib/assert';
import { FORMER_USES_MAX } from '../limits.ts';

export class VolumeUses implements Iterable<string> {
  private readonly granted = new Set<string>();
  /**
   * Volumes that the session has closed, the most recent last. The worker of the session may still report about closed volumes. The value
   * is true once the worker has reported that writes may be lost.
   */
  private readonly former = new Map<string, boolean>();
  /** Number of OPENs in progress, keyed by volume id. */
  private readonly opening = new Map<string, number>();

  /** Returns true if the session has been granted the volume, or is opening it. */
  has(volumeId: string): boolean {
    return this.granted.has(volumeId) || this.opening.has(volumeId);
  }

  /** Returns true if the session has been granted the volume. An OPEN in progress does not count. */
  isGranted(volumeId: string): boolean {
    return this.granted.has(volumeId);
  }

  /** Iterates over the volumes granted to the session. The session may have written to the storage of these volumes. */
  [Symbol.iterator](): Iterator<string> {
    return this.granted.values();
  }

  add(volumeId: string): void {
    this.former.delete(volumeId);
    this.granted.add(volumeId);
  }

  /** Returns true if the session had been granted the volume and has closed it. */
  wasGranted(volumeId: string): boolean {
    return this.former.has(volumeId);
  }

  /**
   * Records that a sync of a volume has failed after the session closed the volume. Returns true if no such failure of this volume was
   * recorded before.
   */
  losesFormer(volumeId: string): boolean {
    const isFirst = this.former.get(volumeId) === false;
    if (isFirst) this.former.set(volumeId, true);
    return isFirst;
  }

  /** Called when the session has closed all its handles of the volume. OPENs in progress continue to count. */
  delete(volumeId: string): void {
    if (!this.granted.delete(volumeId)) return;
    assert(!this.former.has(volumeId), 'A session had a volume and had closed it');
    for (const oldest of this.former.keys()) {
      if (this.former.size < FORMER_USES_MAX) break;
      this.former.delete(oldest);
    }
    this.former.set(volumeId, false);
  }

  get openingIds(): Iterable<string> {
    return this.opening.keys();
  }

  /** Called when an OPEN of the volume begins. */
  opens(volumeId: string): void {
    this.opening.set(volumeId, (this.opening.get(volumeId) ?? 0) + 1);
  }

  /** Called when an OPEN of the volume has ended. */
  opened(volumeId: string): void {
    const left = counted((this.opening.get(volumeId) ?? 0) - 1, 'OPENs in progress');
    if (left > 0) this.opening.set(volumeId, left);
    else this.opening.delete(volumeId);
  }
}
