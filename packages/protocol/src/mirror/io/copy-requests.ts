// Requests of the copier to one replica. Like users' requests, the copier's requests go through the attachment of the replica. The
// attachment's replay log therefore keeps the written data, and overlapping requests stay in order. The copier holds a lock that excludes
// users' changes; this class does not check the lock. Invariant: `done` is called once for each request, and never before the method that
// began it has returned.

import type { Clock } from '@rsio/base/lib/clock';
import { assert } from '@rsio/base/lib/assert';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/base/lib/limits';
import { Request, type RequestEvents } from '../../client/requests/request.ts';
import { OP } from '../../wire/frames.ts';
import { STATUS } from '../../wire/status.ts';
import { ZERO_SECTORS_MAX } from '../limits.ts';
import type { Replica } from './replica.ts';

export type CopyDone = (status: number) => void;

const NOTHING = Buffer.alloc(0);

class CopyRequest extends Request {
  done: CopyDone | null = null;
  replica: Replica | null = null;
}

export class CopyRequests implements RequestEvents {
  private readonly clock: Clock;
  private readonly idle: CopyRequest[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  transfer(
    op: typeof OP.READ | typeof OP.WRITE,
    replica: Replica | null,
    positionBytes: number,
    lengthBytes: number,
    buffer: Buffer,
    bufferOffset: number,
    done: CopyDone,
  ): void {
    assert(lengthBytes > 0 && lengthBytes <= BODY_MAX_BYTES, 'A piece of a copy is one request');
    const request = this.idle.pop() ?? new CopyRequest();
    request.op = op;
    request.lba = positionBytes / SECTOR_BYTES;
    request.count = lengthBytes / SECTOR_BYTES;
    request.bodyBytes = lengthBytes;
    request.buffer = buffer;
    request.bufferOffset = bufferOffset;
    this.send(request, replica, done);
  }

  /** Zeroes whole sectors, at most ZERO_SECTORS_MAX. */
  zero(replica: Replica | null, positionBytes: number, lengthBytes: number, done: CopyDone): void {
    const request = this.idle.pop() ?? new CopyRequest();
    request.op = OP.ZERO;
    request.lba = positionBytes / SECTOR_BYTES;
    request.count = lengthBytes / SECTOR_BYTES;
    request.bodyBytes = 0;
    assert(request.count > 0 && request.count <= ZERO_SECTORS_MAX, 'A zeroed piece of a copy is one request');
    this.send(request, replica, done);
  }

  flush(replica: Replica | null, done: CopyDone): void {
    const request = this.idle.pop() ?? new CopyRequest();
    request.op = OP.FLUSH;
    request.lba = 0;
    request.count = 0;
    request.bodyBytes = 0;
    this.send(request, replica, done);
  }

  requestDone(request: Request, status: number): void {
    assert(request instanceof CopyRequest && request.done !== null, 'An answer to no copy');
    const { done, replica } = request;
    const isAnswer = replica?.isAnswering === true && status !== STATUS.STALE && status !== STATUS.TAKEN;
    request.done = null;
    request.replica = null;
    request.buffer = NOTHING;
    this.idle.push(request);
    done(isAnswer ? status : STATUS.OUTCOME_UNKNOWN);
  }

  private send(request: CopyRequest, replica: Replica | null, done: CopyDone): void {
    request.flags = 0;
    request.events = this;
    request.done = done;
    request.replica = replica;
    request.attachment = replica?.attachment ?? null;
    if (replica !== null) replica.trunk.submit(request);
    else this.clock.soon(() => this.requestDone(request, STATUS.OUTCOME_UNKNOWN));
  }
}
