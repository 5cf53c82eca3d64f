// Data of the replay log: the sectors written, in cells of 4 KiB that stand for aligned places of the volume, each sector with its age.
// A newer write to a place takes the place over, so nothing is ever split, moved or fragmented, and the memory is that of the cells. Cells
// come from slabs; what the ages mean, and how many cells there may be, is the log's (replay-log.ts). Invariant: a cell has a live sector.

import { assert } from '@rsio/common/lib/assert';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { REPLAY_CELL_BYTES, REPLAY_SLAB_CELLS } from './limits.ts';

export const CELL_SECTORS = REPLAY_CELL_BYTES / SECTOR_BYTES;
const SLAB_SHIFT = Math.log2(REPLAY_SLAB_CELLS);
const SLAB_MASK = REPLAY_SLAB_CELLS - 1;
const HASH_FIRST_SHIFT = 8;
const NEIGHBOUR_BITS = 2;
const NEIGHBOUR_MASK = (1 << NEIGHBOUR_BITS) - 1;
/** Trimming anew links what stays when there is this share of a cell for each hash, and unlinks what goes one by one when there is less. */
const RELINK_SHARE = 1 / 16;
const NONE = -1;

class Slab {
  readonly data = Buffer.allocUnsafeSlow(REPLAY_SLAB_CELLS * REPLAY_CELL_BYTES);
  /** Place of each cell: its first sector / CELL_SECTORS; NONE: the cell is free. */
  readonly places = new Float64Array(REPLAY_SLAB_CELLS);
  /** Age of each sector of each cell, 0: nothing is there. */
  readonly ages = new Float64Array(REPLAY_SLAB_CELLS * CELL_SECTORS);
  /** Next cell of the same hash; of a free cell: the next free one of this slab. */
  readonly next = new Int32Array(REPLAY_SLAB_CELLS);
  used = 0;
  /** Cells from here on were never used since the slab was taken. */
  fresh = 0;
  freed = NONE;
}

/** Idle slabs of all logs together, because fresh memory costs more than the copy into it. */
export class SlabPool {
  private readonly idle: Slab[] = [];
  private readonly keptMax: number;

  constructor(keptMax: number) {
    this.keptMax = keptMax;
  }

  take(): Slab {
    return this.idle.pop() ?? new Slab();
  }

  /** A slab without live sectors. */
  give(slab: Slab): void {
    if (this.idle.length >= this.keptMax) return;
    slab.fresh = 0;
    slab.freed = NONE;
    this.idle.push(slab);
  }
}

export class ReplayCells {
  /** Cells in use, and live sectors in them. */
  count = 0;
  sectors = 0;
  private readonly pool: SlabPool;
  private readonly slabs: (Slab | null)[] = [];
  /** The slab from which cells are taken. */
  private current = 0;
  /** First cell of each hash. */
  private heads = new Int32Array(1 << HASH_FIRST_SHIFT).fill(NONE);
  private hashShift = 32 - HASH_FIRST_SHIFT + NEIGHBOUR_BITS;

  constructor(pool: SlabPool) {
    this.pool = pool;
  }

  /** Keeps a copy of `sectors` sectors from `data` at `offset` as content of the volume from sector `lba` on. */
  put(lba: number, sectors: number, data: Buffer, offset: number, age: number): void {
    const end = lba + sectors;
    // Cells that lie side by side, as they mostly do, are filled by one copy.
    let target: Slab | null = null;
    let [targetAt, sourceAt, length] = [0, offset, 0];
    for (let at = lba; at < end; ) {
      const place = Math.floor(at / CELL_SECTORS);
      const from = at - place * CELL_SECTORS;
      const upTo = Math.min(CELL_SECTORS, end - place * CELL_SECTORS);
      let cell = this.find(place);
      if (cell === NONE) cell = this.make(place);
      const slab = this.slabs[cell >> SLAB_SHIFT]!;
      const index = cell & SLAB_MASK;
      this.stamp(slab, index * CELL_SECTORS + from, index * CELL_SECTORS + upTo, age);
      const begin = index * REPLAY_CELL_BYTES + from * SECTOR_BYTES;
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

  /** Nothing is kept of these sectors any more. */
  cut(lba: number, sectors: number): void {
    const end = lba + sectors;
    const first = Math.floor(lba / CELL_SECTORS);
    const last = Math.floor((end - 1) / CELL_SECTORS);
    // A range of many places costs no more than a look at every cell.
    if (last - first <= this.count) {
      for (let place = first; place <= last && this.count > 0; place++) {
        const cell = this.find(place);
        if (cell !== NONE) this.cutCell(this.slabs[cell >> SLAB_SHIFT]!, cell, lba, end);
      }
      return;
    }
    this.eachCell((slab, cell, place) => {
      if (place >= first && place <= last) this.cutCell(slab, cell, lba, end);
    });
  }

  /** Sectors of this age or an older one are kept no more. */
  trim(age: number): void {
    // Almost everything goes, mostly; each cell unlinked alone would be a walk through cold memory.
    const isRelinked = this.count > this.heads.length * RELINK_SHARE;
    this.eachCell((slab, cell) => {
      const { ages } = slab;
      const begin = (cell & SLAB_MASK) * CELL_SECTORS;
      let kept = 0;
      let gone = 0;
      for (let at = begin; at < begin + CELL_SECTORS; at++) {
        if (ages[at]! > age) kept++;
        else if (ages[at] !== 0) {
          ages[at] = 0;
          gone++;
        }
      }
      this.sectors -= gone;
      if (kept > 0) return;
      if (!isRelinked) this.unlink(slab, cell);
      this.free(slab, cell);
    });
    if (isRelinked) this.linkAll();
  }

  clear(): void {
    this.trim(Number.POSITIVE_INFINITY);
  }

  /** Places that hold something, in rising order. */
  places(): Float64Array {
    const places = new Float64Array(this.count);
    let filled = 0;
    this.eachCell((_slab, _cell, place) => {
      places[filled++] = place;
    });
    return places.sort();
  }

  /** First sector at or after `sector` of this place that is kept (or, `kept` false, is not); CELL_SECTORS: none. */
  seek(place: number, sector: number, kept: boolean): number {
    const cell = this.find(place);
    if (cell === NONE) return kept ? CELL_SECTORS : sector;
    const { ages } = this.slabs[cell >> SLAB_SHIFT]!;
    const begin = (cell & SLAB_MASK) * CELL_SECTORS;
    let at = sector;
    while (at < CELL_SECTORS && (ages[begin + at] !== 0) !== kept) at++;
    return at;
  }

  /** Copies kept sectors of a place into `target`. */
  read(place: number, from: number, upTo: number, target: Buffer, targetOffset: number): void {
    const cell = this.find(place);
    assert(cell !== NONE, `Nothing is kept at place ${place}`);
    const begin = (cell & SLAB_MASK) * REPLAY_CELL_BYTES;
    this.slabs[cell >> SLAB_SHIFT]!.data.copy(target, targetOffset, begin + from * SECTOR_BYTES, begin + upTo * SECTOR_BYTES);
  }

  private stamp(slab: Slab, from: number, upTo: number, age: number): void {
    const { ages } = slab;
    for (let at = from; at < upTo; at++) {
      if (ages[at] === 0) this.sectors++;
      ages[at] = age;
    }
  }

  private cutCell(slab: Slab, cell: number, lba: number, end: number): void {
    const index = cell & SLAB_MASK;
    const { ages } = slab;
    const firstSector = slab.places[index]! * CELL_SECTORS;
    let kept = 0;
    for (let sector = 0; sector < CELL_SECTORS; sector++) {
      const at = index * CELL_SECTORS + sector;
      if (ages[at] === 0) continue;
      if (firstSector + sector < lba || firstSector + sector >= end) kept++;
      else {
        ages[at] = 0;
        this.sectors--;
      }
    }
    if (kept > 0) return;
    this.unlink(slab, cell);
    this.free(slab, cell);
  }

  /** Calls `visit` for each cell in use; it may free that cell. */
  private eachCell(visit: (slab: Slab, cell: number, place: number) => void): void {
    for (let number = 0; number < this.slabs.length; number++) {
      const slab = this.slabs[number] ?? null;
      if (slab === null) continue;
      const { fresh, places } = slab;
      for (let index = 0; index < fresh && slab.used > 0; index++) {
        const place = places[index]!;
        if (place !== NONE) visit(slab, (number << SLAB_SHIFT) | index, place);
      }
    }
  }

  private hashOf(place: number): number {
    const mixed = place > 0xffffffff ? place ^ Math.floor(place / 0x100000000) : place;
    // Neighbours have neighbouring hashes, so that the places of one request are found in one line of the processor's cache.
    return ((Math.imul(mixed >>> NEIGHBOUR_BITS, 0x9e3779b1) >>> this.hashShift) << NEIGHBOUR_BITS) | (mixed & NEIGHBOUR_MASK);
  }

  private find(place: number): number {
    let cell = this.heads[this.hashOf(place)]!;
    while (cell !== NONE) {
      const slab = this.slabs[cell >> SLAB_SHIFT]!;
      const index = cell & SLAB_MASK;
      if (slab.places[index] === place) return cell;
      cell = slab.next[index]!;
    }
    return NONE;
  }

  /** A cell for a place that has none; the caller stamps a sector of it. */
  private make(place: number): number {
    if (this.count >= this.heads.length) this.growHash();
    let slab = this.slabs[this.current] ?? null;
    if (slab === null || slab.used === REPLAY_SLAB_CELLS) slab = this.nextSlab();
    let index = slab.freed;
    if (index === NONE) index = slab.fresh++;
    else slab.freed = slab.next[index]!;
    slab.used++;
    this.count++;
    slab.places[index] = place;
    const cell = (this.current << SLAB_SHIFT) | index;
    this.link(slab, index, cell);
    return cell;
  }

  private nextSlab(): Slab {
    let at = this.slabs.findIndex((slab) => slab !== null && slab.used < REPLAY_SLAB_CELLS);
    if (at < 0) at = this.slabs.indexOf(null);
    if (at < 0) at = this.slabs.length;
    this.current = at;
    return (this.slabs[at] ??= this.pool.take());
  }

  private link(slab: Slab, index: number, cell: number): void {
    const hash = this.hashOf(slab.places[index]!);
    slab.next[index] = this.heads[hash]!;
    this.heads[hash] = cell;
  }

  private growHash(): void {
    this.hashShift--;
    this.heads = new Int32Array(this.heads.length * 2);
    this.linkAll();
  }

  private linkAll(): void {
    this.heads.fill(NONE);
    this.eachCell((slab, cell) => this.link(slab, cell & SLAB_MASK, cell));
  }

  /** A cell without live sectors, which is not linked any more, or will not be. */
  private free(slab: Slab, cell: number): void {
    const index = cell & SLAB_MASK;
    slab.places[index] = NONE;
    slab.next[index] = slab.freed;
    slab.freed = index;
    this.count--;
    if (--slab.used > 0) return;
    this.slabs[cell >> SLAB_SHIFT] = null;
    this.pool.give(slab);
  }

  private unlink(slab: Slab, cell: number): void {
    const index = cell & SLAB_MASK;
    const hash = this.hashOf(slab.places[index]!);
    let at = this.heads[hash]!;
    if (at === cell) {
      this.heads[hash] = slab.next[index]!;
      return;
    }
    while (at !== NONE) {
      const before = this.slabs[at >> SLAB_SHIFT]!;
      const beforeIndex = at & SLAB_MASK;
      at = before.next[beforeIndex]!;
      if (at !== cell) continue;
      before.next[beforeIndex] = slab.next[index]!;
      return;
    }
  }
}
