// The expected content of a volume, a snapshot or a backup. Invariant: a sector has the bytes of the last answered write, or one of the
// contents that requests without an answer allow. Once a sector was read, the sector must keep the content that was read.

/** A write changes a sector of this size completely or not at all. A write of several sectors may be done in part. */
export const SECTOR_BYTES = 512;

export class Contents {
  private bytes: Buffer;
  /** For each uncertain sector, by its number: contents that the sector may have in place of its content in `bytes`. */
  private readonly others = new Map<number, Buffer[]>();

  private constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  static zeros(sizeBytes: number): Contents {
    return new Contents(Buffer.alloc(sizeBytes));
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  copy(): Contents {
    const copy = new Contents(Buffer.from(this.bytes));
    for (const [sector, others] of this.others)
      copy.others.set(
        sector,
        others.map((one) => Buffer.from(one)),
      );
    return copy;
  }

  /** Returns a copy of this content for a larger volume. Further bytes are zeros. */
  inSize(sizeBytes: number): Contents {
    const copy = this.copy();
    copy.grow(Math.max(sizeBytes, this.sizeBytes));
    return copy;
  }

  grow(sizeBytes: number): void {
    this.bytes = Buffer.concat([this.bytes, Buffer.alloc(sizeBytes - this.bytes.length)]);
  }

  /** Notes a write that succeeded. */
  wrote(offset: number, data: Buffer): void {
    for (const { sector, from, part } of partsOf(offset, data)) for (const one of this.others.get(sector) ?? []) part.copy(one, from);
    data.copy(this.bytes, offset);
    for (const { sector, part } of partsOf(offset, data)) if (part.length === SECTOR_BYTES) this.others.delete(sector);
  }

  /** Notes a write without an answer or with an error: each sector may have the old or the new bytes. */
  mayHave(offset: number, data: Buffer): void {
    for (const { sector, from, part } of partsOf(offset, data)) {
      const before = this.others.get(sector) ?? [];
      const after = [this.sector(sector), ...before].map((one) => {
        const changed = Buffer.from(one);
        part.copy(changed, from);
        return changed;
      });
      this.others.set(sector, [...before, ...after]);
    }
  }

  /** Notes a discard, answered or not. Each sector that lies wholly in the range of the discard may have zeros or its old bytes. */
  discarded(offset: number, lengthBytes: number): void {
    const [first, end] = [Math.ceil(offset / SECTOR_BYTES), Math.floor((offset + lengthBytes) / SECTOR_BYTES)];
    for (let sector = first; sector < end; sector++) this.mayHave(sector * SECTOR_BYTES, Buffer.alloc(SECTOR_BYTES));
  }

  /**
   * Compares content that was read. Returns the first fault. Null: there is no fault. Afterwards, the sectors must keep the content that
   * was read.
   */
  differs(found: Buffer): string | null {
    if (found.length !== this.sizeBytes) return `${found.length} bytes where ${this.sizeBytes} are expected`;
    const wrong: number[] = [];
    for (const [sector, others] of this.others) {
      const read = found.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
      if (others.some((one) => one.equals(read))) read.copy(this.bytes, sector * SECTOR_BYTES);
    }
    this.others.clear();
    if (found.equals(this.bytes)) return null;
    for (let at = 0; at < found.length; at += SECTOR_BYTES)
      if (found.compare(this.bytes, at, at + SECTOR_BYTES, at, at + SECTOR_BYTES) !== 0) wrong.push(at / SECTOR_BYTES);
    const [first = 0] = wrong;
    const show = (bytes: Buffer): string => bytes.toString('hex', first * SECTOR_BYTES, first * SECTOR_BYTES + 16);
    return `${wrong.length} sectors differ, the first is ${first}: ${show(found)} where ${show(this.bytes)} is expected`;
  }

  private sector(number: number): Buffer {
    return this.bytes.subarray(number * SECTOR_BYTES, (number + 1) * SECTOR_BYTES);
  }
}

export interface Volume {
  readonly name: string;
  readonly kind: 'plain' | 'mirror' | 'clone' | 'image';
  readonly contents: Contents;
  /** Snapshots by name, the oldest first. */
  readonly snapshots: Map<string, Contents>;
}

export interface Backup {
  readonly of: string;
  readonly snapshot: string;
  readonly contents: Contents;
}

interface SectorPart {
  readonly sector: number;
  /** Offset in the sector. */
  readonly from: number;
  readonly part: Buffer;
}

function partsOf(offset: number, data: Buffer): SectorPart[] {
  const parts: SectorPart[] = [];
  for (let at = 0; at < data.length; ) {
    const from = (offset + at) % SECTOR_BYTES;
    const part = data.subarray(at, at + SECTOR_BYTES - from);
    parts.push({ sector: Math.floor((offset + at) / SECTOR_BYTES), from, part });
    at += part.length;
  }
  return parts;
}
