// A simulated file of an intent map for tests: its content in the kernel's cache, and its content on disk. A crash of the machine may keep
// some of the sectors that were written since the last sync, and lose others. After a failed sync, pages that were not written count as
// clean, as in Linux, so that a later sync does not write them.

import type { MapDisk } from '../mirrors/map-writer.ts';

const SECTOR_BYTES = 512;

/** Maps sector numbers to the content of the sectors. A sector that was never written has no entry, and reads as zeros. */
type Sectors = ReadonlyMap<number, Buffer>;

interface Operation {
  readonly kind: 'write' | 'sync';
  readonly end: (errno: string | null) => void;
  readonly data: Buffer;
  readonly positionBytes: number;
}

export class SimulatedMapDisk implements MapDisk {
  /** Sectors that are on disk after any crash. */
  private synced = new Map<number, Buffer>();
  /**
   * Maps each sector that was written since the last sync to its later versions, the newest last. After a crash, the disk may have any of
   * the versions.
   */
  private readonly unsynced = new Map<number, Buffer[]>();
  private cache = new Map<number, Buffer>();
  /** Sectors that the next sync writes. */
  private readonly dirty = new Set<number>();
  private readonly pending: Operation[] = [];
  syncs = 0;

  write(source: Buffer, positionBytes: number, end: (errno: string | null) => void): void {
    this.pending.push({ kind: 'write', end, data: Buffer.from(source), positionBytes });
  }

  sync(end: (errno: string | null) => void): void {
    this.pending.push({ kind: 'sync', end, data: Buffer.alloc(0), positionBytes: 0 });
  }

  read(lengthBytes: number, positionBytes: number): Promise<Buffer> {
    return Promise.resolve(imageOf(this.cache).subarray(positionBytes, positionBytes + lengthBytes));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  get isBusy(): boolean {
    return this.pending.length > 0;
  }

  /**
   * Executes the oldest operation. If `errno` is not null, the operation fails with this error. `dropped` returns true for each sector that
   * a failed sync drops.
   */
  step(errno: string | null = null, dropped: () => boolean = () => true): void {
    const one = this.pending.shift();
    if (one === undefined) return;
    if (one.kind === 'write') {
      if (errno === null) this.apply(one);
    } else {
      this.syncs++;
      for (const sector of this.dirty) {
        if (errno !== null && dropped()) continue;
        this.synced.set(sector, this.cache.get(sector)!);
        this.unsynced.delete(sector);
      }
      this.dirty.clear();
    }
    one.end(errno);
  }

  /** Executes all pending operations. */
  settle(): void {
    while (this.isBusy) this.step();
  }

  /**
   * Simulates the end of the process, and returns the disk that the next process finds. The content of the kernel's cache stays. For each
   * operation that has begun, `isExecuted` decides whether it is executed.
   */
  endProcess(isExecuted: () => boolean): SimulatedMapDisk {
    for (const one of this.pending.splice(0)) if (one.kind === 'write' && isExecuted()) this.apply(one);
    return this.fork();
  }

  /**
   * Simulates a crash of the machine, and returns the disk after the crash. `pick(n)` decides which of n versions of a sector is on the
   * disk.
   */
  crash(pick: (versions: number) => number): SimulatedMapDisk {
    for (const one of this.pending.splice(0)) if (one.kind === 'write' && pick(2) === 1) this.apply(one);
    const next = new SimulatedMapDisk();
    next.synced = new Map(this.synced);
    for (const [sector, versions] of this.unsynced) {
      // The first version is the content at the last sync. If `pick` chooses an undefined version, the sector reads as zeros.
      const version = [this.synced.get(sector), ...versions][pick(versions.length + 1)];
      if (version !== undefined) next.synced.set(sector, version);
    }
    next.cache = new Map(next.synced);
    return next;
  }

  /** Returns a copy of the file and of its content in the cache, including the operations that have begun. */
  fork(): SimulatedMapDisk {
    const copy = new SimulatedMapDisk();
    copy.synced = new Map(this.synced);
    copy.cache = new Map(this.cache);
    for (const [sector, versions] of this.unsynced) copy.unsynced.set(sector, [...versions]);
    for (const sector of this.dirty) copy.dirty.add(sector);
    copy.pending.push(...this.pending);
    return copy;
  }

  private apply({ data, positionBytes }: Operation): void {
    for (let offset = 0; offset < data.length; offset += SECTOR_BYTES) {
      const sector = (positionBytes + offset) / SECTOR_BYTES;
      const piece = data.subarray(offset, offset + SECTOR_BYTES);
      const before = this.cache.get(sector) ?? Buffer.alloc(0);
      const content = Buffer.alloc(Math.max(before.length, piece.length));
      before.copy(content);
      piece.copy(content);
      this.cache.set(sector, content);
      this.dirty.add(sector);
      this.unsynced.set(sector, [...(this.unsynced.get(sector) ?? []), content]);
    }
  }
}

function imageOf(sectors: Sectors): Buffer {
  let endBytes = 0;
  for (const [sector, content] of sectors) endBytes = Math.max(endBytes, sector * SECTOR_BYTES + content.length);
  const image = Buffer.alloc(endBytes);
  for (const [sector, content] of sectors) content.copy(image, sector * SECTOR_BYTES);
  return image;
}
