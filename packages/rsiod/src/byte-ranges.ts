// The requests of a volume that are not whole blocks, and what has to wait for them. At most BYTE_RANGES_OUT_MAX of them are under way, the rest
// wait in turn (they are the doors', and bounded there). Invariant: a change of any door that overlaps one of them is out before it or behind
// it, never meanwhile, so that nothing is lost between the reading and the writing.

import { assert } from '@rsio/protocol/lib/assert';
import { BYTE_RANGES_OUT_MAX } from '@rsio/protocol/limits';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { ByteRange } from './byte-range.ts';
import type { VolumeIo } from './doors/door.ts';
import { type RangeEntry, RangeLock } from './range-lock.ts';

export interface ByteRangePorts {
  /** Whole blocks, past everything that waits. */
  submit(piece: VolumeIo): void;
  /** A change that had to wait goes now. */
  go(entry: RangeEntry): void;
  /** A request that is not whole blocks is done. */
  done(io: VolumeIo, status: Status): void;
  /** Calls `fire` when what runs now has ended. */
  soon(fire: () => void): void;
}

export class ByteRanges {
  private readonly lock = new RangeLock();
  private readonly ports: ByteRangePorts;
  private readonly idle: ByteRange[] = [];
  private queue: VolumeIo[] = [];
  private out = 0;

  constructor(ports: ByteRangePorts) {
    this.ports = ports;
  }

  /** A change of whole blocks is about to be sent. False: it waits, until `go`. */
  enter(entry: RangeEntry): boolean {
    return this.lock.enter(entry);
  }

  /** A change that has entered has ended. */
  leave(entry: RangeEntry): void {
    for (const free of this.lock.leave(entry)) this.goOn(free);
  }

  /** One that is not whole blocks, of at least a byte, within the volume. */
  submit(io: VolumeIo, blockBytes: number): void {
    if (this.out >= BYTE_RANGES_OUT_MAX) {
      this.queue.push(io);
      return;
    }
    this.out++;
    const pooled = this.idle.pop();
    const range = pooled?.blockBytes === blockBytes ? pooled : this.made(blockBytes);
    range.take(io);
    if (io.op === 'read' || this.lock.enter(range)) this.start(range);
  }

  /** Everything that waits is taken out: changes of whole blocks are returned, the rest is done with this status. */
  giveUp(status: Status): readonly RangeEntry[] {
    const waiting = this.lock.takeWaiting();
    const queue = this.queue;
    this.queue = [];
    for (const entry of waiting) if (entry instanceof ByteRange) this.release(entry, status);
    for (const io of queue) this.ports.done(io, status);
    return waiting.filter((entry) => !(entry instanceof ByteRange));
  }

  private made(blockBytes: number): ByteRange {
    return new ByteRange(
      blockBytes,
      (piece) => this.ports.submit(piece),
      (range, status) => this.ended(range, status),
    );
  }

  private goOn(entry: RangeEntry): void {
    if (entry instanceof ByteRange) this.start(entry);
    else this.ports.go(entry);
  }

  private start(range: ByteRange): void {
    if (!range.start()) this.ports.soon(() => this.ended(range, STATUS.OK));
  }

  private ended(range: ByteRange, status: Status): void {
    if (range.isExclusive) this.leave(range);
    this.release(range, status);
  }

  private release(range: ByteRange, status: Status): void {
    const io = range.release();
    this.idle.push(range);
    assert(this.out > 0, 'More byte ranges have ended than began');
    this.out--;
    this.ports.done(io, status);
    const next = this.queue.shift();
    if (next !== undefined) this.submit(next, range.blockBytes);
  }
}
