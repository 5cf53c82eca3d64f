// A backend wrapper that answers a READ from an image of the volume if the storage fails. The listener passes the file of the image if the
// volume has not changed in this range since the image was refreshed (bridges.ts). Invariants: a READ that no image can answer keeps its
// error. Failed READs are handled one at a time, and each waits for a bounded time. If the data of an image arrives too late, it is
// dropped.

import fs from 'node:fs';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { InFlight } from '@rsio/base/structures/in-flight';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { type Backend, type IoDone, WOULD_WAIT } from '../../storage/io/backend.ts';
import { ForwardingBackend } from '../../storage/io/forwarding-backend.ts';
import { readWhole } from '../../storage/io/positioned-io.ts';
import type { ThreadShares } from '../../storage/io/thread-shares.ts';
import { BRIDGE_READ_MAX_MS, BRIDGE_WAIT_MAX_MS, BRIDGES_WAITING_MAX } from '../limits.ts';

export interface BridgedBackendPorts {
  readonly clock: Clock;
  readonly threads: ThreadShares;
  /**
   * Asks for a file that has the same content as the volume in this range. Resolves with the descriptor of the file, or with null if no
   * file has this content. The caller closes the descriptor.
   */
  fileFor(positionBytes: number, lengthBytes: number): Promise<number | null>;
  /** Called when a READ was answered from the file of an image. */
  answered(): void;
}

/** Name of the share of the threads that all reads of images use, so that hanging images occupy no other threads. */
const SHARE = 'images';

/** A READ that the storage could not execute. */
interface FailedRead {
  readonly target: Buffer;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly positionBytes: number;
  readonly done: IoDone;
  readonly sinceMs: number;
}

export class BridgedBackend extends ForwardingBackend {
  private readonly ports: BridgedBackendPorts;
  private readonly waiting: FailedRead[] = [];
  private readonly inFlight = new InFlight();
  private isLooking = false;
  /** True while a read of an image that has timed out is still running. */
  private isStuck = false;

  constructor(inner: Backend, ports: BridgedBackendPorts) {
    super(inner);
    this.ports = ports;
  }

  override tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    const status = this.inner.tryRead(target, offset, lengthBytes, positionBytes);
    // WOULD_WAIT makes the caller call `read`, which can ask an image. `tryRead` cannot ask an image, because it must not wait.
    return status === STATUS.IO_ERROR ? WOULD_WAIT : status;
  }

  override read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    this.inner.read(target, offset, lengthBytes, positionBytes, (status) => {
      if (status !== STATUS.IO_ERROR || this.isStuck || this.waiting.length >= BRIDGES_WAITING_MAX) {
        done(status);
        return;
      }
      this.inFlight.begin();
      this.waiting.push({ target, offset, lengthBytes, positionBytes, done, sinceMs: this.ports.clock.monotonicMs() });
      if (!this.isLooking) void this.lookAtAll();
    });
  }

  override async close(): Promise<void> {
    if (this.inFlight.count > 0) await this.inFlight.whenIdle();
    await this.inner.close();
  }

  private async lookAtAll(): Promise<void> {
    this.isLooking = true;
    for (let one = this.waiting.shift(); one !== undefined; one = this.waiting.shift()) {
      const isLate = this.ports.clock.monotonicMs() - one.sinceMs > BRIDGE_WAIT_MAX_MS;
      const isAnswered = !isLate && !this.isStuck && (await this.bridge(one));
      one.done(isAnswered ? STATUS.OK : STATUS.IO_ERROR);
      this.inFlight.end();
    }
    this.isLooking = false;
  }

  /** Answers a failed READ from an image. Returns false if no image can answer. */
  private async bridge({ target, offset, lengthBytes, positionBytes }: FailedRead): Promise<boolean> {
    const descriptor = await this.ports.fileFor(positionBytes, lengthBytes).catch(() => null);
    if (descriptor === null) return false;
    // Do not read into `target`, because a late read could then overwrite the data of another request.
    const data = Buffer.allocUnsafe(lengthBytes);
    if (!(await this.readInTime(descriptor, data, positionBytes))) return false;
    data.copy(target, offset);
    this.ports.answered();
    return true;
  }

  /**
   * Reads from the image, and resolves with true if the read succeeds within BRIDGE_READ_MAX_MS. Closes the descriptor when the read has
   * ended. If a thread is free only after that time, closes the descriptor without reading.
   */
  private readInTime(descriptor: number, data: Buffer, positionBytes: number): Promise<boolean> {
    const { clock, threads } = this.ports;
    const lane = threads.enter(SHARE);
    return new Promise((resolve) => {
      const timer: Timer = clock.after(BRIDGE_READ_MAX_MS, () => {
        this.isStuck = true;
        resolve(false);
      });
      const over = (isRead: boolean): void => {
        timer.cancel();
        this.isStuck = false;
        threads.leave(SHARE);
        fs.close(descriptor, () => undefined);
        resolve(isRead);
      };
      lane.run((ended) => {
        const end = (errno: string | null): void => {
          over(errno === null);
          ended();
        };
        if (this.isStuck) end('ETIMEDOUT');
        else readWhole(descriptor, data, 0, data.length, positionBytes, end);
      });
    });
  }
}
