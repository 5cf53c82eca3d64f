// Judges what the clients of one volume of a simulated farm see. Each sector of a write has a number, and the numbers of the volume grow in
// the order of submission. The client executes overlapping changes in this order, so that the numbers of a sector grow. Invariants: a read
// returns no number below the last one that was acknowledged before its submission, even after a change of the owner. If the only client of
// the volume has died, this holds only for flushed writes. No read returns a number before it was submitted. After a take-over, no read
// returns a number that the former client has submitted since.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { Trace } from '../base/trace.ts';

export interface FarmVolume {
  readonly id: string;
  readonly sectors: number;
  /** Several clients write to the volume at a time, each to sectors of its own, and all read all sectors. */
  readonly shared: boolean;
  readonly clients: readonly string[];
}

const VOLUME_AT = 4;
const SECTOR_AT = 8;
const WRITER_AT = 12;

export class FarmJudge {
  readonly breaches: string[] = [];
  readonly volume: FarmVolume;
  private readonly number: number;
  /** The time at which each number was submitted. */
  private readonly submittedMs: number[] = [0];
  /**
   * For each sector: `issued` is the last submitted number, `least` the lowest number that a read may return, `acknowledged` the last
   * acknowledged number, and `flushed` the last number that is certainly on disk.
   */
  private readonly issued: Uint32Array;
  private readonly least: Uint32Array;
  private readonly acknowledged: Uint32Array;
  private readonly flushed: Uint32Array;
  /** The grant that counts: its epoch, its client, and the time since which this client has the volume. */
  private holder: { readonly epoch: number; readonly client: number; readonly sinceMs: number; readonly isThere: boolean } | null = null;

  /** The client that last lost the volume to a take-over; null if a client has attached the volume since. */
  private lostBy: number | null = null;
  /** The clients that have asked for a take-over, and may not know its outcome; true: by force. */
  private readonly asked = new Map<number, boolean>();
  private readonly trace: Trace;

  constructor(volume: FarmVolume, number: number, trace: Trace) {
    this.volume = volume;
    this.number = number;
    this.trace = trace;
    [this.issued, this.least, this.acknowledged, this.flushed] = [0, 0, 0, 0].map(() => new Uint32Array(volume.sectors)) as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ];
  }

  get isFought(): boolean {
    return !this.volume.shared && this.volume.clients.length > 1;
  }

  breach(sentence: string): void {
    this.breaches.push(`${this.volume.id}: ${sentence}`);
    if (this.trace.isOn) this.trace.say(`!! ${this.volume.id}: ${sentence}`);
  }

  /** Fills the buffer of a write, and returns the number of the write. */
  write(sector: number, count: number, writer: number, buffer: Buffer): number {
    const number = this.submittedMs.length;
    this.submittedMs.push(this.trace.now);
    for (let at = 0; at < count; at++) {
      const start = at * SECTOR_BYTES;
      buffer.writeUInt32LE(number, start);
      buffer.writeUInt32LE(this.number, start + VOLUME_AT);
      buffer.writeUInt32LE(sector + at, start + SECTOR_AT);
      buffer.writeUInt32LE(writer, start + WRITER_AT);
      buffer.writeUInt32LE(number, start + SECTOR_BYTES - 4);
      this.issued[sector + at] = number;
    }
    return number;
  }

  writeDone(number: number, sector: number, count: number, isDurable: boolean): void {
    for (let at = sector; at < sector + count; at++) {
      if (this.least[at]! < number) this.least[at] = number;
      if (this.acknowledged[at]! < number) this.acknowledged[at] = number;
      if (isDurable && this.flushed[at]! < number) this.flushed[at] = number;
    }
  }

  /** Copies the lowest numbers that a read of these sectors may return. */
  readBegins(sector: number, count: number, least: Uint32Array): void {
    for (let at = 0; at < count; at++) least[at] = this.least[sector + at]!;
  }

  /** `attachedMs`: the time at which the reader has attached the volume. `isSure`: no client of the volume has died since the submission. */
  readDone(
    sector: number,
    count: number,
    least: Uint32Array,
    data: Buffer,
    offset: number,
    reader: number,
    attachedMs: number,
    isSure: boolean,
  ): void {
    for (let at = 0; at < count; at++) {
      const start = offset + at * SECTOR_BYTES;
      const number = data.readUInt32LE(start);
      const where = `sector ${sector + at}`;
      if (number !== data.readUInt32LE(start + SECTOR_BYTES - 4)) this.breach(`G1: ${where} is torn`);
      else if (
        number !== 0 &&
        (data.readUInt32LE(start + VOLUME_AT) !== this.number || data.readUInt32LE(start + SECTOR_AT) !== sector + at)
      )
        this.breach(`G1: ${where} has other content`);
      else if (number > this.issued[sector + at]!) this.breach(`G1: ${where} has number ${number}, which nobody has written there`);
      else if (isSure && number < least[at]!)
        this.breach(`G1: ${where} has number ${number}, and ${least[at]} was acknowledged or read before`);
      else this.seen(sector + at, number, data.readUInt32LE(start + WRITER_AT), reader, attachedMs, isSure);
    }
  }

  private seen(sector: number, number: number, writer: number, reader: number, attachedMs: number, isSure: boolean): void {
    if (this.volume.shared) return;
    if (!this.isFought) {
      // The only client restores what it has read, so that no later read shows an older number.
      if (isSure && this.least[sector]! < number) this.least[sector] = number;
      return;
    }
    const { submittedMs } = this;
    if (number > 0 && writer !== reader && submittedMs[number]! > attachedMs)
      this.breach(`H2: sector ${sector} has number ${number}, which its client has submitted after it had lost the volume`);
  }

  flushBegins(): Uint32Array {
    return this.acknowledged.slice();
  }

  flushDone(covered: Uint32Array): void {
    for (let at = 0; at < covered.length; at++) if (this.flushed[at]! < covered[at]!) this.flushed[at] = covered[at]!;
  }

  /** The client that had the volume has died, or has lost it by force, with the log of its writes. */
  dropped(): void {
    if (this.volume.shared) return;
    this.least.set(this.flushed);
    this.acknowledged.set(this.flushed);
  }

  /** A client asks for a take-over. */
  asks(client: number, isForced: boolean): void {
    this.asked.set(client, isForced || this.asked.get(client) === true);
  }

  /** A client has attached the volume. */
  granted(epoch: number, client: number): void {
    const { holder, asked } = this;
    if (this.volume.shared) return;
    if (this.trace.isOn) this.trace.say(`${this.volume.id}: client ${client} has epoch ${epoch}`);
    // The answer may come late, when another client has the volume already.
    if (holder !== null && epoch < holder.epoch) return;
    const sinceMs = holder?.client === client ? holder.sinceMs : this.trace.now;
    this.holder = { epoch, client, sinceMs, isThere: true };
    // Another client may have taken the volume by force in the meantime, without ever learning that it had the volume.
    const isAgain = this.lostBy === client && [...asked].some(([other, isForced]) => isForced && other !== client);
    this.lostBy = null;
    if (holder?.client === client && !isAgain) return;
    if (holder?.isThere === true && holder.client !== client && !asked.has(client))
      this.breach(`H1: client ${client} is granted the volume, which client ${holder.client} holds`);
    if ([...asked.values()].includes(true)) this.dropped();
  }

  /** A client no longer has the volume attached, so that its hold may end. */
  gone(client: number): void {
    if (this.holder?.client === client) this.holder = { ...this.holder, isThere: false };
  }

  /** A client has learned that another one has taken the volume over. */
  taken(client: number): void {
    this.gone(client);
    this.lostBy = client;
  }

  isHeldBy(client: number): boolean {
    return this.holder?.client === client;
  }

  /** Whether a client may learn that it has lost the volume. */
  mayLose(client: number): boolean {
    return this.isFought && (!this.isHeldBy(client) || this.asked.size > 0);
  }

  /** Judges an I/O that has ended with OK. */
  answered(client: number, submittedMs: number): void {
    if (this.volume.shared || this.holder === null || this.holder.client === client) return;
    if (submittedMs > this.holder.sinceMs)
      this.breach(`H2: an I/O of client ${client} succeeds, which was submitted after its loss of the volume`);
  }
}
