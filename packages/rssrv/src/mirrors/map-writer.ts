// Writes the pages of an intent map to the file of the map, and syncs the file for waiting changes. Several waiting changes share one sync.
// Invariants: one write or sync runs at a time, so that an older page never overwrites a newer one. A bit is durable only if its page was
// written and synced in one round. Bits that an earlier process wrote are not durable until this process has written and synced them again.
// The kernel may still have these bits only in memory, or may have reported a write-back error only to the earlier process. Rules: M2.

import { assert } from '@rsio/base/lib/assert';
import type { Status } from '@rsio/protocol/wire/status';
import { STATUS, statusOfErrno } from '@rsio/protocol/wire/status';
import { bytesOf, IntentMap } from './intent-map.ts';
import { MAP_HEADER_BYTES, MAP_PAGE_BYTES } from './limits.ts';
import { decodeHeader, encodeHeader } from './map-file.ts';

/**
 * The open file of a map. `end` gets null on success, else the name of an errno. The caller starts an operation on the file only when
 * the previous operation has ended.
 */
export interface MapDisk {
  write(source: Buffer, positionBytes: number, end: (errno: string | null) => void): void;
  /** Makes durable all writes that ended before this call. */
  sync(end: (errno: string | null) => void): void;
  /** Reads `lengthBytes` bytes, or fewer if the file ends earlier. Rejects with a system error. */
  read(lengthBytes: number, positionBytes: number): Promise<Buffer>;
  close(): Promise<void>;
}

export interface OpenedMap {
  readonly map: IntentMap;
  /** Number of regions in the header on disk; 0 if the header is invalid. */
  readonly counted: number;
  /**
   * If the map could not be read, and all its bits are therefore set: the reason, as the end of a sentence. `trouble` is null if the
   * map was read.
   */
  readonly trouble: string | null;
}

/** Reads a map. If the file cannot be read, returns a map of ones. Never rejects. */
export async function readMap(disk: MapDisk, identity: string, regions: number): Promise<OpenedMap> {
  const ones = (trouble: string): OpenedMap => ({ map: new IntentMap(regions), counted: 0, trouble });
  try {
    const header = decodeHeader(await disk.read(MAP_HEADER_BYTES, 0), identity);
    if (typeof header === 'string') return ones(header);
    const counted = Math.min(regions, header.regions);
    const bits = await disk.read(bytesOf(counted), MAP_HEADER_BYTES);
    if (bits.length < bytesOf(counted)) return ones('it is too short');
    const map = new IntentMap(counted, bits);
    map.grow(regions);
    return { map, counted: header.regions, trouble: null };
  } catch (thrown) {
    return ones(`it cannot be read (${(thrown as NodeJS.ErrnoException).code ?? String(thrown)})`);
  }
}

/**
 * A torn write loses no durable bit. While a bit is durable, every version of its page that is written has the bit set, because the durable
 * bits are a subset of the bits in memory. A torn page is a mixture of these versions, and therefore also has the bit set. A cleared bit is
 * no longer durable. The header is written only after the bits of all its regions have been synced, and a torn header turns the whole map
 * into ones.
 */
export class MapWriter {
  private readonly map: IntentMap;
  private readonly disk: MapDisk;
  private readonly identity: string;
  private readonly failed: (errno: string) => void;
  /** Number of regions in the header. */
  private counted: number;
  private waiting: ((status: Status) => void)[] = [];
  private round: ((status: Status) => void)[] = [];
  private pages: readonly number[] = [];
  private regions = 0;
  private isRunning = false;
  private idle: (() => void)[] = [];

  constructor({ map, counted }: OpenedMap, disk: MapDisk, identity: string, failed: (errno: string) => void) {
    this.map = map;
    this.disk = disk;
    this.identity = identity;
    this.counted = counted;
    this.failed = failed;
  }

  /** `done` gets OK once every bit that is set at the time of this call is durable. `done` is never called before `sync` returns. */
  sync(done: (status: Status) => void): void {
    this.waiting.push(done);
    this.run();
  }

  /** Writes dirty pages without a sync. */
  writeSoon(): void {
    this.run();
  }

  /** Resolves when no write or sync is running. */
  whenIdle(): Promise<void> {
    return this.isRunning ? new Promise((resolve) => this.idle.push(resolve)) : Promise.resolve();
  }

  private run(): void {
    if (this.isRunning || (this.waiting.length === 0 && !this.map.hasDirty)) return;
    this.isRunning = true;
    this.round = this.waiting;
    this.waiting = [];
    this.regions = this.map.regions;
    // A round that writes a header with more regions must also write and sync the bits of the added regions.
    if (this.round.length > 0 && this.regions !== this.counted) this.map.touchFrom(this.counted);
    this.pages = this.map.takeDirty();
    this.writePage(0);
  }

  /** Writes the pages of the round, beginning with this index. */
  private writePage(index: number): void {
    const page = this.pages[index];
    if (page === undefined) {
      this.written();
      return;
    }
    this.disk.write(this.map.copy(page), MAP_HEADER_BYTES + page * MAP_PAGE_BYTES, (errno) => {
      if (errno === null) this.writePage(index + 1);
      else this.ended(errno);
    });
  }

  private written(): void {
    if (this.round.length === 0) this.ended(null);
    else this.disk.sync((errno) => (errno === null ? this.synced() : this.ended(errno)));
  }

  private synced(): void {
    const { pages } = this;
    if (this.regions === this.counted) {
      this.map.synced(pages);
      this.ended(null);
      return;
    }
    const header = encodeHeader({ identity: this.identity, regions: this.regions });
    // The bits of this round become durable only with the header, because the count of regions in the old header on disk may be too small
    // to cover these bits.
    const end = (errno: string | null): void => {
      if (errno === null) {
        this.counted = this.regions;
        this.map.synced(pages);
      }
      this.ended(errno);
    };
    this.disk.write(header, 0, (errno) => (errno === null ? this.disk.sync(end) : end(errno)));
  }

  private ended(errno: string | null): void {
    if (errno !== null) {
      // The pages of the failed round may not be on disk, and the kernel does not write them again.
      this.map.touch(this.pages);
      this.failed(errno);
    }
    assert(this.isRunning, 'A round of an intent map ends twice');
    const done = this.round;
    this.round = [];
    this.isRunning = false;
    const status = errno === null ? STATUS.OK : statusOf(errno);
    for (const one of done) one(status);
    // After a failure without waiting changes, no round starts here. The next change that needs a durable bit writes the pages again.
    if (errno === null || this.waiting.length > 0) this.run();
    if (!this.isRunning) for (const resolve of this.idle.splice(0)) resolve();
  }
}

/**
 * Returns the status for a failed write of the map. NO_SPACE is kept: if there is no space to write the bit of a change, the change
 * waits for space, as if there were no space for its data.
 */
function statusOf(errno: string): Status {
  return statusOfErrno(errno) === STATUS.NO_SPACE ? STATUS.NO_SPACE : STATUS.IO_ERROR;
}
