// A user of one volume: random requests, some of them in one event, judged by the oracle. It owns and re-uses requests and buffers as
// a door does, and spoils them between two uses: whoever touches one that was answered is seen.

import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/protocol/limits';
import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import type { Attachment } from '@rsio/protocol/trunk/attachment';
import { Request, type RequestOwner } from '@rsio/protocol/trunk/request';
import type { Trunk } from '@rsio/protocol/trunk/trunk';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { ContentOracle, type ReadTicket } from './content-oracle.ts';

interface UserOptions {
  readonly requests: number;
  readonly maxSectors: number;
}

class UserRequest extends Request {
  isOut = false;
  number = 0;
  ticket: ReadTicket = [];
}

const SPOILED = 0x5b;
const SPOILED_BYTES = Buffer.alloc(BODY_MAX_BYTES, SPOILED);
const OUT_MAX = 48;

export class RandomUser implements RequestOwner {
  readonly oracle: ContentOracle;
  readonly attachment: Attachment;
  outstanding = 0;
  private readonly trunk: Trunk;
  private readonly sectors: number;
  private readonly options: UserOptions;
  private readonly random: SeededRandom;
  private readonly free: UserRequest[] = [];
  private left: number;

  constructor(trunk: Trunk, attachment: Attachment, sectors: number, options: UserOptions, random: SeededRandom) {
    this.trunk = trunk;
    this.attachment = attachment;
    this.sectors = sectors;
    this.options = options;
    this.random = random;
    this.left = options.requests;
    this.oracle = new ContentOracle(sectors);
  }

  get isBusy(): boolean {
    return this.left > 0;
  }

  stop(): void {
    this.left = 0;
  }

  /** Submits a few requests, or none. */
  act(): void {
    for (let count = this.random.int(-2, 4); count > 0 && this.left > 0 && this.outstanding < OUT_MAX; count--) this.submit();
  }

  requestDone(request: Request, status: number): void {
    const { oracle } = this;
    if (!(request instanceof UserRequest) || !request.isOut) {
      oracle.breaches.push('A request was answered that is not out');
      return;
    }
    request.isOut = false;
    this.outstanding--;
    if (status === STATUS.OK) this.judge(request);
    else if (status !== STATUS.SHUTTING_DOWN) oracle.breaches.push(`A request of op ${request.op} was answered with status ${status}`);
    request.buffer.fill(SPOILED);
    this.free.push(request);
    // As a door whose client was waiting for just this.
    if (this.left > 0 && this.random.chance(0.2)) this.submit();
  }

  private judge(request: UserRequest): void {
    if (request.op === OP.READ) this.oracle.readDone(request.ticket, request.lba, request.buffer, request.bufferOffset);
    else if (request.op !== OP.FLUSH) this.oracle.changed(request.number, request.lba, request.count);
  }

  private take(): UserRequest {
    const at = this.random.int(0, Math.max(0, this.free.length - 1));
    const [request] = this.free.splice(at, 1);
    if (request === undefined) return new UserRequest();
    if (!request.buffer.equals(SPOILED_BYTES.subarray(0, request.buffer.length)))
      this.oracle.breaches.push('A buffer was written after its request was answered');
    return request;
  }

  private submit(): void {
    this.left--;
    const { random } = this;
    const request = this.take();
    const count = random.chance(0.9) ? random.int(1, Math.min(8, this.options.maxSectors)) : random.int(1, this.options.maxSectors);
    request.op = random.pick([OP.READ, OP.READ, OP.READ, OP.WRITE, OP.WRITE, OP.WRITE, OP.ZERO, OP.FLUSH]);
    request.flags = request.op === OP.WRITE && random.chance(0.1) ? 1 : 0;
    request.count = request.op === OP.FLUSH ? 0 : count;
    request.lba = request.op === OP.FLUSH ? 0 : random.int(0, this.sectors - count);
    request.bodyBytes = request.op === OP.READ || request.op === OP.WRITE ? count * SECTOR_BYTES : 0;
    request.bufferOffset = random.int(0, 3);
    const neededBytes = request.bodyBytes + request.bufferOffset;
    if (request.buffer.length < neededBytes) request.buffer = Buffer.alloc(neededBytes, SPOILED);
    request.owner = this;
    request.attachment = this.attachment;
    request.isOut = true;
    this.outstanding++;
    if (request.op === OP.READ) request.ticket = this.oracle.issueRead(request.lba, count);
    else if (request.op === OP.WRITE)
      request.number = this.oracle.change(request.lba, count, request.buffer.subarray(request.bufferOffset));
    else if (request.op === OP.ZERO) request.number = this.oracle.change(request.lba, count, null);
    this.trunk.submit(request);
  }
}
