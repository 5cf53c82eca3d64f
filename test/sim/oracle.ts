// What a volume may hold, known from outside: every sector that is written carries volume, write number and sector, so that a read tells
// which write it saw. Overlapping changes execute in the order in which they were submitted (O1), so what a sector may show is an interval
// of numbers. It judges reads (last answered write or a later one; never older than what a read has returned before) and executions
// (once per life of the server process, in order, never after the answer was told; what was given up, not after anything newer).

import { SECTOR_BYTES } from '@rsio/protocol/limits';

/** What was known when a read was issued: for each of its sectors the oldest change it may show. */
export type ReadTicket = Uint32Array;

/** Of a change that was given up. */
interface Lost {
  /** Newest life of a server process that may execute it. */
  readonly life: number;
  /** Number of the newest change that was submitted by then: when a later one is executed, this one is over. */
  readonly newest: number;
}

const STAMP_BYTES = 16;
const MAGIC = 0x5253494f;
/** Breaches kept: the first tells, the others follow from it. */
const BREACHES_MAX = 20;

export class Oracle {
  readonly breaches: string[] = [];
  readonly sectors: number;
  readonly volume: number;
  /** Newest change that was answered OK, or that an answered read has shown. */
  private readonly floors: Uint32Array;
  /** Newest change that was answered, whatever the answer. */
  private readonly told: Uint32Array;
  /** Newest change that was submitted. */
  private readonly newest: Uint32Array;
  /** Newest write that was executed, and in which life of the server process. */
  private readonly executed: Uint32Array;
  private readonly executedIn: Uint32Array;
  /** Changes that make zeros and may still be seen. */
  private readonly zeros: (number[] | undefined)[];
  private readonly lost = new Map<number, Lost>();
  /** Highest number of a change that was executed. */
  private highest = 0;
  private readonly stamp = Buffer.alloc(STAMP_BYTES);
  private nextNumber = 1;

  constructor(volume: number, sectors: number) {
    this.volume = volume;
    this.sectors = sectors;
    this.floors = new Uint32Array(sectors);
    this.told = new Uint32Array(sectors);
    this.newest = new Uint32Array(sectors);
    this.executed = new Uint32Array(sectors);
    this.executedIn = new Uint32Array(sectors);
    this.zeros = new Array<number[] | undefined>(sectors);
    this.stamp.writeUInt32BE((MAGIC ^ volume) >>> 0, 0);
    this.stamp.writeUInt32BE(volume, 12);
  }

  /** A change is submitted: gives its number; `fill` gets its content at `offset`, unless it makes zeros. */
  change(lba: number, count: number, fill: Buffer | null, offset: number): number {
    const number = this.nextNumber++;
    for (let index = 0; index < count; index++) {
      const sector = lba + index;
      this.newest[sector] = number;
      if (fill === null) this.addZeros(sector, number);
      else this.stampSector(fill, offset + index * SECTOR_BYTES, number, sector);
    }
    return number;
  }

  /** A change was answered; `isOk` false: it may show or not, but will not happen any more. */
  changed(number: number, lba: number, count: number, isOk: boolean): void {
    for (let sector = lba; sector < lba + count; sector++) {
      if (this.told[sector]! < number) this.told[sector] = number;
      if (isOk && this.floors[sector]! < number) this.floors[sector] = number;
    }
  }

  /** A change was given up, its outcome unknown: it may happen yet, but in no process later than `life`. */
  gaveUp(number: number, life: number): void {
    this.lost.set(number, { life, newest: this.nextNumber - 1 });
  }

  /** Puts what is known now into the ticket. */
  issueRead(lba: number, count: number, ticket: ReadTicket): void {
    for (let index = 0; index < count; index++) ticket[index] = this.floors[lba + index]!;
  }

  /** A read was answered OK with the content at `offset`. */
  readDone(ticket: ReadTicket, lba: number, count: number, content: Buffer, offset: number): void {
    for (let index = 0; index < count; index++) this.judge(ticket[index]!, lba + index, content, offset + index * SECTOR_BYTES);
  }

  /** The storage was changed; `life` tells processes of the server apart and grows. */
  executes(life: number, firstSector: number, content: Buffer, positionBytes: number, lengthBytes: number): void {
    for (let at = 0; at < lengthBytes; at += SECTOR_BYTES) {
      const sector = firstSector + at / SECTOR_BYTES;
      const number = this.numberOf(content, positionBytes + at, sector);
      if (number === null || number === 0) {
        this.breach(`Sector ${sector} is written with bytes of no write`);
        continue;
      }
      const last = this.executed[sector]!;
      const again = number === last && this.executedIn[sector] === life;
      if (again) this.breach(`S1: write ${number} of sector ${sector} is executed twice in life ${life}`);
      else if (number < last) this.breach(`O1: write ${number} of sector ${sector} is executed after write ${last}`);
      // Of what was given up nobody was told; what came after it was refused unsent, or is judged by its order.
      if (this.told[sector]! >= number && !this.lost.has(number))
        this.breach(`S4: write ${number} of sector ${sector} is executed after ${this.told[sector]} was answered`);
      this.judgeLost(number, sector, life);
      this.executed[sector] = number;
      this.executedIn[sector] = life;
    }
  }

  breach(sentence: string): void {
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(`volume ${this.volume}: ${sentence}`);
  }

  private judgeLost(number: number, sector: number, life: number): void {
    const lost = this.lost.get(number);
    if (lost !== undefined && (life > lost.life || this.highest > lost.newest))
      this.breach(`E1: write ${number} of sector ${sector}, which was given up, is executed in life ${life}, after write ${this.highest}`);
    this.highest = Math.max(this.highest, number);
  }

  private judge(floor: number, sector: number, content: Buffer, offset: number): void {
    const number = this.numberOf(content, offset, sector);
    if (number === null) {
      this.breach(`Sector ${sector} shows bytes of no write: ${content.toString('hex', offset, offset + STAMP_BYTES)}`);
      return;
    }
    const seen = number === 0 ? this.oldestZeros(sector, floor) : number;
    if (seen < floor || seen > this.newest[sector]!) {
      const what = number === 0 ? 'zeros' : `write ${number}`;
      this.breach(`O2: sector ${sector} shows ${what}; it must be ${floor} or later, at most ${this.newest[sector]}`);
      return;
    }
    if (this.floors[sector]! < seen) this.floors[sector] = seen;
  }

  /** Zeros may be of the oldest change that fits: that is all that is certain. -1: none fits. */
  private oldestZeros(sector: number, floor: number): number {
    if (floor === 0) return 0;
    return this.zeros[sector]?.find((number) => number >= floor) ?? -1;
  }

  private addZeros(sector: number, number: number): void {
    const list = this.zeros[sector];
    if (list === undefined) this.zeros[sector] = [number];
    else list.push(number);
    if (list === undefined || list.length < 256) return;
    // Reads that are still out know an older floor, but hardly that old.
    list.splice(0, 128);
  }

  /** Each sector: volume, write number, sector and volume, over and over. */
  private stampSector(buffer: Buffer, offset: number, number: number, sector: number): void {
    const { stamp } = this;
    stamp[4] = number >>> 24;
    stamp[5] = number >>> 16;
    stamp[6] = number >>> 8;
    stamp[7] = number;
    stamp[8] = sector >>> 24;
    stamp[9] = sector >>> 16;
    stamp[10] = sector >>> 8;
    stamp[11] = sector;
    buffer.fill(stamp, offset, offset + SECTOR_BYTES);
  }

  /** Number of the write whose whole content for this sector this is; 0: zeros; null: neither. */
  private numberOf(content: Buffer, at: number, sector: number): number | null {
    // Every stamp is as the one before it.
    if (content.compare(content, at + STAMP_BYTES, at + SECTOR_BYTES, at, at + SECTOR_BYTES - STAMP_BYTES) !== 0) return null;
    const magic = content.readUInt32BE(at);
    const number = content.readUInt32BE(at + 4);
    const isZero = magic === 0 && number === 0 && content.readUInt32BE(at + 8) === 0 && content.readUInt32BE(at + 12) === 0;
    if (isZero) return 0;
    const isOurs = magic === (MAGIC ^ this.volume) >>> 0 && content.readUInt32BE(at + 8) === sector;
    return isOurs && number > 0 ? number : null;
  }
}
