// The transmission phase of one connection: requests from the decoder to the volume, outcomes back as replies. Leaves the bytes to nbd-codec.ts,
// judging to request-rules.ts and the volume, sending to reply-output.ts, and the connection's life to nbd-connection.ts.
// Invariants: a request is counted from its header until its reply has left (or never will); its data buffer goes back to the pool
// exactly once, and never while the volume or the socket has it, also when the connection has died meanwhile. What is called from outside
// lets no exception out but to its host.

import { NBD_BYTES_OUT_MAX, NBD_REPLY_COPY_MAX_BYTES, NBD_REQUESTS_OUT_MAX } from './wire/limits.ts';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { Extent } from '../../volumes/frontend-volume.ts';
import { DATA_OFFSET, DataBuffers } from './data-buffers.ts';
import type { BudgetUser, MemoryBudget } from './memory-budget.ts';
import { allocationDescriptors, BLOCK_STATUS_MAX_BYTES, writeBlockStatus } from './nbd-block-status.ts';
import {
  errorChunkBytes,
  type HeaderVerdict,
  type NbdRequestHeader,
  type RequestSink,
  writeDataChunkPrefix,
  writeErrorChunk,
  writeOffsetErrorChunk,
  writeSimpleReply,
} from './wire/nbd-codec.ts';
import { COMMAND, DATA_CHUNK_PREFIX_BYTES, SIMPLE_REPLY_BYTES } from './wire/nbd-constants.ts';
import { nbdErrno } from './wire/nbd-errno.ts';
import type { Transmission } from './nbd-handshake.ts';
import { NbdRequest, type NbdRequestEvents } from './nbd-request.ts';
import type { BatchPool, NbdTransport } from './nbd-transport.ts';
import { type ReplyOutputEvents, ReplyOutput } from './reply-output.ts';
import { hasData, refusalOf } from './request-rules.ts';

export interface TransmissionEvents {
  /** The client asked to disconnect: answer what is under way, then close. */
  disconnectRequested(): void;
  badRequest(magic: number): void;
  /** A reply has left: what was held back may be taken now. */
  roomAgain(): void;
  /** Nothing is under way any more. */
  settled(): void;
  /** Our own mistake, in an event that nobody else would catch it in: the connection ends, and `fail` is to be called. */
  failed(thrown: unknown): void;
}

/** What connections share. */
export interface NbdPools {
  readonly data: DataBuffers;
  readonly batches: BatchPool;
  readonly budget: MemoryBudget;
  /** Calls `fire` once, at the end of this turn of the loop. */
  readonly schedule: (fire: () => void) => void;
}

const NO_PAYLOAD = Buffer.alloc(0);

export class NbdTransmission implements RequestSink, NbdRequestEvents, ReplyOutputEvents, BudgetUser {
  payloadTarget: Buffer = NO_PAYLOAD;
  readonly payloadOffset = 0;
  private readonly agreed: Transmission;
  private readonly events: TransmissionEvents;
  private readonly data: DataBuffers;
  private readonly budget: MemoryBudget;
  /** Taken from the budget, and not given back. */
  private heldBytes = 0;
  private readonly output: ReplyOutput;
  private readonly idle: NbdRequest[] = [];
  /** The WRITE whose payload is coming. */
  private receiving: NbdRequest | null = null;
  private requestsOut = 0;
  /** Of these, the volume has. */
  private inVolume = 0;
  private bytesOut = 0;
  private isDead = false;
  /** It met a mistake of ours: from then on only what the volume has is counted. */
  private hasFailed = false;

  constructor(agreed: Transmission, transport: NbdTransport, pools: NbdPools, host: TransmissionEvents) {
    this.agreed = agreed;
    this.events = host;
    this.data = pools.data;
    this.budget = pools.budget;
    this.output = new ReplyOutput(transport, pools.batches, this, pools.schedule);
  }

  /** Requests whose replies have not left. */
  get underWay(): number {
    return this.hasFailed ? this.inVolume : this.requestsOut;
  }

  header(header: NbdRequestHeader): HeaderVerdict {
    if (header.type === COMMAND.DISC) {
      this.events.disconnectRequested();
      return 'stop';
    }
    if (this.requestsOut >= NBD_REQUESTS_OUT_MAX) return 'hold';
    const refusal = refusalOf(header, this.agreed);
    const dataBytes = refusal === null && hasData(header.type) ? header.lengthBytes : 0;
    if (this.bytesOut + dataBytes > NBD_BYTES_OUT_MAX) return 'hold';
    if (dataBytes > 0 && !this.hasBudget(dataBytes)) return 'hold';
    const request = this.idle.pop() ?? new NbdRequest(this, this.agreed.mayUseAnyRange);
    request.take(header);
    this.requestsOut++;
    if (refusal !== null) {
      this.answerError(request, refusal.errno, refusal.sentence);
      return header.type === COMMAND.WRITE ? 'drop' : 'next';
    }
    if (dataBytes > 0) {
      request.hold(this.data.take(dataBytes));
      request.dataBytes = dataBytes;
      this.bytesOut += dataBytes;
    }
    if (header.type === COMMAND.WRITE) {
      this.receiving = request;
      this.payloadTarget = request.buffer;
      return 'payload';
    }
    // Nothing is kept in memory here that would make a later READ quicker: it is fine to do nothing.
    if (header.type === COMMAND.CACHE) this.answerDone(request);
    else this.execute(request);
    return 'next';
  }

  payload(): void {
    const request = this.receiving;
    if (request === null) return;
    this.forgetReceiving();
    this.execute(request);
  }

  badRequest(magic: number): void {
    this.events.badRequest(magic);
  }

  /** The door may have memory for what was held back. */
  roomAgain(): void {
    try {
      if (!this.isDead) this.events.roomAgain();
    } catch (thrown) {
      this.events.failed(thrown);
    }
  }

  /** No more requests come: one whose payload is still missing will never be executed. */
  noMoreInput(): void {
    this.budget.forget(this);
    const request = this.receiving;
    if (request === null) return;
    this.forgetReceiving();
    this.drop(request);
  }

  /** The connection is gone: nothing is answered any more; what the volume has comes back in its time. */
  die(): void {
    this.isDead = true;
    this.budget.forget(this);
    this.noMoreInput();
    this.output.close();
  }

  /** After `failed`: nothing of it is answered or used again. */
  fail(): void {
    this.hasFailed = true;
    this.isDead = true;
    this.budget.forget(this);
    this.budget.giveBack(this.heldBytes);
    this.heldBytes = 0;
    this.receiving = null;
    this.output.close();
  }

  completed(request: NbdRequest, status: Status): void {
    this.inVolume--;
    try {
      if (this.isDead) this.drop(request);
      else if (status !== STATUS.OK) this.answerError(request, nbdErrno(status, request.needsRoom), statusEntry(status).sentence);
      else if (request.type === COMMAND.READ) this.answerRead(request);
      else this.answerDone(request);
    } catch (thrown) {
      this.events.failed(thrown);
    }
  }

  extentsKnown(request: NbdRequest, status: Status, extents: readonly Extent[]): void {
    this.inVolume--;
    try {
      if (this.isDead) this.drop(request);
      // Where nothing is known of holes everything counts as allocated: better than a failing copy.
      else if (status === STATUS.OK || status === STATUS.UNSUPPORTED) this.answerExtents(request, status === STATUS.OK ? extents : []);
      else this.answerError(request, nbdErrno(status, false), statusEntry(status).sentence);
    } catch (thrown) {
      this.events.failed(thrown);
    }
  }

  largeLeft(request: NbdRequest, failed: boolean): void {
    try {
      const { dataBytes } = request;
      this.recycle(request);
      this.left(1, dataBytes, failed);
    } catch (thrown) {
      this.events.failed(thrown);
    }
  }

  left(requests: number, dataBytes: number, failed: boolean): void {
    this.requestsOut -= requests;
    this.bytesOut -= dataBytes;
    // Only a reply that really went out lets more requests in: a client that is gone must not have what it left behind in the
    // socket executed late, after those of its successor.
    if (!failed && !this.isDead) this.events.roomAgain();
    if (this.underWay === 0) this.events.settled();
  }

  failed(thrown: unknown): void {
    this.events.failed(thrown);
  }

  private execute(request: NbdRequest): void {
    if (request.type === COMMAND.BLOCK_STATUS) this.requestExtents(request);
    else this.agreed.volume.submit(request);
    // Behind what may throw: who was not taken never comes back.
    this.inVolume++;
  }

  /** The volume knows whole blocks: it is asked for those that the range touches. */
  private requestExtents(request: NbdRequest): void {
    const { volume } = this.agreed;
    const { positionBytes, lengthBytes } = request;
    const block = volume.blockSizeBytes;
    const headBytes = positionBytes % block;
    const wholeBytes = Math.ceil((headBytes + lengthBytes) / block) * block;
    request.headBytes = headBytes;
    volume.extents(positionBytes - headBytes, wholeBytes, request.extentsDone);
  }

  private answerExtents(request: NbdRequest, extents: readonly Extent[]): void {
    const descriptors = allocationDescriptors(extents, request.headBytes, request.lengthBytes, request.isFirstExtentOnly);
    const batch = this.output.room(BLOCK_STATUS_MAX_BYTES);
    this.output.commit(writeBlockStatus(batch.bytes, batch.fill, request, descriptors), request.dataBytes);
    this.recycle(request);
  }

  private answerRead(request: NbdRequest): void {
    const { lengthBytes, held } = request;
    if (lengthBytes >= NBD_REPLY_COPY_MAX_BYTES && held !== null) {
      const start = DATA_OFFSET - this.readPrefixBytes();
      this.writeReadPrefix(held.memory, start, request);
      request.reply = held.memory.subarray(start, DATA_OFFSET + lengthBytes);
      this.output.sendLarge(request);
      return;
    }
    const batch = this.output.room(this.readPrefixBytes() + lengthBytes);
    const at = this.writeReadPrefix(batch.bytes, batch.fill, request);
    request.buffer.copy(batch.bytes, at, 0, lengthBytes);
    this.output.commit(at + lengthBytes, request.dataBytes);
    this.recycle(request);
  }

  private readPrefixBytes(): number {
    return this.agreed.isStructured ? DATA_CHUNK_PREFIX_BYTES : SIMPLE_REPLY_BYTES;
  }

  private writeReadPrefix(into: Buffer, at: number, request: NbdRequest): number {
    if (!this.agreed.isStructured) return writeSimpleReply(into, at, request, 0);
    return writeDataChunkPrefix(into, at, request, request.offsetHigh, request.offsetLow, request.lengthBytes);
  }

  /** Success without data: a simple reply is legal also where structured ones were agreed on, and shorter. */
  private answerDone(request: NbdRequest): void {
    const batch = this.output.room(SIMPLE_REPLY_BYTES);
    this.output.commit(writeSimpleReply(batch.bytes, batch.fill, request, 0), request.dataBytes);
    this.recycle(request);
  }

  private answerError(request: NbdRequest, errno: number, sentence: string): void {
    if (this.agreed.isStructured) {
      const words = Buffer.from(sentence, 'utf8');
      // An offset must lie in the range that was asked for, and one of no bytes has none.
      const withOffset = request.type === COMMAND.READ && request.lengthBytes > 0;
      const { bytes, fill } = this.output.room(errorChunkBytes(words, withOffset));
      const behind = withOffset
        ? writeOffsetErrorChunk(bytes, fill, request, errno, words, request.offsetHigh, request.offsetLow)
        : writeErrorChunk(bytes, fill, request, errno, words);
      this.output.commit(behind, request.dataBytes);
    } else {
      const { bytes, fill } = this.output.room(SIMPLE_REPLY_BYTES);
      this.output.commit(writeSimpleReply(bytes, fill, request, errno), request.dataBytes);
    }
    this.recycle(request);
  }

  private drop(request: NbdRequest): void {
    const { dataBytes } = request;
    this.recycle(request);
    this.left(1, dataBytes, true);
  }

  private recycle(request: NbdRequest): void {
    const buffer = request.releaseBuffer();
    // Of a connection that has failed nobody knows who has it still.
    if (this.hasFailed) return;
    if (buffer !== null) {
      const { length } = buffer.memory;
      this.data.giveBack(buffer);
      this.heldBytes -= length;
      this.budget.giveBack(length);
    }
    this.idle.push(request);
  }

  private hasBudget(dataBytes: number): boolean {
    const bytes = DataBuffers.memoryBytes(dataBytes);
    if (!this.budget.take(this, bytes, this.heldBytes === 0)) return false;
    this.heldBytes += bytes;
    return true;
  }

  private forgetReceiving(): void {
    this.receiving = null;
    this.payloadTarget = NO_PAYLOAD;
  }
}
