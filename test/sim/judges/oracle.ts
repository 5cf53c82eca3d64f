// Knows the content that a volume may have, from the I/O of its users. Every written sector names the volume, the write and the sector.
// Overlapping changes execute in the order of their submission (O1), over all users of the volume, because only one user at a time writes.
// A read returns the last answered write or a later write, and never an older write than an earlier read has returned. Each write executes
// once, in order, and never after its answer; an abandoned write never executes after a newer one. In a later incarnation of the storage,
// the client may replay the last answered writes from its log. A machine crash undoes only writes that are neither durable nor in the log
// of a live client. oracle-losses.ts handles losses without a crash.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { Losses } from './oracle-losses.ts';

/** The oracle's knowledge when a read was submitted: for each sector of the read, the oldest change that the read may return. */
export type ReadTicket = Uint32Array;

/** Knowledge about an abandoned change. */
interface Lost {
  /** The newest server process that may execute the abandoned change. */
  readonly process: number;
  /**
   * Number of the newest change when the change was abandoned. Once a change with a larger number executes, the abandoned change can no
   * longer execute.
   */
  readonly newest: number;
}

/** Notified of each change that is submitted, and of each that is answered OK. */
export interface ChangeWatch {
  submitted(number: number, lba: number, count: number, isWrite: boolean, incarnations: number): void;
  answered(number: number): void;
}

const STAMP_BYTES = 16;
const MAGIC = 0x5253494f;
/** The oracle keeps at most this many breaches. Only the first breach matters, because later breaches mostly follow from it. */
const BREACHES_MAX = 20;

export class Oracle {
  readonly breaches: string[] = [];
  sectors: number;
  readonly volume: number;
  /** Maximum number of sectors of the volume. */
  private readonly capacity: number;
  /** For each sector: the newest change that was answered OK or returned by an answered read. */
  private readonly floors: Uint32Array;
  /** For each sector: `acked` is the newest change that was answered OK; `durable` is the newest change that no machine crash may undo. */
  private readonly acked: Uint32Array;
  private readonly durable: Uint32Array;
  /** For each sector: the newest change that was answered OK. A lost change stays here, because a log may still have the change. */
  private readonly answered: Uint32Array;
  /**
   * For each sector: the incarnation of the storage in which the sector was last written, and the one in which its newest answered change
   * executed.
   */
  private readonly writtenIn: Uint32Array;
  private readonly ackedIn: Uint32Array;
  /** The incarnation in which the last write of each sector first executed. */
  private readonly bornIn: Uint32Array;
  incarnations = 0;
  /**
   * Changes with several segments that were not answered OK as a whole. Some segments of a change may have been answered OK, and may be in
   * the log.
   */
  private readonly partial = new Set<number>();
  /** For each change with several segments: the incarnation of the storage in which it was submitted. */
  private readonly inPieces = new Map<number, number>();
  /** The first number that the current user of the volume may have submitted. */
  private tenureFrom = 1;
  /** The machine has crashed, and the replay log of the volume's user has not been sent yet. */
  private isPending = false;
  /** Number of times that an answered change was treated as lost. */
  drops = 0;
  /** Number of times that acknowledged changes stopped being required. */
  lowerings = 0;
  changes: ChangeWatch | null = null;
  /** For each user and sector: the newest change of the user that was answered, with any status. */
  private readonly told: Uint32Array[] = [];
  /** For each number of a change: the user that submitted the change. */
  private readonly authors: number[] = [0];
  /**
   * Changes up to this number that are answered OK are durable, because the server synced the volume before it gave the volume to another
   * holder.
   */
  private durableUpTo = 0;
  /** Newest submitted change. */
  private readonly newest: Uint32Array;
  /** For each sector: `executed` is the newest executed write, and `executedIn` the server process that executed it. */
  private readonly executed: Uint32Array;
  private readonly executedIn: Uint32Array;
  /** For each sector: the changes to zeros that a read may still return. */
  private readonly zeros: (number[] | undefined)[];
  private readonly lost = new Map<number, Lost>();
  private readonly losses: Losses;
  breached: (sentence: string) => void = () => undefined;
  /** Called before a log is sent again, and after a part of it has executed. */
  replayed: () => void = () => undefined;
  /** Called when a read has returned a change before it was answered. */
  shown: () => void = () => undefined;
  private highest = 0;
  private readonly stamp = Buffer.alloc(STAMP_BYTES);
  private nextNumber = 1;

  constructor(volume: number, sectors: number, capacity = sectors) {
    this.volume = volume;
    this.sectors = sectors;
    this.capacity = capacity;
    this.floors = new Uint32Array(capacity);
    this.acked = new Uint32Array(capacity);
    this.answered = new Uint32Array(capacity);
    this.durable = new Uint32Array(capacity);
    this.writtenIn = new Uint32Array(capacity);
    this.ackedIn = new Uint32Array(capacity);
    this.bornIn = new Uint32Array(capacity);
    this.newest = new Uint32Array(capacity);
    this.executed = new Uint32Array(capacity);
    this.executedIn = new Uint32Array(capacity);
    this.zeros = new Array<number[] | undefined>(capacity);
    this.losses = new Losses(capacity);
    this.stamp.writeUInt32BE((MAGIC ^ volume) >>> 0, 0);
    this.stamp.writeUInt32BE(volume, 12);
  }

  /** Number of changes so far. */
  get submitted(): number {
    return this.nextNumber - 1;
  }

  /** The volume has this many sectors now. New sectors must show zeros until they are written (C2). */
  grow(sectors: number): void {
    this.sectors = Math.max(this.sectors, sectors);
  }

  /** A change is submitted: returns the number of the change. `fill` gets the content at `offset`; null: the change makes zeros. */
  change(lba: number, count: number, fill: Buffer | null, offset: number, user = 0): number {
    const number = this.nextNumber++;
    this.authors.push(user);
    this.changes?.submitted(number, lba, count, fill !== null, this.incarnations);
    for (let index = 0; index < count; index++) {
      const sector = lba + index;
      this.newest[sector] = number;
      if (fill === null) this.addZeros(sector, number);
      else this.stampSector(fill, offset + index * SECTOR_BYTES, number, sector);
    }
    return number;
  }

  /**
   * A change was answered. If `isOk` is false, reads may return the change or not, but the change no longer executes. `isSure` is false if
   * answered changes were treated as lost between the submission and this answer. If `isSure` is false, the server may have answered OK
   * before the loss.
   */
  changed(number: number, lba: number, count: number, isOk: boolean, isSure = true): void {
    const told = this.toldTo(this.authors[number]!);
    for (let sector = lba; sector < lba + count; sector++) {
      if (told[sector]! < number) told[sector] = number;
      if (!isOk) continue;
      if (isSure && this.floors[sector]! < number) this.floors[sector] = number;
      if (isSure && this.acked[sector]! < number) this.acked[sector] = number;
      if (this.answered[sector]! >= number) continue;
      this.answered[sector] = number;
      this.ackedIn[sector] = this.writtenIn[sector]!;
    }
    if (isOk && isSure) this.changes?.answered(number);
    if (isOk && isSure && number <= this.durableUpTo) this.stays(number, lba, count);
  }

  /** A change is durable on disk. */
  stays(number: number, lba: number, count: number): void {
    for (let sector = lba; sector < lba + count; sector++) {
      if (this.durable[sector]! < number) this.durable[sector] = number;
      if (this.floors[sector]! < number) this.floors[sector] = number;
    }
  }

  /** For each sector: the newest change that a FLUSH covers if it is submitted now. */
  flushBegins(): Uint32Array {
    return this.acked.slice();
  }

  /** The storage has lost the content of a sector, but still shows this content. `isAttached`: a client has a log of the volume. */
  forgets(sector: number, disk: Buffer, positionBytes: number, isAttached: boolean): void {
    const onDisk = this.numberOf(disk, positionBytes, sector) ?? 0;
    const level = Math.max(onDisk, this.durable[sector]!);
    this.losses.forget(sector, level, this.incarnations);
    if (!isAttached) this.losses.isNobodys(sector);
    if (!isAttached || this.acked[sector]! < this.tenureFrom) this.giveUp(sector, level);
  }

  /** Sectors were written again, with any content. */
  renewed(firstSector: number, sectors: number): void {
    this.losses.renewed(firstSector, sectors);
  }

  /** Number of sectors that may return old content for a while. */
  get forgotten(): number {
    return this.losses.count;
  }

  /** Number of forgotten sectors whose last acknowledged content is not on disk, so that a client has to restore it. */
  owed(disk: Buffer): number {
    let count = 0;
    for (let sector = 0; this.losses.count > 0 && sector < this.sectors; sector++)
      if (this.losses.isForgotten(sector) && this.isMissing(disk, sector)) count++;
    return count;
  }

  /**
   * Whether required content is missing on disk. The number of the change on disk is not enough, because zeros do not show which change
   * has made them.
   */
  private isMissing(disk: Buffer, sector: number): boolean {
    const floor = this.floors[sector]!;
    return floor > this.losses.levelOf(sector) && !this.isAsLate(disk, sector, floor);
  }

  /**
   * Expects that the disk has every change of the sector up to number `covered`, because a FLUSH that covers these changes was answered OK.
   */
  judgeOnDisk(sector: number, covered: number, disk: Buffer): void {
    if (covered === 0 || this.isAsLate(disk, sector, covered)) return;
    const onDisk = this.numberOf(disk, sector * SECTOR_BYTES, sector);
    this.breach(`O2: a flush is answered OK which covers change ${covered} of sector ${sector}, and on disk is ${onDisk ?? 'no write'}`);
  }

  flushed(covered: Uint32Array): void {
    for (let sector = 0; sector < this.sectors; sector++)
      if (this.durable[sector]! < covered[sector]!) this.durable[sector] = covered[sector]!;
  }

  /**
   * The server has synced the volume and gives it to another holder. Every change of the previous holder that was or will be answered OK is
   * durable.
   */
  handedOver(): void {
    this.flushed(this.acked);
    this.durableUpTo = this.nextNumber - 1;
  }

  /** The storage may have lost data: a new incarnation starts. A replay may undo a failed change that a read has returned. */
  incarnationEnded(): void {
    this.incarnations++;
    for (let sector = 0; sector < this.sectors; sector++)
      this.floors[sector] = Math.min(this.floors[sector]!, Math.max(this.durable[sector]!, this.acked[sector]!));
  }

  /** A user has attached the volume. The user's replay log keeps the user's later changes. */
  attached(): void {
    this.tenureFrom = this.nextNumber;
  }

  /** The client sends this submitted change in several segments. The server answers each segment. */
  goesInPieces(number: number): void {
    this.inPieces.set(number, this.incarnations);
  }

  /** Some segments of a change were answered OK. The replay log may contain these segments. */
  partly(number: number): void {
    this.partial.add(number);
  }

  /**
   * The server's machine has crashed. Data that was not durable is lost, except for data in the log of a client. `isAttached`: a client has
   * a log of the volume.
   */
  crashed(isAttached: boolean): void {
    this.lowerings++;
    this.losses.clear();
    for (let sector = 0; sector < this.sectors; sector++) {
      const isLogged = isAttached && this.acked[sector]! >= this.tenureFrom;
      if (!isLogged) this.acked[sector] = this.durable[sector]!;
      this.floors[sector] = Math.max(this.durable[sector]!, this.acked[sector]!);
    }
    this.isPending = isAttached;
    this.incarnationEnded();
  }

  /** The client has replayed its log in this incarnation. Required content must therefore be on disk, or be replaced by later writes. */
  recovered(disk: Buffer): void {
    this.isPending = false;
    this.losses.end(this.incarnations, (sector) => {
      if (this.isMissing(disk, sector))
        this.breach(
          `R2: change ${this.floors[sector]} of sector ${sector}, which the storage has forgotten, is not brought back: ${this.losses.levelOf(sector)} is there`,
        );
    });
  }

  /** The replay log of the user is lost. All changes that only this log could restore are also lost. */
  dropped(): void {
    if (!this.isPending && this.losses.count === 0) return;
    this.drops++;
    this.losses.end(Number.POSITIVE_INFINITY, (sector) => this.giveUp(sector, this.losses.levelOf(sector)));
    if (!this.isPending) return;
    this.isPending = false;
    this.lowerings++;
    this.floors.set(this.durable);
    this.acked.set(this.durable);
  }

  /** A rollback gave the volume this earlier content; no client uses the volume. */
  rolledBack(content: Buffer): void {
    this.lowerings++;
    this.losses.clear();
    this.isPending = false;
    for (let sector = 0; sector < this.sectors; sector++) {
      const number = this.numberOf(content, sector * SECTOR_BYTES, sector) ?? 0;
      for (const numbers of [this.floors, this.acked, this.durable, this.answered, this.newest]) numbers[sector] = number;
      // If the sector has zeros, any of its changes to zeros may have made them. The list of these changes is therefore kept.
      if (number > 0) this.zeros[sector] = undefined;
    }
  }

  private giveUp(sector: number, level: number): void {
    this.lowerings++;
    this.floors[sector] = Math.min(this.floors[sector]!, level);
    this.acked[sector] = Math.min(this.acked[sector]!, level);
  }

  /** Changes the ticket of a read that is in flight at a loss: the read may return the content that remains after the loss. */
  lower(ticket: ReadTicket, lba: number, count: number): void {
    for (let index = 0; index < count; index++) ticket[index] = Math.min(ticket[index]!, this.floorOf(lba + index));
  }

  private floorOf(sector: number): number {
    return this.losses.floor(sector, this.floors[sector]!);
  }

  /** The disk has this change of the sector, or a later one. */
  isAsLate(disk: Buffer, sector: number, number: number): boolean {
    const onDisk = this.numberOf(disk, sector * SECTOR_BYTES, sector);
    return onDisk === 0 ? this.oldestZeros(sector, number) >= 0 : onDisk !== null && onDisk >= number;
  }

  /**
   * A change was abandoned with unknown outcome. The server process `process` or an earlier one may still execute the change; a later
   * process must not.
   */
  abandoned(number: number, process: number): void {
    this.lost.set(number, { process, newest: this.nextNumber - 1 });
  }

  /** Stores the current knowledge in the ticket of a read. */
  issueRead(lba: number, count: number, ticket: ReadTicket): void {
    for (let index = 0; index < count; index++) ticket[index] = this.floorOf(lba + index);
  }

  /** A read was answered OK with the content at `offset`; `isSure` as in `changed`. */
  readDone(ticket: ReadTicket, lba: number, count: number, content: Buffer, offset: number, isSure = true): void {
    for (let index = 0; index < count; index++) this.judge(ticket[index]!, lba + index, content, offset + index * SECTOR_BYTES, isSure);
  }

  /** The storage was changed; `process` numbers the server processes; `incarnation` is the incarnation of the handle. */
  executes(
    process: number,
    firstSector: number,
    content: Buffer,
    positionBytes: number,
    lengthBytes: number,
    incarnation = this.incarnations,
  ): void {
    let isReplay = false;
    for (let at = 0; at < lengthBytes; at += SECTOR_BYTES) {
      const sector = firstSector + at / SECTOR_BYTES;
      const number = this.numberOf(content, positionBytes + at, sector);
      if (number === null || number === 0) {
        this.breach(`Sector ${sector} is written with bytes of no write`);
        continue;
      }
      if (this.isReplay(number, sector, incarnation)) {
        isReplay = true;
        this.executed[sector] = number;
        this.executedIn[sector] = process;
        continue;
      }
      const last = this.executed[sector]!;
      // A segment of a larger change may be in the log before the whole change is answered. The client then replays the segment to a later
      // incarnation.
      const again = number === last && this.executedIn[sector] === process && this.bornIn[sector] === incarnation;
      if (number !== last) this.bornIn[sector] = incarnation;
      this.writtenIn[sector] = incarnation;
      if (again) this.breach(`S1: write ${number} of sector ${sector} is executed twice in process ${process}`);
      else if (number < last && !this.isPiece(number, sector, incarnation))
        this.breach(`O1: write ${number} of sector ${sector} is executed after write ${last}`);
      // S4 does not apply to an abandoned change, because it was never answered. Later changes of its user were refused before they were
      // sent, or are judged by their order.
      const told = this.toldTo(this.authors[number]!)[sector]!;
      if (told >= number && !this.lost.has(number))
        this.breach(`S4: write ${number} of sector ${sector} is executed after ${told} was answered`);
      this.judgeLost(number, sector, process);
      this.executed[sector] = number;
      this.executedIn[sector] = process;
    }
    if (isReplay) this.replayed();
  }

  /** A change that may have taken effect in part was refused for lack of space, and is executed again later (S1). */
  waitsForRoom(firstSector: number, lengthBytes: number): void {
    this.executedIn.fill(0, firstSector, firstSector + lengthBytes / SECTOR_BYTES);
  }

  breach(sentence: string): void {
    this.breached(sentence);
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(`volume ${this.volume}: ${sentence}`);
  }

  /**
   * Whether the execution is a replay. In a later incarnation, the client sends the last answered changes from its log again, and perhaps
   * changes of which only some segments were answered.
   */
  private isReplay(number: number, sector: number, incarnation: number): boolean {
    const acked = this.answered[sector]!;
    return (number === acked && incarnation > this.ackedIn[sector]!) || (this.partial.has(number) && number > acked);
  }

  /**
   * Whether this is an answered segment of a change that is not completely answered: the log has the segment, and replays it to a later
   * incarnation.
   */
  private isPiece(number: number, sector: number, incarnation: number): boolean {
    return number > this.answered[sector]! && incarnation > (this.inPieces.get(number) ?? Number.POSITIVE_INFINITY);
  }

  private judgeLost(number: number, sector: number, process: number): void {
    const lost = this.lost.get(number);
    if (lost !== undefined && (process > lost.process || this.highest > lost.newest))
      this.breach(
        `E1: write ${number} of sector ${sector}, which was abandoned, is executed in process ${process}, after write ${this.highest}`,
      );
    this.highest = Math.max(this.highest, number);
  }

  private toldTo(user: number): Uint32Array {
    return (this.told[user] ??= new Uint32Array(this.capacity));
  }

  private judge(floor: number, sector: number, content: Buffer, offset: number, isSure: boolean): void {
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
    if (!isSure || this.floors[sector]! >= seen || this.losses.isFleeting(sector)) return;
    this.floors[sector] = seen;
    this.shown();
  }

  /**
   * The oldest change that may have made the zeros of the sector. A read that returns zeros proves only this change, and none of the later
   * ones. -1: no change may have made the zeros.
   */
  private oldestZeros(sector: number, floor: number): number {
    if (floor === 0) return 0;
    return this.zeros[sector]?.find((number) => number >= floor) ?? -1;
  }

  private addZeros(sector: number, number: number): void {
    const list = this.zeros[sector];
    if (list === undefined) this.zeros[sector] = [number];
    else list.push(number);
    if (list === undefined || list.length < 256) return;
    // Drops the oldest entries. The ticket of a read in flight may name an earlier change of the sector, but it is unlikely to name one of
    // these 128 oldest changes.
    list.splice(0, 128);
  }

  /** Fills a sector with repeated stamps of volume, write number and sector. */
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

  /** Number of the write that the sector of a copy contains; 0: the sector has zeros; null: it has neither a write nor zeros. */
  shownIn(copy: Buffer, sector: number): number | null {
    return this.numberOf(copy, sector * SECTOR_BYTES, sector);
  }

  /** The oldest change that a copy may have in a sector whose required change is `floor` or later; 0 or less: no change is certain. */
  leastIn(copy: Buffer, sector: number, floor: number): number {
    const number = this.shownIn(copy, sector) ?? 0;
    return number === 0 ? this.oldestZeros(sector, floor) : number;
  }

  /** Number of the write with exactly this content of the sector; 0: the content is zeros; null: it is neither a write nor zeros. */
  private numberOf(content: Buffer, at: number, sector: number): number | null {
    // All stamps of the sector must be equal.
    if (content.compare(content, at + STAMP_BYTES, at + SECTOR_BYTES, at, at + SECTOR_BYTES - STAMP_BYTES) !== 0) return null;
    const magic = content.readUInt32BE(at);
    const number = content.readUInt32BE(at + 4);
    const isZero = magic === 0 && number === 0 && content.readUInt32BE(at + 8) === 0 && content.readUInt32BE(at + 12) === 0;
    if (isZero) return 0;
    const isOurs = magic === (MAGIC ^ this.volume) >>> 0 && content.readUInt32BE(at + 8) === sector;
    return isOurs && number > 0 ? number : null;
  }
}
