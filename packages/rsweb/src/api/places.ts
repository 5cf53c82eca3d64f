// Bounds the requests of the HTTP interface that are in progress. Invariants: one token never has all places; a place is given back once.

import { counted } from '@rsio/base/lib/assert';

export class Places {
  private readonly max: number;
  private readonly perOwner: number;
  private readonly taken = new Map<string, number>();
  private sum = 0;

  constructor(max: number, perOwner: number) {
    this.max = max;
    this.perOwner = perOwner;
  }

  /** Takes a place. Returns a function that gives it back; null if there is none for this owner. */
  take(owner: string): (() => void) | null {
    const own = this.taken.get(owner) ?? 0;
    if (own >= this.perOwner || this.sum >= this.max) return null;
    this.taken.set(owner, own + 1);
    this.sum++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.sum = counted(this.sum - 1, 'places of the HTTP interface');
      const left = (this.taken.get(owner) ?? 1) - 1;
      if (left === 0) this.taken.delete(owner);
      else this.taken.set(owner, left);
    };
  }
}
