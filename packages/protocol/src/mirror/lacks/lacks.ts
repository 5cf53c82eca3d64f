// Keeps, in the holder's memory, which blocks each replica out of sync may lack (rule M12). A replica that was out of sync when this client
// became the holder may lack every region that an intent map contains. Invariant: each block that `of` does not return is stored on the
// replica, durably or in the incarnation `life`. Each later change of the block was answered by the replica, is still being sent to the
// replica, or was noted here.

import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import { assert } from '@rsio/base/lib/assert';
import type { RegionSet } from '../region-set.ts';
import { type Blocks, BlockSet, intersection, union } from './block-set.ts';
import { ChangeTimes, type TimesBudget } from './change-times.ts';

interface Knowledge {
  /**
   * The replica's disk may lack `blocks`, and all blocks that were changed at `tick` or later. Null if the state of the disk is unknown.
   */
  disk: { readonly blocks: BlockSet; readonly tick: number } | null;
  /** In the incarnation `life`, the replica lacks only blocks that were changed at `tick` or later. Null if no incarnation is known. */
  storage: { readonly life: string; readonly tick: number } | null;
}

export class Lacks {
  private readonly touched: RegionSet;
  private readonly times: ChangeTimes;
  private readonly now: () => number;
  private readonly known = new Map<string, Knowledge>();

  /**
   * `touched`: regions in which replicas may differ; all other regions are equal on all replicas. `now`: returns the tick, which never goes
   * back.
   */
  constructor(touched: RegionSet, budget: TimesBudget, now: () => number) {
    this.touched = touched;
    this.times = new ChangeTimes(budget);
    this.now = now;
  }

  /**
   * Called when a change by a user, or by a copy between replicas in sync, has ended. Each replica has answered the change or has lost its
   * session.
   */
  changed(beginBytes: number, endBytes: number): void {
    this.times.mark(beginBytes, endBytes, this.now());
  }

  /** Called when the replicas in sync were made equal in this region. All other replicas may now lack the whole region. */
  settled(region: number): void {
    this.times.mark(region * MIRROR_REGION_BYTES, (region + 1) * MIRROR_REGION_BYTES, this.now());
  }

  /** Called when regions were added to `touched`, because an earlier holder changed them or because the volume has grown. */
  allChanged(): void {
    this.times.markAll(this.now());
  }

  /** Called when the region is equal on all replicas and all of them have flushed it. */
  cleared(region: number): void {
    this.times.drop(region);
  }

  /**
   * Called when a replica that has all data loses its session, before the requests in flight to this replica end. `flushed`: tick at
   * which the last FLUSH that the replica answered was submitted; 0 if it answered no FLUSH. `life`: incarnation of the replica's storage
   * in which all requests that the replica answered were executed; null if this is not known.
   */
  left(identity: string, flushed: number, life: string | null): void {
    assert(flushed <= this.now(), 'A replica has answered a FLUSH that was not sent yet');
    const storage = life === null ? null : { life, tick: this.now() };
    this.known.set(identity, { disk: { blocks: new BlockSet(), tick: flushed }, storage });
  }

  /**
   * Called when a replica that is being copied was flushed, and its session and incarnation have not changed during the FLUSH. `remaining`:
   * blocks not yet copied when the FLUSH was submitted, at `tick`. The replica has received all changes since its session began, and has
   * refused none.
   */
  flushed(identity: string, remaining: BlockSet, tick: number): void {
    assert(tick <= this.now(), 'A replica has answered a FLUSH that was not sent yet');
    this.known.set(identity, { disk: { blocks: remaining, tick }, storage: this.known.get(identity)?.storage ?? null });
  }

  keepOnly(isMember: (identity: string) => boolean): void {
    for (const identity of this.known.keys()) if (!isMember(identity)) this.known.delete(identity);
  }

  /** Returns the blocks that the replica may lack while its storage has the incarnation `life`. */
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
    // Add regions that only the replica's own map contains.
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
