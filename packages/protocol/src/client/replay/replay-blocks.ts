// Stores the written sectors of the replay log, with the age of each sector, in blocks of 4 KiB at aligned positions of the volume. A newer
// write overwrites an older write in place, so that data is never split, moved or fragmented. Blocks come from slabs. The file
// replay-log.ts defines the meaning of an age and limits the number of blocks. Invariant: every block in use has at least one live sector.
// Rules: L3.

import { assert } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { ObjectPool } from '@rsio/base/structures/object-pool';
import { REPLAY_BLOCK_BYTES, REPLAY_SLAB_BLOCKS } from '../limits.ts';

export const BLOCK_SECTORS = REPLAY_BLOCK_BYTES / SECTOR_BYTES;
const SLAB_SHIFT = Math.log2(REPLAY_SLAB_BLOCKS);
const SLAB_MASK = REPLAY_SLAB_BLOCKS - 1;
const HASH_FIRST_SHIFT = 8;
const NEIGHBOUR_BITS = 2;
const NEIGHBOUR_MASK = (1 << NEIGHBOUR_BITS) - 1;
/**
 * If there are more than RELINK_SHARE blocks for each hash value, `trim` relinks the remaining blocks instead of unlinking the removed
 * blocks.
 */
const RELINK_SHARE = 1 / 16;
const NONE = -1;

class Slab {
  readonly data = Buffer.allocUnsafeSlow(REPLAY_SLAB_BLOCKS * REPLAY_BLOCK_BYTES);
  /** Position of each block (its first sector / BLOCK_SECTORS), or NONE for a free block. */
  readonly positions = new Float64Array(REPLAY_SLAB_BLOCKS);
  /** Age of each sector of each block; 0 if the sector is empty. */
  readonly ages = new Float64Array(REPLAY_SLAB_BLOCKS * BLOCK_SECTORS);
  /** Next block with the same hash value; for a free block, the next free block of this slab. */
  readonly next = new Int32Array(REPLAY_SLAB_BLOCKS);
  used = 0;
  /** Blocks from this index on have not been used since the slab was taken from the pool. */
  fresh = 0;
  freed = NONE;
}

function resetSlab(slab: Slab): void {
  slab.fresh = 0;
  slab.freed = NONE;
}

/** Idle slabs, shared by all logs. A slab returned to the pool has no live sectors. */
export class SlabPool extends ObjectPool<Slab> {
  constructor(keptMax: number) {
    super(keptMax, () => new Slab(), resetSlab);
  }
}

export class ReplayBlocks {
  /** `count`: number of blocks in use. `sectors`: number of live sectors in these blocks. */
  count = 0;
  sectors = 0;
  private readonly pool: SlabPool;
  private readonly slabs: (Slab | null)[] = [];
  private current = 0;
  private heads = new Int32Array(1 << HASH_FIRST_SHIFT).fill(NONE);
  private hashShift = 32 - HASH_FIRST_SHIFT + NEIGHBOUR_BITS;

  constructor(pool: SlabPool) {
    this.pool = pool;
  }

  /** Stores `sectors` sectors of `data`, starting at `offset`, as the volume's content from sector `lba` on. */
  put(lba: number, sectors: number, data: Buffer, offset: number, age: number): void {
    const end = lba + sectors;
    // Blocks that are adjacent in memory, which is the usual case, are filled with a single copy.
    let target: Slab | null = null;
    let targetAt = 0;
    let sourceAt = offset;
    let length = 0;
    for (let at = lba; at < end; ) {
      const position = Math.floor(at / BLOCK_SECTORS);
      const from = at - position * BLOCK_SECTORS;
      const upTo = Math.min(BLOCK_SECTORS, end - position * BLOCK_SECTORS);
      let block = this.find(position);
      if (block === NONE) block = this.make(position);
      const slab = this.slabs[block >> SLAB_SHIFT]!;
      const index = block & SLAB_MASK;
      this.stamp(slab, index * BLOCK_SECTORS + from, index * BLOCK_SECTORS + upTo, age);
      const begin = index * REPLAY_BLOCK_BYTES + from * SECTOR_BYTES;
      if (slab !== target || begin !== targetAt + length) {
        if (target !== null) data.copy(target.data, targetAt, sourceAt, sourceAt + length);
        sourceAt += length;
        target = slab;
        targetAt = begin;
        length = 0;
      }
      length += (upTo - from) * SECTOR_BYTES;
      at += upTo - from;
    }
    if (target !== null) data.copy(target.data, targetAt, sourceAt, sourceAt + length);
  }

  cut(lba: number, sectors: number): void {
    const end = lba + sectors;
    const first = Math.floor(lba / BLOCK_SECTORS);
    const last = Math.floor((end - 1) / BLOCK_SECTORS);
    // If the range has more positions than there are blocks, visiting every block costs less than looking up every position.
    if (last - first <= this.count) {
      for (let position = first; position <= last && this.count > 0; position++) {
        const block = this.find(position);
        if (block !== NONE) this.cutBlock(this.slabs[block >> SLAB_SHIFT]!, block, lba, end);
      }
      return;
    }
    this.eachBlock((slab, block, position) => {
      if (position >= first && position <= last) this.cutBlock(slab, block, lba, end);
    });
  }

  /** Removes all sectors whose age is `age` or lower. */
  trim(age: number): void {
    // Usually almost all blocks are removed. Unlinking many blocks one by one would be slow, because each step accesses memory that is not
    // cached.
    const isRelinked = this.count > this.heads.length * RELINK_SHARE;
    this.eachBlock((slab, block) => {
      const { ages } = slab;
      const begin = (block & SLAB_MASK) * BLOCK_SECTORS;
      let kept = 0;
      let gone = 0;
      for (let at = begin; at < begin + BLOCK_SECTORS; at++) {
        if (ages[at]! > age) kept++;
        else if (ages[at] !== 0) {
          ages[at] = 0;
          gone++;
        }
      }
      this.sectors -= gone;
      if (kept > 0) return;
      if (!isRelinked) this.unlink(slab, block);
      this.free(slab, block);
    });
    if (isRelinked) this.linkAll();
  }

  clear(): void {
    this.trim(Number.POSITIVE_INFINITY);
  }

  /** Returns the positions of all blocks in use, in ascending order. */
  positions(): Float64Array {
    const positions = new Float64Array(this.count);
    let filled = 0;
    this.eachBlock((_slab, _block, position) => {
      positions[filled++] = position;
    });
    return positions.sort();
  }

  /**
   * Searches the block at `position` from `sector` on. Returns the first live sector if `kept` is true, or the first empty sector if `kept`
   * is false. Returns BLOCK_SECTORS if the block has no such sector.
   */
  seek(position: number, sector: number, kept: boolean): number {
    const block = this.find(position);
    if (block === NONE) return kept ? BLOCK_SECTORS : sector;
    const { ages } = this.slabs[block >> SLAB_SHIFT]!;
    const begin = (block & SLAB_MASK) * BLOCK_SECTORS;
    let at = sector;
    while (at < BLOCK_SECTORS && (ages[begin + at] !== 0) !== kept) at++;
    return at;
  }

  /** Copies sectors `from` to `upTo` (exclusive) of the block at `position` into `target`. All these sectors must be live. */
  read(position: number, from: number, upTo: number, target: Buffer, targetOffset: number): void {
    const block = this.find(position);
    assert(block !== NONE, `Nothing is kept at position ${position}`);
    const begin = (block & SLAB_MASK) * REPLAY_BLOCK_BYTES;
    this.slabs[block >> SLAB_SHIFT]!.data.copy(target, targetOffset, begin + from * SECTOR_BYTES, begin + upTo * SECTOR_BYTES);
  }

  private stamp(slab: Slab, from: number, upTo: number, age: number): void {
    const { ages } = slab;
    for (let at = from; at < upTo; at++) {
      if (ages[at] === 0) this.sectors++;
      ages[at] = age;
    }
  }

  private cutBlock(slab: Slab, block: number, lba: number, end: number): void {
    const index = block & SLAB_MASK;
    const { ages } = slab;
    const firstSector = slab.positions[index]! * BLOCK_SECTORS;
    let kept = 0;
    for (let sector = 0; sector < BLOCK_SECTORS; sector++) {
      const at = index * BLOCK_SECTORS + sector;
      if (ages[at] === 0) continue;
      if (firstSector + sector < lba || firstSector + sector >= end) kept++;
      else {
        ages[at] = 0;
        this.sectors--;
      }
    }
    if (kept > 0) return;
    this.unlink(slab, block);
    this.free(slab, block);
  }

  /** Calls `visit` for each block in use; `visit` may free the block. */
  private eachBlock(visit: (slab: Slab, block: number, position: number) => void): void {
    for (let number = 0; number < this.slabs.length; number++) {
      const slab = this.slabs[number] ?? null;
      if (slab === null) continue;
      const { fresh, positions } = slab;
      for (let index = 0; index < fresh && slab.used > 0; index++) {
        const position = positions[index]!;
        if (position !== NONE) visit(slab, (number << SLAB_SHIFT) | index, position);
      }
    }
  }

  private hashOf(position: number): number {
    const mixed = position > 0xffffffff ? position ^ Math.floor(position / 0x100000000) : position;
    // Neighbouring positions get neighbouring hash values, so that the positions of one request share a cache line.
    return ((Math.imul(mixed >>> NEIGHBOUR_BITS, 0x9e3779b1) >>> this.hashShift) << NEIGHBOUR_BITS) | (mixed & NEIGHBOUR_MASK);
  }

  private find(position: number): number {
    let block = this.heads[this.hashOf(position)]!;
    while (block !== NONE) {
      const slab = this.slabs[block >> SLAB_SHIFT]!;
      const index = block & SLAB_MASK;
      if (slab.positions[index] === position) return block;
      block = slab.next[index]!;
    }
    return NONE;
  }

  /** Takes a block for a position that has no block yet. The caller must then give at least one sector of the block an age (`stamp`). */
  private make(position: number): number {
    if (this.count >= this.heads.length) this.growHash();
    let slab = this.slabs[this.current] ?? null;
    if (slab === null || slab.used === REPLAY_SLAB_BLOCKS) slab = this.nextSlab();
    let index = slab.freed;
    if (index === NONE) index = slab.fresh++;
    else slab.freed = slab.next[index]!;
    slab.used++;
    this.count++;
    slab.positions[index] = position;
    const block = (this.current << SLAB_SHIFT) | index;
    this.link(slab, index, block);
    return block;
  }

  private nextSlab(): Slab {
    let at = this.slabs.findIndex((slab) => slab !== null && slab.used < REPLAY_SLAB_BLOCKS);
    if (at < 0) at = this.slabs.indexOf(null);
    if (at < 0) at = this.slabs.length;
    this.current = at;
    return (this.slabs[at] ??= this.pool.take());
  }

  private link(slab: Slab, index: number, block: number): void {
    const hash = this.hashOf(slab.positions[index]!);
    slab.next[index] = this.heads[hash]!;
    this.heads[hash] = block;
  }

  private growHash(): void {
    this.hashShift--;
    this.heads = new Int32Array(this.heads.length * 2);
    this.linkAll();
  }

  private linkAll(): void {
    this.heads.fill(NONE);
    this.eachBlock((slab, block) => this.link(slab, block & SLAB_MASK, block));
  }

  /** Frees a block that has no live sectors. The caller has already unlinked the block or will call `linkAll`. */
  private free(slab: Slab, block: number): void {
    const index = block & SLAB_MASK;
    slab.positions[index] = NONE;
    slab.next[index] = slab.freed;
    slab.freed = index;
    this.count--;
    if (--slab.used > 0) return;
    this.slabs[block >> SLAB_SHIFT] = null;
    this.pool.giveBack(slab);
  }

  private unlink(slab: Slab, block: number): void {
    const index = block & SLAB_MASK;
    const hash = this.hashOf(slab.positions[index]!);
    let at = this.heads[hash]!;
    if (at === block) {
      this.heads[hash] = slab.next[index]!;
      return;
    }
    while (at !== NONE) {
      const before = this.slabs[at >> SLAB_SHIFT]!;
      const beforeIndex = at & SLAB_MASK;
      at = before.next[beforeIndex]!;
      if (at !== block) continue;
      before.next[beforeIndex] = slab.next[index]!;
      return;
    }
  }
}
