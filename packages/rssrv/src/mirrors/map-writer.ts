// Writes the pages of an intent map to its file, and syncs them for the changes that wait. All changes that wait share a sync. Invariants:
// one write or sync runs at a time, so that the file never gets an older page after a newer one; a bit counts if its page was
// written and synced in one round; nothing that an earlier process wrote counts before this one has written and synced it again, because
// the kernel may have it in memory only, or may have failed to write it back and told that process alone.

import type { Status } from '@rsio/protocol/wire/status';
import { STATUS, statusOfErrno } from '@rsio/protocol/wire/status';
import { bytesOf, IntentMap } from './intent-map.ts';
import { MAP_HEADER_BYTES, MAP_PAGE_BYTES } from './limits.ts';
import { decodeHeader, encodeHeader } from './map-file.ts';

/** The open file of a map. `end` gets null, or the name of an errno. One operation is in progress at a time. */
export interface MapDisk {
  write(source: Buffer, positionBytes: number, end: (errno: string | null) => void): void;
  /** Makes all writes that ended before durable. */
  sync(end: (errno: string | null) => void): void;
  /** Reads up to `lengthBytes`; less at the end of the file. Rejects with a system error. */
  read(lengthBytes: number, positionBytes: number): Promise<Buffer>;
  close(): Promise<void>;
}

export interface OpenedMap {
  readonly map: IntentMap;
  /** Regions that the header on the disk counts, 0 if it does not count. */
  readonly counted: number;
  /** Why the map is one of ones, as the end of a sentence; null if it was read. */
  readonly trouble: string | null;
}

/** Reads a map. What cannot be read is ones. Never rejects. */
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
 * A torn write loses no bit that counts: every version of a page that is written while a bit is durable has the bit, because the durable bits
 * are a part of the present ones, and so has every mixture of such versions. A bit that was cleared no longer counts. The header is written
 * only when the bits of all regions that it counts have been synced, and a torn header makes the whole map ones.
 */
export class MapWriter {
  private readonly map: IntentMap;
  private readonly disk: MapDisk;
  private readonly identity: string;
  private readonly failed: (errno: string) => void;
  /** Regions that the header counts. */
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

  /** `done` gets OK once all bits that are set now are durable. It is never called before this returns. */
  sync(done: (status: Status) => void): void {
    this.waiting.push(done);
    this.run();
  }

  /** Writes what has changed, without a sync. */
  writeSoon(): void {
    this.run();
  }

  /** Resolves when nothing is being written. */
  whenIdle(): Promise<void> {
    return this.isRunning ? new Promise((resolve) => this.idle.push(resolve)) : Promise.resolve();
  }

  private run(): void {
    if (this.isRunning || (this.waiting.length === 0 && !this.map.hasDirty)) return;
    this.isRunning = true;
    this.round = this.waiting;
    this.waiting = [];
    this.regions = this.map.regions;
    // What the header will count is synced in the same round.
    if (this.round.length > 0 && this.regions !== this.counted) this.map.touchFrom(this.counted);
    this.pages = this.map.takeDirty();
    this.writePage(0);
  }

  /** Writes the pages of the round from the one with this index on. */
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
    // Until the header is on the disk, the one there may count these bits or not.
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
      // What was written may not be on the disk, and the kernel does not try again.
      this.map.touch(this.pages);
      this.failed(errno);
    }
    const done = this.round;
    this.round = [];
    this.isRunning = false;
    const status = errno === null ? STATUS.OK : statusOf(errno);
    for (const one of done) one(status);
    // After a failure, the pages are written again for the next change that needs one of them.
    if (errno === null || this.waiting.length > 0) this.run();
    if (!this.isRunning) for (const resolve of this.idle.splice(0)) resolve();
  }
}

/** A change that has no space for its bit waits for space, like one that has none for its data. */
function statusOf(errno: string): Status {
  return statusOfErrno(errno) === STATUS.NO_SPACE ? STATUS.NO_SPACE : STATUS.IO_ERROR;
}
