// The requests of a volume that are not whole blocks, and the changes that must wait for them. At most BYTE_RANGES_OUT_MAX are under way; the
// rest wait in turn, bounded by the frontends. Invariant: a change that overlaps one of them is out before or after it, in order of arrival,
// never at the same time. So no bytes are lost between the read and the write, and an older change never overwrites a newer one.

import { assert } from '@rsio/common/lib/assert';
import { BYTE_RANGES_IDLE_MAX, BYTE_RANGES_OUT_MAX } from './limits.ts';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { ByteRange, CutRequest } from './byte-range.ts';
import type { VolumeIo } from './frontend-volume.ts';
import { type RangeEntry, RangeLock } from './range-lock.ts';

export interface ByteRangePorts {
  /** Sends whole blocks at once, without queueing. */
  submit(piece: VolumeIo): void;
  /** A change that had to wait may be sent now. */
  go(entry: RangeEntry): void;
  /** A request that is not whole blocks is done. */
  done(io: VolumeIo, status: Status): void;
  /** Calls `fire` after the current event. */
  soon(fire: () => void): void;
}

export class ByteRanges {
  private readonly lock = new RangeLock();
  private readonly ports: ByteRangePorts;
  private readonly idle: ByteRange[] = [];
  /** No earlier change blocks them, but too many are under way. */
  private queue: CutRequest[] = [];
  private out = 0;

  constructor(ports: ByteRangePorts) {
    this.ports = ports;
  }

  /** A change of whole blocks is about to be sent. False: it must wait for `go`. */
  enter(entry: RangeEntry): boolean {
    return this.lock.enter(entry);
  }

  /** A change that had entered has ended. */
  leave(entry: RangeEntry): void {
    for (const free of this.lock.leave(entry)) this.proceed(free);
  }

  /** `io`: not whole blocks, at least one byte, within the volume. */
  submit(io: VolumeIo, blockBytes: number): void {
    const request = new CutRequest(io, blockBytes);
    if (!request.isExclusive || this.lock.enter(request)) this.inTurn(request);
  }

  /** Removes everything that waits: changes of whole blocks are returned, the other requests are done with `status`. */
  abandon(status: Status): readonly RangeEntry[] {
    const waiting = this.lock.takeWaiting();
    const { queue } = this;
    this.queue = [];
    // Nothing waits for them any more.
    for (const request of queue) if (request.isExclusive) this.lock.leave(request);
    for (const entry of [...queue, ...waiting]) if (entry instanceof CutRequest) this.ports.done(entry.io, status);
    return waiting.filter((entry) => !(entry instanceof CutRequest));
  }

  private proceed(entry: RangeEntry): void {
    if (entry instanceof CutRequest) this.inTurn(entry);
    else this.ports.go(entry);
  }

  private inTurn(request: CutRequest): void {
    this.queue.push(request);
    this.startNext();
  }

  private startNext(): void {
    while (this.out < BYTE_RANGES_OUT_MAX) {
      const request = this.queue.shift();
      if (request === undefined) return;
      this.out++;
      const pooled = this.idle.pop();
      const range = pooled?.blockBytes === request.blockBytes ? pooled : this.made(request.blockBytes);
      if (!range.start(request)) this.ports.soon(() => this.ended(range, STATUS.OK));
    }
  }

  private made(blockBytes: number): ByteRange {
    return new ByteRange(
      blockBytes,
      (piece) => this.ports.submit(piece),
      (range, status) => this.ended(range, status),
    );
  }

  private ended(range: ByteRange, status: Status): void {
    const request = range.release();
    if (this.idle.length < BYTE_RANGES_IDLE_MAX) this.idle.push(range);
    assert(this.out > 0, 'More byte ranges have ended than began');
    this.out--;
    if (request.isExclusive) this.leave(request);
    this.ports.done(request.io, status);
    this.startNext();
  }
}
