// The transmission phase of one connection: passes decoded requests to the volume, and sends the results as replies. Requests are checked
// by request-rules.ts and by the volume. Invariants: a request counts as in flight from the arrival of its header until its reply has been
// sent or can no longer be sent. The data buffer of a request is given back to the pool only once, and never while the volume or the socket
// uses the buffer. An exception in a callback is passed to `events.failed` and nowhere else.

import { assert, counted } from '@rsio/base/lib/assert';
import { NBD_BYTES_OUT_MAX, NBD_REPLY_COPY_MAX_BYTES, NBD_REQUESTS_OUT_MAX } from '../limits.ts';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { Change, Extent } from '../../volumes/frontend-volume.ts';
import { DATA_OFFSET, DataBuffers } from '../streams/data-buffers.ts';
import type { BudgetUser, MemoryBudget } from '../streams/memory-budget.ts';
import { allocationDescriptors, BLOCK_STATUS_MAX_BYTES, dirtyDescriptors, writeBlockStatus } from './nbd-block-status.ts';
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
import type { BatchPool, StreamTransport } from '../streams/transport.ts';
import { type ReplyOutputEvents, ReplyOutput } from '../streams/reply-output.ts';
import { hasData, refusalOf } from './request-rules.ts';

assert(DATA_OFFSET >= DATA_CHUNK_PREFIX_BYTES, 'A reply header must fit in front of the data');

export interface TransmissionEvents {
  /** Called when the client has asked to disconnect. The owner must answer the requests in flight, then close the connection. */
  disconnectRequested(): void;
  badRequest(magic: number): void;
  /** Called when a reply has been sent; a held request may now be taken. */
  roomAgain(): void;
  /** Called when the client has closed its socket. The owner must close the connection. */
  peerGone(): void;
  settled(): void;
  /** Called when an event handler has thrown an exception that nothing else catches. The owner must end the connection and call `fail`. */
  failed(thrown: unknown): void;
}

/**
 * Collects the requests that several connections receive in one event-loop turn, and passes them on at the end of the turn. Without
 * `Submissions`, each connection that becomes readable in a turn would cause a separate send on the path. While only one connection is
 * busy, requests are passed on at once. Invariant: requests begin in order of arrival.
 */
export class Submissions {
  busyConnections = 0;
  /** Counts the event-loop turns whose collected requests have been passed on. */
  turn = 0;
  private waiting: NbdRequest[] = [];
  private begun: NbdRequest[] = [];
  private readonly schedule: (fire: () => void) => void;

  /** `schedule` calls `fire` once, at the end of the current event-loop turn. */
  constructor(schedule: (fire: () => void) => void) {
    this.schedule = schedule;
  }

  /** True if requests must be collected, because several connections are busy or earlier requests are still waiting. */
  get isCollecting(): boolean {
    return this.busyConnections > 1 || this.waiting.length > 0;
  }

  collect(request: NbdRequest): void {
    this.waiting.push(request);
    if (this.waiting.length === 1) this.schedule(this.fire);
  }

  private readonly fire = (): void => {
    const { waiting } = this;
    this.waiting = this.begun;
    this.begun = waiting;
    this.turn++;
    for (let index = 0; index < waiting.length; index++) waiting[index]!.begin();
    waiting.length = 0;
  };
}

export interface NbdPools {
  readonly submissions: Submissions;
  readonly data: DataBuffers;
  readonly batches: BatchPool;
  readonly budget: MemoryBudget;
  /** Calls `fire` once, at the end of the current event-loop turn. */
  readonly schedule: (fire: () => void) => void;
}

/** The type of the functions in nbd-block-status.ts that convert a volume's answer about a range to descriptors. */
type Descriptors<T> = (ranges: readonly T[], headBytes: number, lengthBytes: number, one: boolean) => number[];

const NO_PAYLOAD = Buffer.alloc(0);

export class NbdTransmission implements RequestSink, NbdRequestEvents, ReplyOutputEvents, BudgetUser {
  payloadTarget: Buffer = NO_PAYLOAD;
  readonly payloadOffset = 0;
  private readonly agreed: Transmission;
  private readonly transport: StreamTransport;
  private readonly events: TransmissionEvents;
  private readonly data: DataBuffers;
  private readonly budget: MemoryBudget;
  private readonly submissions: Submissions;
  /** True if `submissions.busyConnections` includes this connection. */
  private isBusy = false;
  /** Bytes taken from the budget and not yet given back. */
  private heldBytes = 0;
  private readonly output: ReplyOutput;
  private readonly idle: NbdRequest[] = [];
  /** The WRITE whose payload is being received. */
  private receiving: NbdRequest | null = null;
  private requestsOut = 0;
  /** Number of requests that the volume has received but not completed yet. */
  private inVolume = 0;
  private bytesOut = 0;
  private isDead = false;
  /**
   * Value of `submissions.turn` at the last check whether the client has closed its socket, because one check in each event-loop turn is
   * enough.
   */
  private lookedTurn = 0;
  /** After `fail`, `underWay` counts only the requests that the volume has not completed. */
  private hasFailed = false;

  constructor(agreed: Transmission, transport: StreamTransport, pools: NbdPools, host: TransmissionEvents) {
    this.agreed = agreed;
    this.transport = transport;
    this.events = host;
    this.data = pools.data;
    this.budget = pools.budget;
    this.submissions = pools.submissions;
    this.output = new ReplyOutput(transport, pools.batches, this, pools.schedule);
  }

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
    if (!this.isBusy) this.setBusy(true);
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
    // rsiod has no cache that could make a later READ faster, and the protocol allows CACHE to do nothing.
    if (header.type === COMMAND.CACHE) this.answerDone(request);
    else this.pass(request);
    return 'next';
  }

  payload(): void {
    const request = this.receiving;
    if (request === null) return;
    this.forgetReceiving();
    this.pass(request);
  }

  begin(request: NbdRequest): void {
    // The last requests of a client that has closed its socket are dropped, because another client may have sent a newer request that was
    // read earlier in this turn (docs/adr/0086).
    try {
      if (this.hasFailed) return;
      this.look();
      if (this.isDead) this.drop(request);
      else this.execute(request);
    } catch (thrown) {
      this.events.failed(thrown);
    }
  }

  private look(): void {
    const { turn } = this.submissions;
    if (this.isDead || this.lookedTurn === turn) return;
    this.lookedTurn = turn;
    if (!this.transport.isPeerGone()) return;
    this.isDead = true;
    this.events.peerGone();
  }

  badRequest(magic: number): void {
    this.events.badRequest(magic);
  }

  roomAgain(): void {
    try {
      if (!this.isDead) this.events.roomAgain();
    } catch (thrown) {
      this.events.failed(thrown);
    }
  }

  /** Called when no more input will be taken. A WRITE whose payload is incomplete is never executed. */
  noMoreInput(): void {
    this.budget.forget(this);
    const request = this.receiving;
    if (request === null) return;
    this.forgetReceiving();
    this.drop(request);
  }

  /** Called when the connection is gone. The NBD client gets no more replies, but the volume still completes the remaining requests. */
  die(): void {
    this.isDead = true;
    this.budget.forget(this);
    this.noMoreInput();
    this.output.close();
  }

  /** Called after `events.failed`. Afterwards, no request is answered, and no request object is re-used. */
  fail(): void {
    this.hasFailed = true;
    this.isDead = true;
    this.setBusy(false);
    this.budget.forget(this);
    this.budget.giveBack(this.heldBytes);
    this.heldBytes = 0;
    this.receiving = null;
    this.output.close();
  }

  completed(request: NbdRequest, status: Status): void {
    this.inVolume = counted(this.inVolume - 1, 'requests in the volume');
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
    this.rangesKnown(request, status, extents, allocationDescriptors);
  }

  changesKnown(request: NbdRequest, status: Status, changes: readonly Change[]): void {
    this.rangesKnown(request, status, changes, dirtyDescriptors);
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
    this.requestsOut = counted(this.requestsOut - requests, 'unanswered requests');
    this.bytesOut = counted(this.bytesOut - dataBytes, 'bytes of unanswered requests');
    if (this.requestsOut === 0) this.setBusy(false);
    // Only a reply that has actually been sent admits further requests. A vanished client may have left requests in the socket, which must
    // not be executed after newer requests on another connection.
    if (!failed && !this.isDead) this.events.roomAgain();
    if (this.underWay === 0) this.events.settled();
  }

  failed(thrown: unknown): void {
    this.events.failed(thrown);
  }

  private rangesKnown<T>(request: NbdRequest, status: Status, ranges: readonly T[], descriptors: Descriptors<T>): void {
    this.inVolume = counted(this.inVolume - 1, 'requests in the volume');
    try {
      const { headBytes, lengthBytes, isFirstExtentOnly } = request;
      if (this.isDead) this.drop(request);
      else if (status === STATUS.OK) this.statusKnown(request, descriptors(ranges, headBytes, lengthBytes, isFirstExtentOnly));
      // If the server cannot answer the query, the whole range counts as allocated and as changed, so that copying programs do not fail.
      else if (status === STATUS.UNSUPPORTED) this.statusKnown(request, descriptors([], headBytes, lengthBytes, isFirstExtentOnly));
      else this.answerError(request, nbdErrno(status, false), statusEntry(status).sentence);
    } catch (thrown) {
      this.events.failed(thrown);
    }
  }

  private setBusy(isBusy: boolean): void {
    if (isBusy === this.isBusy) return;
    this.isBusy = isBusy;
    this.submissions.busyConnections += isBusy ? 1 : -1;
  }

  private pass(request: NbdRequest): void {
    if (this.submissions.isCollecting) this.submissions.collect(request);
    else this.execute(request);
  }

  private execute(request: NbdRequest): void {
    if (request.type === COMMAND.BLOCK_STATUS) this.requestStatus(request);
    else this.agreed.volume.submit(request);
    // The request is counted only after the call, because the volume never completes a request for which the call has thrown.
    this.inVolume++;
  }

  /**
   * Queries the volume for the next context. The query covers all blocks that the client's range touches, because volumes report whole
   * blocks only.
   */
  private requestStatus(request: NbdRequest): void {
    const { volume } = this.agreed;
    const { positionBytes, lengthBytes } = request;
    const block = volume.blockSizeBytes;
    const headBytes = positionBytes % block;
    const wholeBytes = Math.ceil((headBytes + lengthBytes) / block) * block;
    request.headBytes = headBytes;
    const since = this.agreed.contexts[request.statuses.length]?.since ?? null;
    if (since === null || volume.changes === undefined) volume.extents(positionBytes - headBytes, wholeBytes, request.extentsDone);
    else volume.changes(since, positionBytes - headBytes, wholeBytes, request.changesDone);
  }

  /** Queries the next context. After the last context, sends the chunks of all contexts together. */
  private statusKnown(request: NbdRequest, descriptors: readonly number[]): void {
    const { contexts } = this.agreed;
    const { statuses } = request;
    statuses.push(descriptors);
    if (statuses.length < contexts.length) {
      this.requestStatus(request);
      this.inVolume++;
      return;
    }
    const { bytes, fill } = this.output.room(contexts.length * BLOCK_STATUS_MAX_BYTES);
    let behind = fill;
    for (const [index, { id }] of contexts.entries())
      behind = writeBlockStatus(bytes, behind, request, statuses[index] ?? [], id, index === contexts.length - 1);
    this.output.commit(behind, request.dataBytes);
    this.recycle(request);
  }

  private answerRead(request: NbdRequest): void {
    const { lengthBytes, held, received, receivedOffset } = request;
    if (lengthBytes >= NBD_REPLY_COPY_MAX_BYTES && held !== null) {
      received?.copy(request.buffer, 0, receivedOffset, receivedOffset + lengthBytes);
      const start = DATA_OFFSET - this.readPrefixBytes();
      this.writeReadPrefix(held.memory, start, request);
      request.reply = held.memory.subarray(start, DATA_OFFSET + lengthBytes);
      this.output.sendLarge(request);
      return;
    }
    const batch = this.output.room(this.readPrefixBytes() + lengthBytes);
    const at = this.writeReadPrefix(batch.bytes, batch.fill, request);
    if (received === null) request.buffer.copy(batch.bytes, at, 0, lengthBytes);
    else received.copy(batch.bytes, at, receivedOffset, receivedOffset + lengthBytes);
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

  /** Answers with success and without data. A simple reply is shorter, and is allowed even if structured replies were negotiated. */
  private answerDone(request: NbdRequest): void {
    const batch = this.output.room(SIMPLE_REPLY_BYTES);
    this.output.commit(writeSimpleReply(batch.bytes, batch.fill, request, 0), request.dataBytes);
    this.recycle(request);
  }

  private answerError(request: NbdRequest, errno: number, sentence: string): void {
    if (this.agreed.isStructured) {
      const message = Buffer.from(sentence, 'utf8');
      // The offset in an error chunk must lie in the client's range, and an empty range contains no offset.
      const withOffset = request.type === COMMAND.READ && request.lengthBytes > 0;
      const { bytes, fill } = this.output.room(errorChunkBytes(message, withOffset));
      const behind = withOffset
        ? writeOffsetErrorChunk(bytes, fill, request, errno, message, request.offsetHigh, request.offsetLow)
        : writeErrorChunk(bytes, fill, request, errno, message);
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
    // After a failure, the volume or the socket may still be using the buffer, so the buffer is not given back to the pool.
    if (this.hasFailed) return;
    if (buffer !== null) {
      const { length } = buffer.memory;
      this.data.giveBack(buffer);
      this.heldBytes = counted(this.heldBytes - length, 'held bytes');
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
