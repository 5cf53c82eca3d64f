// What a volume may hold, known from outside: every write carries its number in each of its sectors, so that a read tells which write it
// saw. Overlapping changes execute in the order in which they were submitted (O1), so the numbers a sector may show are an interval.
// It judges reads (last answered write or a later one; never older than what was returned before) and executions (once, never after
// the answer was told).

import { SECTOR_BYTES } from '@rsio/protocol/limits';

interface Change {
  readonly number: number;
  readonly isZero: boolean;
}

interface SectorHistory {
  /** In the order of submission; the first stands for the empty volume. */
  readonly changes: Change[];
  /** Index of the newest change that was answered, or that an answered read has shown. */
  floor: number;
}

/** What was known when a read was issued: for each of its sectors the oldest change it may show. */
export type ReadTicket = readonly number[];

export class ContentOracle {
  readonly breaches: string[] = [];
  private readonly sectors: SectorHistory[];
  private readonly told = new Set<number>();
  private executed = new Set<string>();
  private nextNumber = 1;

  constructor(sectors: number) {
    this.sectors = Array.from({ length: sectors }, () => ({ changes: [{ number: 0, isZero: true }], floor: 0 }));
  }

  /** A change is submitted: gives its number; `fill` gets its content, unless it makes zeros. */
  change(lba: number, count: number, fill: Buffer | null): number {
    const number = this.nextNumber++;
    for (let index = 0; index < count; index++) {
      this.at(lba + index).changes.push({ number, isZero: fill === null });
      if (fill !== null) fillSector(fill, index, number, lba + index);
    }
    return number;
  }

  /** A change was answered OK. */
  changed(number: number, lba: number, count: number): void {
    this.told.add(number);
    for (let index = 0; index < count; index++) {
      const history = this.at(lba + index);
      history.floor = Math.max(
        history.floor,
        history.changes.findIndex((change) => change.number === number),
      );
    }
  }

  issueRead(lba: number, count: number): ReadTicket {
    return Array.from({ length: count }, (_unused, index) => this.at(lba + index).floor);
  }

  /** A read was answered OK with `content`. */
  readDone(ticket: ReadTicket, lba: number, content: Buffer, offset: number): void {
    ticket.forEach((floor, index) =>
      this.judgeSector(floor, lba + index, content.subarray(offset + index * SECTOR_BYTES, offset + (index + 1) * SECTOR_BYTES)),
    );
  }

  /** The storage was changed; `session` tells lives of the server process apart. */
  executes(session: string, firstSector: number, content: Buffer): void {
    for (let at = 0; at < content.length; at += SECTOR_BYTES) {
      const number = numberOf(content.subarray(at, at + SECTOR_BYTES), firstSector + at / SECTOR_BYTES);
      if (number === null) this.breaches.push(`Sector ${firstSector + at / SECTOR_BYTES} is written with bytes of no write`);
      if (number === null || number === 0) continue;
      const key = `${session} ${number} ${firstSector + at / SECTOR_BYTES}`;
      if (this.executed.has(key)) this.breaches.push(`Write ${number} is executed twice in session ${session}`);
      if (this.told.has(number)) this.breaches.push(`Write ${number} is executed after its answer was told`);
      this.executed.add(key);
    }
  }

  private judgeSector(floor: number, sector: number, content: Buffer): void {
    const history = this.at(sector);
    const number = numberOf(content, sector);
    const seen = history.changes.findIndex((change, index) => index >= floor && (number === 0 ? change.isZero : change.number === number));
    if (number === null || seen < 0) {
      const allowed = history.changes.slice(floor).map((change) => (change.isZero ? `zeros by ${change.number}` : change.number));
      this.breaches.push(`Sector ${sector} shows ${number ?? 'bytes of no write'}, allowed: ${allowed.join(', ')}`);
      return;
    }
    // Zeros may be of the oldest that fits: that is all that is certain.
    history.floor = Math.max(history.floor, seen);
  }

  private at(sector: number): SectorHistory {
    const history = this.sectors[sector];
    if (history === undefined) throw new Error(`No sector ${sector}`);
    return history;
  }
}

const STAMP_BYTES = 8;

/** Each sector: write number and sector number, over and over. */
function fillSector(buffer: Buffer, index: number, number: number, sector: number): void {
  const stamp = Buffer.alloc(STAMP_BYTES);
  stamp.writeUInt32BE(number);
  stamp.writeUInt32BE(sector, 4);
  buffer.fill(stamp, index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES);
}

/** Number of the write whose whole content for this sector this is; 0: zeros; null: neither. */
function numberOf(content: Buffer, sector: number): number | null {
  const number = content.readUInt32BE(0);
  const isRight = content.readUInt32BE(4) === (number === 0 ? 0 : sector);
  // Every stamp is as the one before it.
  return isRight && content.compare(content, STAMP_BYTES, SECTOR_BYTES, 0, SECTOR_BYTES - STAMP_BYTES) === 0 ? number : null;
}
