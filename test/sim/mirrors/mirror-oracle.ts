// Knows the content that each sector of a mirror may have, over all replicas and clients, from the I/O of the users. Every written sector
// carries the number of its write. Writes are ordered by the term of their client, then by number, because all lower terms have ended
// before a claimed term is served. A read of any client returns content that was answered or seen before the read was submitted, or later
// content. If changes were lost at the end of a term, all later reads agree about which changes were lost. An answered change may be lost
// in one case only: it was not flushed, its client is no longer the holder, and the machine or the disk of a replica has lost data that was
// not written back.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { AnsweredLog, type Covered } from './answered-log.ts';

/** For each sector of a read: the oldest change that the read may return. */
export type MirrorTicket = Float64Array;

const STAMP_BYTES = 16;
const MAGIC = 0x52534d49;
const BREACHES_MAX = 20;
/** Factor of the term in the key of a change; the key has term and number. */
const TERM_STEP = 2 ** 32;

export class MirrorOracle {
  readonly breaches: string[] = [];
  readonly sectors: number;
  breached: (sentence: string) => void = () => undefined;
  /** By number of a change: term of its client. */
  private readonly terms: number[] = [0];
  /** For each sector: the newest change that was answered OK or returned by an answered read. */
  private readonly floors: Float64Array;
  private readonly acked: Float64Array;
  private readonly durable: Float64Array;
  /** For each sector: the change of a lower term that a later holder has read; `pinTerms` has the term of this holder. */
  private readonly pins: Float64Array;
  private readonly pinTerms: Float64Array;
  /** For each sector: the keys of changes to zeros, in ascending order. */
  private readonly zeros: (number[] | undefined)[];
  /** Sectors that were ever changed. All other sectors contain zeros, which cannot be lost. */
  private readonly used: number[] = [];
  private readonly isUsed: Uint8Array;
  /** Answered changes, which may be lost until they are flushed. After a loss, a new log begins. */
  private log = new AnsweredLog();
  /** `served`: the highest term that has been served. `isLogged`: whether the client of this term still has its replay log. */
  private served = 0;
  private isLogged = false;
  /** Whether, since the term `served` was first served, a replica has lost data that was not written back. */
  private hasCrashed = false;
  /** Number of times that answered changes stopped being required. */
  lowerings = 0;
  /** `crashes`: how often a replica has lost data so far. `crashesBefore`: for each change, the value of `crashes` at its submission. */
  private crashes = 0;
  private readonly crashesBefore: number[] = [0];
  private readonly isForgotten: (sector: number) => boolean;
  private readonly stamp = Buffer.alloc(STAMP_BYTES);

  /** `isForgotten`: whether a replica has lost a sector whose new content may still show (V1), until the sector is written again. */
  constructor(sectors: number, isForgotten: (sector: number) => boolean = () => false) {
    this.sectors = sectors;
    this.isForgotten = isForgotten;
    this.floors = new Float64Array(sectors);
    this.acked = new Float64Array(sectors);
    this.durable = new Float64Array(sectors);
    this.pins = new Float64Array(sectors);
    this.pinTerms = new Float64Array(sectors);
    this.zeros = new Array<number[] | undefined>(sectors);
    this.isUsed = new Uint8Array(sectors);
  }

  serves(term: number): void {
    if (term <= this.served) return;
    this.endLog();
    this.served = term;
    this.isLogged = true;
    this.hasCrashed = false;
  }

  /** The client of this term has lost its log: it was killed, has detached by force, or has lost the mirror. */
  ended(term: number): void {
    if (term === this.served) this.endLog();
  }

  /** A replica may have lost data that was not written back. */
  crashed(): void {
    this.hasCrashed = true;
    this.crashes++;
    this.lose();
  }

  /** A change is submitted: returns the number of the change. `fill` gets the content at `offset`; null: the change makes zeros. */
  change(term: number, lba: number, count: number, fill: Buffer | null, offset: number): number {
    const number = this.terms.length;
    this.terms.push(term);
    this.crashesBefore.push(this.crashes);
    for (let index = 0; index < count; index++) {
      this.use(lba + index);
      if (fill === null) insert((this.zeros[lba + index] ??= []), this.keyOf(number));
      else this.stampSector(fill, offset + index * SECTOR_BYTES, number, lba + index);
    }
    return number;
  }

  /** A change was answered OK. */
  changed(number: number, lba: number, count: number, isDurable: boolean): void {
    const key = this.keyOf(number);
    const term = this.terms[number]!;
    // The change may have been lost between its execution and this late answer.
    if (term < this.served && this.crashes > this.crashesBefore[number]! && !isDurable) return;
    for (let sector = lba; sector < lba + count; sector++) {
      if (term < this.pinTerms[sector]! && this.pins[sector]! < key)
        this.breach(
          `M16: ${this.say(number)} of sector ${sector} is answered after term ${this.pinTerms[sector]} has read what was before it`,
        );
      raise(this.floors, sector, key);
      if (isDurable) raise(this.durable, sector, key);
      if (this.acked[sector]! >= key) continue;
      this.acked[sector] = key;
      if (!isDurable) this.log.add(sector, key);
    }
  }

  /** Changes that a FLUSH covers if it is submitted now. */
  flushBegins(): Covered {
    return this.log.covered;
  }

  flushed({ log, end }: Covered): void {
    log.flushed(end, (sector, key) => raise(this.durable, sector, key));
  }

  issueRead(lba: number, count: number, ticket: MirrorTicket): void {
    for (let index = 0; index < count; index++) ticket[index] = this.floors[lba + index]!;
  }

  /**
   * A read of a client of this term was answered OK with the content at `offset`. `ticket` is null if a replica has lost data since the
   * read was submitted.
   */
  readDone(term: number, ticket: MirrorTicket | null, lba: number, count: number, content: Buffer, offset: number): void {
    for (let index = 0; index < count; index++) this.judge(term, ticket?.[index] ?? 0, lba + index, content, offset + index * SECTOR_BYTES);
  }

  breach(sentence: string): void {
    this.breached(sentence);
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(sentence);
  }

  private judge(term: number, floor: number, sector: number, content: Buffer, offset: number): void {
    const number = this.numberOf(content, offset, sector);
    if (number === null || number >= this.terms.length) {
      this.breach(`Sector ${sector} shows bytes of no write: ${content.toString('hex', offset, offset + STAMP_BYTES)}`);
      return;
    }
    if (this.isForgotten(sector)) return;
    const key = number === 0 ? this.zerosFrom(sector, floor) : this.keyOf(number);
    if (key === null || key < floor) {
      this.breach(`M15: sector ${sector} shows ${this.say(number)} in term ${term}; it must be ${this.sayKey(floor)} or later`);
      return;
    }
    // Content that an earlier holder has read may be lost by now.
    if (term < this.served) return;
    raise(this.floors, sector, key);
    // Zeros do not show which change has made them.
    if (number !== 0) this.pin(term, sector, number);
  }

  /**
   * A client of a later term has read this change of an earlier term. A mirror must decide before the first read of a term which changes of
   * earlier terms remain. Later reads must therefore return the same change.
   */
  private pin(term: number, sector: number, number: number): void {
    const key = this.keyOf(number);
    if (this.terms[number]! >= term) return;
    if (this.pinTerms[sector] === term && this.pins[sector] !== key)
      this.breach(
        `M7: sector ${sector} shows ${this.say(number)} in term ${term}, and has shown ${this.sayKey(this.pins[sector]!)} in this term`,
      );
    if (this.pinTerms[sector]! > term) return;
    this.pins[sector] = key;
    this.pinTerms[sector] = term;
    raise(this.durable, sector, key);
    raise(this.acked, sector, key);
  }

  private endLog(): void {
    this.isLogged = false;
    if (this.hasCrashed) this.lose();
  }

  /** Changes are no longer required if they are not durable and no client has them in its replay log. */
  private lose(): void {
    this.lowerings++;
    this.log = new AnsweredLog();
    for (const sector of this.used) {
      const isLogged = this.isLogged && Math.floor(this.acked[sector]! / TERM_STEP) === this.served;
      if (!isLogged) this.acked[sector] = Math.min(this.acked[sector]!, this.durable[sector]!);
      this.floors[sector] = Math.min(this.floors[sector]!, Math.max(this.acked[sector]!, this.durable[sector]!));
      if (this.acked[sector]! > this.durable[sector]!) this.log.add(sector, this.acked[sector]!);
    }
  }

  /** The oldest change to zeros that a read may return; null: a read may not return zeros. */
  private zerosFrom(sector: number, floor: number): number | null {
    if (floor === 0) return 0;
    const keys = this.zeros[sector];
    return keys?.[placeOf(keys, floor)] ?? null;
  }

  private use(sector: number): void {
    if (this.isUsed[sector] === 1) return;
    this.isUsed[sector] = 1;
    this.used.push(sector);
  }

  private keyOf(number: number): number {
    return this.terms[number]! * TERM_STEP + number;
  }

  private say(number: number): string {
    return number === 0 ? 'zeros' : `write ${number} of term ${this.terms[number]}`;
  }

  private sayKey(key: number): string {
    return this.say(key % TERM_STEP);
  }

  private stampSector(buffer: Buffer, offset: number, number: number, sector: number): void {
    const { stamp } = this;
    stamp.writeUInt32BE(MAGIC, 0);
    stamp.writeUInt32BE(number, 4);
    stamp.writeUInt32BE(sector, 8);
    stamp.writeUInt32BE(this.terms[number]!, 12);
    buffer.fill(stamp, offset, offset + SECTOR_BYTES);
  }

  /** Number of the write with exactly this content of the sector; 0: the content is zeros; null: it is neither a write nor zeros. */
  private numberOf(content: Buffer, at: number, sector: number): number | null {
    if (content.compare(content, at + STAMP_BYTES, at + SECTOR_BYTES, at, at + SECTOR_BYTES - STAMP_BYTES) !== 0) return null;
    const magic = content.readUInt32BE(at);
    const number = content.readUInt32BE(at + 4);
    const place = content.readUInt32BE(at + 8);
    if (magic === 0) return number === 0 && place === 0 && content.readUInt32BE(at + 12) === 0 ? 0 : null;
    return magic === MAGIC && place === sector && number > 0 ? number : null;
  }
}

/** Index of the first of the ascending keys that is not below this key. */
function placeOf(keys: readonly number[], key: number): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Inserts a key in order, nearly always at the end. */
function insert(keys: number[], key: number): void {
  const last = keys.at(-1);
  if (last === undefined || last < key) keys.push(key);
  else keys.splice(placeOf(keys, key), 0, key);
}

function raise(keys: Float64Array, sector: number, key: number): void {
  if (keys[sector]! < key) keys[sector] = key;
}
