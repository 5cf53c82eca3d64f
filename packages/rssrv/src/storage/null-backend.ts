// Backend without storage, for measuring the protocol alone: reads return zeros, and writes are discarded. The backend keeps no data, and
// is used only for volumes with `type = null`.

import { InFlight } from '@rsio/base/structures/in-flight';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { Backend, BackendCapabilities, ExtentsDone, IoDone } from './io/backend.ts';

export class NullBackend implements Backend {
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities;
  private readonly inFlight = new InFlight();

  constructor(sizeBytes: number, readonly: boolean) {
    this.sizeBytes = sizeBytes;
    this.capabilities = { type: 'null', readonly, canDiscard: true, canZeroFast: true, canExtents: true };
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number): Status {
    target.fill(0, offset, offset + lengthBytes);
    return STATUS.OK;
  }

  tryWrite(): Status {
    return STATUS.OK;
  }

  read(target: Buffer, offset: number, lengthBytes: number, _positionBytes: number, done: IoDone): void {
    target.fill(0, offset, offset + lengthBytes);
    this.later(done);
  }

  write(_source: Buffer, _offset: number, _lengthBytes: number, _positionBytes: number, _fua: boolean, done: IoDone): void {
    this.later(done);
  }

  flush(done: IoDone): void {
    this.later(done);
  }

  discard(_positionBytes: number, _lengthBytes: number, done: IoDone): void {
    this.later(done);
  }

  zero(_positionBytes: number, _lengthBytes: number, _keepAllocated: boolean, _fua: boolean, done: IoDone): void {
    this.later(done);
  }

  extents(_positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    this.later((status) => done(status, [lengthBytes / SECTOR_BYTES, EXTENT.HOLE]));
  }

  async close(): Promise<void> {
    if (this.inFlight.count > 0) await this.inFlight.whenIdle();
  }

  private later(done: IoDone): void {
    this.inFlight.begin();
    setImmediate(() => {
      done(STATUS.OK);
      this.inFlight.end();
    });
  }
}
