// Finds the records of the helper in the bytes that arrive (helpers/aoe.pl). Pure. Invariant: a record is passed on whole, and without a
// copy if it arrived in one piece; an impossible length ends the reading.

import { AOE_FRAME_MAX_BYTES } from '../limits.ts';

const LENGTH_BYTES = 4;
const TIME_BYTES = 8;
const RECORD_MAX_BYTES = LENGTH_BYTES + TIME_BYTES + AOE_FRAME_MAX_BYTES;

export interface RecordEvents {
  /** `timeUs` is 0 for a record about the card. */
  record(bytes: Buffer, start: number, end: number, timeUs: number): void;
  broken(): void;
}

export class RecordReader {
  private readonly events: RecordEvents;
  /** A record whose end has not arrived. */
  private readonly part = Buffer.allocUnsafeSlow(RECORD_MAX_BYTES);
  private partBytes = 0;
  private isEnded = false;

  constructor(events: RecordEvents) {
    this.events = events;
  }

  /** From now on, no record is passed on, not even the remaining records of the current input. */
  end(): void {
    this.isEnded = true;
  }

  receive(bytes: Buffer, end: number): void {
    let at = 0;
    while (at < end && !this.isEnded) {
      if (this.partBytes > 0 || end - at < LENGTH_BYTES || end - at < LENGTH_BYTES + bytes.readUInt32BE(at))
        at = this.gather(bytes, at, end);
      else at = this.pass(bytes, at);
    }
  }

  /** Appends to `part` the bytes that belong to the same record. Returns where the next record begins. */
  private gather(bytes: Buffer, start: number, end: number): number {
    let at = start;
    for (let wanted = LENGTH_BYTES; ; wanted = LENGTH_BYTES + this.part.readUInt32BE(0)) {
      if (wanted > RECORD_MAX_BYTES) return this.fail(end);
      const count = Math.min(wanted - this.partBytes, end - at);
      if (count > 0) bytes.copy(this.part, this.partBytes, at, at + count);
      this.partBytes += Math.max(0, count);
      at += Math.max(0, count);
      if (this.partBytes < wanted) return at;
      if (wanted > LENGTH_BYTES) break;
      if (this.part.readUInt32BE(0) < TIME_BYTES) return this.fail(end);
    }
    this.partBytes = 0;
    this.pass(this.part, 0);
    return at;
  }

  private pass(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length < TIME_BYTES || LENGTH_BYTES + length > RECORD_MAX_BYTES) return this.fail(bytes.length);
    const begin = at + LENGTH_BYTES;
    const timeUs = bytes.readUInt32BE(begin) * 2 ** 32 + bytes.readUInt32BE(begin + 4);
    this.events.record(bytes, begin + TIME_BYTES, begin + length, timeUs);
    return begin + length;
  }

  private fail(end: number): number {
    this.isEnded = true;
    this.events.broken();
    return end;
  }
}
