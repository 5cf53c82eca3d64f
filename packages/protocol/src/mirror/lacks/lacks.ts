// What each replica of a mirror may lack of what the holder's replicas in sync have (rule M12). The holder remembers it in memory; of a
// replica that was out of sync when it became the holder it knows nothing, and everything is lacking that an intent map has. Invariant: a
// block that `of` leaves out is on the replica's disk as it is in I, or in its storage as long as that is the incarnation that is named.
// Then each later change of the block was answered by the replica, is under way to it, or has been noted.

import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import type { RegionSet } from '../regions/region-set.ts';
import { type Blocks, BlockSet, intersection, union } from './block-set.ts';
import { ChangeTimes, type TimesBudget } from './change-times.ts';

interface Knowledge {
  /** With what has changed from `tick` on: what may be lacking on the disk; null: nothing is known. */
  disk: { readonly blocks: BlockSet; readonly tick: number } | null;
  /** In this incarnation, nothing is lacking but what has changed from `tick` on; null: nothing is known. */
  storage: { readonly life: string; readonly tick: number } | null;
}

export class Lacks {
  private readonly touched: RegionSet;
  private readonly times: ChangeTimes;
  private readonly now: () => number;
  private readonly known = new Map<string, Knowledge>();

  /** `touched`: regions outside of it are equal everywhere. `now`: a tick that never goes back. */
  constructor(touched: RegionSet, budget: TimesBudget, now: () => number) {
    this.touched = touched;
    this.times = new ChangeTimes(budget);
    this.now = now;
  }

  /** A change of users, or of replicas in sync, has ended: each replica with a session has answered it, or has lost that session. */
  changed(beginBytes: number, endBytes: number): void {
    this.times.mark(beginBytes, endBytes, this.now());
  }

  /** Replicas in sync were made equal in this region: the others may lack all of it. */
  settled(region: number): void {
    this.times.mark(region * MIRROR_REGION_BYTES, (region + 1) * MIRROR_REGION_BYTES, this.now());
  }

  /** `touched` has regions that others have changed, or that are new. */
  allChanged(): void {
    this.times.markAll(this.now());
  }

  /** The region is equal everywhere, and flushed. */
  cleared(region: number): void {
    this.times.drop(region);
  }

  /**
   * The session of a replica that had everything ends; nothing that is under way to it has ended yet. `flushed`: tick at which a FLUSH was
   * submitted that it has answered; 0 if there was none. `life`: incarnation in which it has everything that it has answered.
   */
  left(identity: string, flushed: number, life: string | null): void {
    const storage = life === null ? null : { life, tick: this.now() };
    this.known.set(identity, { disk: { blocks: new BlockSet(), tick: flushed }, storage });
  }

  /**
   * A replica that is copied was flushed in one session and incarnation. `remaining`: what was not copied when the FLUSH was submitted, at
   * `tick`. It gets all changes since its session began, and has refused none.
   */
  flushed(identity: string, remaining: BlockSet, tick: number): void {
    this.known.set(identity, { disk: { blocks: remaining, tick }, storage: this.known.get(identity)?.storage ?? null });
  }

  keepOnly(isMember: (identity: string) => boolean): void {
    for (const identity of this.known.keys()) if (!isMember(identity)) this.known.delete(identity);
  }

  /** What the replica may lack while its storage is the incarnation `life`. */
  of(identity: string, life: string | null): BlockSet {
    const { touched } = this;
    const { disk = null, storage = null } = this.known.get(identity) ?? {};
    const set = new BlockSet();
    for (let region = touched.firstFrom(0); region >= 0; region = touched.firstFrom(region + 1)) {
      let blocks: Blocks = 'whole';
      if (disk !== null) blocks = union(disk.blocks.blocksOf(region), this.times.changedSince(region, disk.tick));
      if (storage !== null && storage.life === life) blocks = intersection(blocks, this.times.changedSince(region, storage.tick));
      set.add(region, blocks);
    }
    // Regions that only the replica's own map had.
    const outside = disk?.blocks.regions ?? touched;
    for (let region = outside.firstFromOutside(0, touched); region >= 0; region = outside.firstFromOutside(region + 1, touched))
      set.add(region, 'whole');
    return set;
  }

  get tick(): number {
    return this.now();
  }

  end(): void {
    this.times.end();
    this.known.clear();
  }
}
