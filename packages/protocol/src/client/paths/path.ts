// The client's end of one live path: encodes requests, tracks the requests in flight, answers heartbeats, and passes answers to its trunk.
// Invariant: a path begins after WELCOME and ends once. Each new connection is a new path. Rules: S8, R5.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { ANSWER_PARTS_MAX_BYTES, ANSWER_PART_COST_BYTES } from '../limits.ts';
import { ANSWER, FLAG, frameName, OP } from '../../wire/frames.ts';
import type { Header } from '../../wire/header.ts';
import { Farewell, Ping, Revoke } from '../../wire/messages.ts';
import type { Connection, ConnectionEvents } from '../../link/connection.ts';
import { quietSinceMs } from './path-verdict.ts';
import { Heartbeat } from '../../link/heartbeat.ts';
import { type PathLatencies, PathLoad } from './path-load.ts';
import type { Request } from '../requests/request.ts';

export interface PathEvents {
  answerBegins(path: Path, header: Header): void;
  answer(path: Path, header: Header, body: Buffer, offset: number): void;
  fenced(path: Path, number: number): void;
  revoked(path: Path, handle: number): void;
  replaced(path: Path, sentence: string): void;
  generationSeen(generation: number): void;
  /**
   * Called when all frames of one receive event have been processed. `isProof`: true if these frames prove that the server receives our
   * frames.
   */
  pathReceived(path: Path, isProof: boolean): void;
  /** Called when more output can be queued. */
  pathDrained(path: Path): void;
  pathClosed(path: Path, reason: string): void;
}

const NOTHING = Buffer.alloc(0);

export class Path implements ConnectionEvents {
  readonly number: number;
  readonly connection: Connection;
  readonly heartbeat: Heartbeat;
  readonly load: PathLoad;
  isSuspect = false;
  /** True if the end of the path does not count as a failure of the path, for example after a BYE. */
  isBlameless = false;
  waitingSinceMs: number | null = null;
  /** Slot of the READ whose data is being received directly into the buffer of the request; -1 if there is none. */
  receivingSlot = -1;
  requests = 0;
  resent = 0;
  hedged = 0;
  probed = 0;
  dropped = 0;
  /** True if nothing else was in flight when the last PING was sent. */
  private isPingAlone = false;
  /** Time of the current receive event; negative until the clock is read during the event. */
  private eventMs = -1;
  private movedMs: number;
  /** True if output was still queued when the last send completed. */
  private hasWaited = false;
  /** True if a frame of this event proves that the server receives our frames. */
  private isProof = false;
  private isAnswerComing = false;
  /**
   * Maps each slot to the parts of its unfinished answer (flag MORE) that have arrived. `partsBytes`: the total length of all parts, plus
   * ANSWER_PART_COST_BYTES for each.
   */
  private readonly parts = new Map<number, Buffer[]>();
  private partsBytes = 0;
  private readonly events: PathEvents;
  private readonly clock: Clock;

  constructor(
    number: number,
    connection: Connection,
    slots: number,
    heartbeatMs: number,
    latencies: PathLatencies,
    clock: Clock,
    owner: PathEvents,
  ) {
    this.number = number;
    this.connection = connection;
    this.events = owner;
    this.clock = clock;
    this.movedMs = clock.monotonicMs();
    this.heartbeat = new Heartbeat(heartbeatMs, this.movedMs);
    this.load = new PathLoad(slots, this.movedMs, latencies);
    connection.events = this;
  }

  get queuedBytes(): number {
    return this.connection.encoder.queuedBytes;
  }

  get lastReceivedMs(): number {
    return this.heartbeat.lastReceivedMs;
  }

  get lastProofMs(): number {
    return this.heartbeat.lastProofMs;
  }

  get lastHeardMs(): number {
    return this.heartbeat.lastHeardMs;
  }

  /** Last time at which a part of the queued output was sent. A PING that was queued behind this output is sent after this time. */
  get lastMovedMs(): number {
    return this.movedMs;
  }

  get roundTripMs(): number | null {
    return this.heartbeat.roundTripMs;
  }

  get quietSinceMs(): number {
    return quietSinceMs(this);
  }

  /** Called when our own event loop was stalled for `stallMs`. The time of the stall does not count as silence of the path. */
  excuse(stallMs: number, nowMs: number): void {
    this.heartbeat.excuse(stallMs, nowMs);
    this.movedMs = Math.min(nowMs, this.movedMs + stallMs);
    if (this.waitingSinceMs !== null) this.waitingSinceMs = Math.min(nowMs, this.waitingSinceMs + stallMs);
  }

  /** Longest interval between two PINGs. */
  get heartbeatMs(): number {
    return this.heartbeat.intervalMs;
  }

  /** Adds a request frame, with a copy of its WRITE data, to the output of the path. */
  send(request: Request, slot: number, seq: number, handle: number, nowMs: number): void {
    const encoder = this.connection.encoder;
    if (this.load.requests === 0) this.waitingSinceMs = nowMs;
    this.load.sent(request, slot, nowMs);
    this.requests++;
    switch (request.op) {
      case OP.READ:
      case OP.FLUSH:
      case OP.DISCARD:
      case OP.ZERO:
        encoder.io(request.op, request.flags, handle, slot, seq, request.lba, request.count);
        return;
      case OP.WRITE: {
        const at = encoder.beginIo(request.bodyBytes);
        request.buffer.copy(encoder.buffer, at, request.bufferOffset, request.bufferOffset + request.bodyBytes);
        encoder.endIo(OP.WRITE, request.flags, handle, slot, seq, request.lba, request.count, request.bodyBytes);
        return;
      }
      default:
        encoder.message(request.op, request.flags, handle, slot, seq, request.aux, request.message);
    }
  }

  /** Called when this path has answered the copy in this slot. Returns the latency of the copy in ms. */
  answered(slot: number): number {
    if (this.eventMs < 0) this.eventMs = this.clock.monotonicMs();
    this.load.answered(slot, this.eventMs);
    if (this.load.requests === 0) this.waitingSinceMs = null;
    return this.eventMs - this.load.sentAtMs(slot);
  }

  /**
   * Stores one part of a message answer. Returns false if further parts follow, or if the path was closed because the parts are too large.
   */
  keepPart(header: Header, body: Buffer, offset: number): boolean {
    this.partsBytes += header.length + ANSWER_PART_COST_BYTES;
    if (this.partsBytes > ANSWER_PARTS_MAX_BYTES) {
      this.violation(`${frameName(header.op)} exceeds ${ANSWER_PARTS_MAX_BYTES} bytes`);
      return false;
    }
    const parts = this.parts.get(header.slot) ?? [];
    parts.push(Buffer.from(body.subarray(offset, offset + header.length)));
    this.parts.set(header.slot, parts);
    return (header.flags & FLAG.MORE) === 0;
  }

  takeParts(slot: number): Buffer[] {
    const parts = this.parts.get(slot) ?? [];
    for (const part of parts) this.partsBytes -= part.length + ANSWER_PART_COST_BYTES;
    this.parts.delete(slot);
    return parts;
  }

  fence(path: number): void {
    this.connection.encoder.message(OP.FENCE, 0, 0, 0, 0, path, NOTHING);
  }

  revoke(handle: number, tags: readonly number[]): void {
    this.connection.encoder.message(OP.REVOKE, 0, 0, 0, 0, handle, Revoke.encode({ tags }));
  }

  ping(nowMs: number): void {
    this.isPingAlone = this.load.requests === 0;
    const message = this.heartbeat.ping(nowMs, 0, 0);
    this.connection.encoder.message(OP.PING, 0, 0, 0, 0, 0, Ping.encode(message));
    this.connection.encoder.flush();
  }

  /** Sends BYE and closes the path, because the client is exiting and the server no longer needs to keep the session. */
  bye(code: string, sentence: string): void {
    this.connection.encoder.message(OP.BYE, 0, 0, 0, 0, 0, Farewell.encode({ code, sentence }));
    this.connection.finish(sentence);
  }

  flush(): void {
    this.connection.encoder.flush();
  }

  // --- ConnectionEvents

  bodyBegins(header: Header): void {
    if ((header.op & ANSWER) === 0) return;
    this.isAnswerComing = true;
    this.events.answerBegins(this, header);
  }

  frame(header: Header, body: Buffer, offset: number): void {
    this.isAnswerComing = false;
    try {
      if ((header.op & ANSWER) === 0) {
        this.control(header, body, offset);
        return;
      }
      this.isProof = true;
      this.events.answer(this, header, body, offset);
    } catch (error) {
      // E_PROTOCOL means that the body is malformed. Any other error is a bug in the client and must not be blamed on the server.
      if (!(error instanceof RsError) || error.code !== 'E_PROTOCOL') throw error;
      this.violation(error.message);
    }
  }

  received(): void {
    const nowMs = this.eventMs < 0 ? this.clock.monotonicMs() : this.eventMs;
    this.eventMs = -1;
    const isProof = this.isProof || this.isAnswerComing;
    this.isProof = false;
    this.heartbeat.received(nowMs);
    if (isProof) this.heartbeat.proved(nowMs);
    this.events.pathReceived(this, isProof);
    if (this.connection.hasOverflowed) this.connection.close('The server does not read its input', true);
  }

  drained(): void {
    const isWaiting = this.queuedBytes > 0;
    if (isWaiting || this.hasWaited) this.movedMs = this.clock.monotonicMs();
    this.hasWaited = isWaiting;
    this.events.pathDrained(this);
  }

  closed(reason: string): void {
    this.events.pathClosed(this, reason);
  }

  violation(what: string): void {
    this.connection.close(`Protocol error of the server: ${what}`, true);
  }

  private control(header: Header, body: Buffer, offset: number): void {
    const nowMs = this.clock.monotonicMs();
    switch (header.op) {
      case OP.PING: {
        const ping = Ping.decode(body, offset, header.length);
        const pong = this.heartbeat.onPing(ping, nowMs, 0, 0);
        this.events.generationSeen(ping.generation);
        this.connection.encoder.message(OP.PONG, 0, 0, 0, 0, 0, Ping.encode(pong));
        return;
      }
      case OP.PONG: {
        const pong = Ping.decode(body, offset, header.length);
        this.isProof = true;
        const tripMs = this.heartbeat.onPong(pong, nowMs);
        if (tripMs !== null) this.load.ponged(tripMs, this.isPingAlone, nowMs);
        this.events.generationSeen(pong.generation);
        return;
      }
      case OP.FENCED:
        this.isProof = true;
        this.events.fenced(this, header.aux);
        return;
      case OP.REVOKED:
        this.isProof = true;
        this.events.revoked(this, header.aux);
        return;
      case OP.NOTIFY:
        this.events.generationSeen(header.aux);
        return;
      case OP.BYE: {
        const bye = Farewell.decode(body, offset, header.length);
        this.isBlameless = true;
        if (bye.code === 'E_REPLACED') this.events.replaced(this, bye.sentence);
        this.connection.close(`${bye.sentence} [${bye.code}]`, false);
        return;
      }
      default:
        this.violation(`${frameName(header.op)} is not allowed here`);
    }
  }
}
