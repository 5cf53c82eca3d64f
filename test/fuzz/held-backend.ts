// Storage in memory whose operations end when a run says so, and which finds what a server may never do: ask for what is outside of the
// volume or of the buffer, write what is read-only, use what is closed. Content is not kept.

import { type Backend, type IoDone, WOULD_WAIT } from '@rsio/rssrv/backends/common/backend';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { expectThat } from './fuzz-target.ts';

export interface HeldBackendOptions {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
}

export class HeldBackends {
  /** Operations that began. */
  begun = 0;
  /** What storage may be asked at once when true. */
  isFast = false;
  open = 0;
  private readonly waiting: ((status: Status) => void)[] = [];

  get running(): number {
    return this.waiting.length;
  }

  /** The oldest operations end. */
  finish(count: number, status: Status): void {
    for (const done of this.waiting.splice(0, count)) done(status);
  }

  backend({ sizeBytes, blockSizeBytes, readonly }: HeldBackendOptions): Backend {
    this.open++;
    let isClosed = false;
    const checkRange = (what: string, positionBytes: number, lengthBytes: number): void => {
      expectThat(!isClosed, `${what} of a closed backend`);
      expectThat(
        positionBytes >= 0 && positionBytes + lengthBytes <= sizeBytes,
        `${what} at ${positionBytes} + ${lengthBytes} of ${sizeBytes}`,
      );
      this.begun++;
    };
    const check = (what: string, positionBytes: number, lengthBytes: number, isChange: boolean): void => {
      checkRange(what, positionBytes, lengthBytes);
      expectThat(!isChange || !readonly, `${what} of a read-only backend`);
      expectThat(positionBytes % blockSizeBytes === 0 && lengthBytes % blockSizeBytes === 0, `${what} of half a block`);
    };
    const hold = (done: IoDone): void => void this.waiting.push(done);
    const within = (buffer: Buffer, offset: number, lengthBytes: number): void =>
      expectThat(offset >= 0 && offset + lengthBytes <= buffer.length, 'I/O outside of its buffer');
    return {
      sizeBytes,
      capabilities: { type: 'memory', readonly, canDiscard: true, canZeroFast: true, canExtents: true },
      tryRead: (target, offset, lengthBytes, positionBytes) => {
        if (!this.isFast) return WOULD_WAIT;
        check('READ', positionBytes, lengthBytes, false);
        within(target, offset, lengthBytes);
        return STATUS.OK;
      },
      tryWrite: (source, offset, lengthBytes, positionBytes) => {
        if (!this.isFast) return WOULD_WAIT;
        check('WRITE', positionBytes, lengthBytes, true);
        within(source, offset, lengthBytes);
        return STATUS.OK;
      },
      read: (target, offset, lengthBytes, positionBytes, done) => {
        check('READ', positionBytes, lengthBytes, false);
        hold((status) => {
          within(target, offset, lengthBytes);
          target.fill(0x5a, offset, offset + Math.min(lengthBytes, 64));
          done(status);
        });
      },
      write: (source, offset, lengthBytes, positionBytes, _fua, done) => {
        check('WRITE', positionBytes, lengthBytes, true);
        within(source, offset, lengthBytes);
        hold(done);
      },
      flush: (done) => {
        check('FLUSH', 0, 0, false);
        hold(done);
      },
      discard: (positionBytes, lengthBytes, done) => {
        check('DISCARD', positionBytes, lengthBytes, true);
        hold(done);
      },
      zero: (positionBytes, lengthBytes, _keepAllocated, _fua, done) => {
        check('ZERO', positionBytes, lengthBytes, true);
        hold(done);
      },
      extents: (positionBytes, lengthBytes, done) => {
        // Of any sectors, whatever the block size.
        checkRange('EXTENTS', positionBytes, lengthBytes);
        hold((status) => done(status, [lengthBytes / 512, 0]));
      },
      close: async () => {
        expectThat(!isClosed, 'a backend was closed twice');
        isClosed = true;
        this.open--;
      },
    };
  }
}
