// Blocks of the replicas in sync that another replica may lack (rule M12), kept in the holder's memory. If a replica was out of sync when
// this client became the holder, it may lack every region that an intent map has. Invariant: a block that is not in `of` is equal on the
// replica, durably or in the incarnation `life`. The replica has answered each later change of it, or still gets it, or it was noted.

import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import type { RegionSet } from '../region-set.ts';
import { type Blocks, BlockSet, intersection, union } from './block-set.ts';
import { ChangeTimes, type TimesBudget } from './change-times.ts';

interface Knowledge {
  /** The disk may lack `blocks`, and blocks changed at `tick` or later; null if unknown. */
  disk: { readonly blocks: BlockSet; readonly tick: number } | null;
  /** In incarnation `life`, the replica lacks only blocks changed at `tick` or later; null if unknown. */
  storage: { readonly life: string; readonly tick: number } | null;
}

export class Lacks {
  private readonly touched: RegionSet;
  private readonly times: ChangeTimes;
  private readonly now: () => number;
  private readonly known = new Map<string, Knowledge>();

  /** `touched`: all other regions are equal on all replicas. `now`: returns the tick, which never goes back. */
  constructor(touched: RegionSet, budget: TimesBudget, now: () => number) {
    this.touched = touched;
    this.times = new ChangeTimes(budget);
    this.now = now;
  }

  /** A change by a user, or by a copy between replicas in sync, has ended: each replica has answered it or has lost its session. */
  changed(beginBytes: number, endBytes: number): void {
    this.times.mark(beginBytes, endBytes, this.now());
  }

  /** Replicas in sync were made equal in this region. All other replicas may lack the whole region. */
  settled(region: number): void {
    this.times.mark(region * MIRROR_REGION_BYTES, (region + 1) * MIRROR_REGION_BYTES, this.now());
  }

  /** Regions were added to `touched` because an earlier holder changed them, or because the volume has grown. */
  allChanged(): void {
    this.times.markAll(this.now());
  }

  /** The region is equal on all replicas, and flushed. */
  cleared(region: number): void {
    this.times.drop(region);
  }

  /**
   * The session of a replica with all data ends; its requests in flight have not ended yet. `flushed`: tick at which the last FLUSH that it
   * answered was submitted; 0 if there was none. `life`: incarnation of its storage that executed all requests that it answered.
   */
  left(identity: string, flushed: number, life: string | null): void {
    const storage = life === null ? null : { life, tick: this.now() };
    this.known.set(identity, { disk: { blocks: new BlockSet(), tick: flushed }, storage });
  }

  /**
   * A replica that is being copied was flushed in one session and incarnation. `remaining`: blocks not yet copied when the FLUSH was
   * submitted, at `tick`. The replica has got all changes since its session began, and has refused none.
   */
  flushed(identity: string, remaining: BlockSet, tick: number): void {
    this.known.set(identity, { disk: { blocks: remaining, tick }, storage: this.known.get(identity)?.storage ?? null });
  }

  keepOnly(isMember: (identity: string) => boolean): void {
    for (const identity of this.known.keys()) if (!isMember(identity)) this.known.delete(identity);
  }

  /** Blocks that the replica may lack while its storage has the incarnation `life`. */
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
    // Adds regions that only the replica's own map has.
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
