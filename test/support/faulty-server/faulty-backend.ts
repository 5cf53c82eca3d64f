// A backend wrapper for tests that injects the faults of fault-rules.ts into every operation. `tryRead` and `tryWrite` always return
// WOULD_WAIT, so that no operation bypasses the faults. Invariant: the backend answers each operation once, and `close` resolves only after
// all operations have been answered.

import { InFlight } from '@rsio/base/structures/in-flight';
import { type Status, statusOfErrno } from '@rsio/protocol/wire/status';
import { type Backend, type BackendCapabilities, type ExtentsDone, type IoDone, WOULD_WAIT } from '@rsio/rssrv/storage/io/backend';
import type { BackendPorts } from '@rsio/rssrv/storage/files/backend-ports';
import type { Fault, FaultOperation } from './fault-rules.ts';

export class FaultyBackend implements Backend {
  private readonly inner: Backend;
  private readonly faults: readonly Fault[];
  private readonly onError: BackendPorts['onError'];
  private readonly inFlight = new InFlight();

  constructor(inner: Backend, faults: readonly Fault[], onError: BackendPorts['onError']) {
    this.inner = inner;
    this.faults = faults;
    this.onError = onError;
  }

  get sizeBytes(): number {
    return this.inner.sizeBytes;
  }

  get end(): Backend['end'] {
    return this.inner.end;
  }

  get capabilities(): BackendCapabilities {
    return this.inner.capabilities;
  }

  tryRead(): typeof WOULD_WAIT {
    return WOULD_WAIT;
  }

  tryWrite(): typeof WOULD_WAIT {
    return WOULD_WAIT;
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    this.run('read', positionBytes, lengthBytes, done, (end) => this.inner.read(target, offset, lengthBytes, positionBytes, end));
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    this.run('write', positionBytes, lengthBytes, done, (end) => this.inner.write(source, offset, lengthBytes, positionBytes, fua, end));
  }

  flush(done: IoDone): void {
    this.run('flush', 0, 0, done, (end) => this.inner.flush(end));
  }

  discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.run('discard', positionBytes, lengthBytes, done, (end) => this.inner.discard(positionBytes, lengthBytes, end));
  }

  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void {
    this.run('zero', positionBytes, lengthBytes, done, (end) => this.inner.zero(positionBytes, lengthBytes, keepAllocated, fua, end));
  }

  extents(positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    let pairs: number[] = [];
    this.run(
      'read',
      positionBytes,
      lengthBytes,
      (status) => done(status, pairs),
      (end) =>
        this.inner.extents(positionBytes, lengthBytes, (status, found) => {
          pairs = found;
          end(status);
        }),
    );
  }

  async close(): Promise<void> {
    if (this.inFlight.count > 0) await this.inFlight.whenIdle();
    await this.inner.close();
  }

  private run(operation: FaultOperation, positionBytes: number, lengthBytes: number, done: IoDone, start: (end: IoDone) => void): void {
    this.inFlight.begin();
    const end = (status: Status): void => {
      done(status);
      this.inFlight.end();
    };
    const meet = (index: number): void => {
      const fault = this.faults[index];
      if (fault === undefined) start(end);
      else fault(operation, positionBytes, lengthBytes, (errno) => (errno === null ? meet(index + 1) : setImmediate(fail, errno)));
    };
    const fail = (errno: string): void => {
      this.onError(operation, errno);
      end(statusOfErrno(errno));
    };
    meet(0);
  }
}
