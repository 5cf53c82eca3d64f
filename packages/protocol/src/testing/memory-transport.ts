// An in-memory connection that behaves like a network connection: bytes travel for some time, arrive in pieces, and may still arrive after
// a close. Each direction can stall independently of the other. Like a socket, the connection reads the sender's buffer only some time
// after `send`. A test therefore detects a buffer that is reused too early. Received data is overwritten after the handler returns.
// Invariant: each direction is a stream, so bytes arrive in order and only the last bytes can be lost.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { PathTransport, TlsKey, TransportEvents } from '../link/path-transport.ts';
import { STAND_IN_CIPHER, StandInTls } from './stand-in-tls.ts';

export interface LinkShape {
  /** `takeMs`: delay until the network has read the bytes that an end sends. `travelMs`: travel time of these bytes. Both in ms. */
  takeMs(): number;
  travelMs(): number;
  /** Number of bytes received in the next piece. The remaining bytes follow `restMs` later. */
  cut(lengthBytes: number): number;
  restMs(): number;
}

/** A link on which bytes travel in no time and arrive in one piece. */
export const IDEAL_LINK: LinkShape = { takeMs: () => 0, travelMs: () => 0, cut: (lengthBytes) => lengthBytes, restMs: () => 0 };

/** Maximum number of bytes that the network accepts from a sender while the direction is stalled. */
const STANDING_MAX_BYTES = 64 * 1024;

interface Send {
  readonly buffer: Buffer;
  readonly start: number;
  readonly lengthBytes: number;
  readonly done: () => void;
  readonly dueMs: number;
}

interface Arrival {
  /** Bytes that arrive; null marks the end of the stream. */
  bytes: Buffer | null;
  readonly reason: string;
  dueMs: number;
}

/** One direction of a link: the sends that the network has not read yet, and the bytes in transit. */
class Direction {
  isStanding = false;
  private readonly clock: Clock;
  private readonly shape: LinkShape;
  private readonly receiver: () => MemoryEnd;
  private sends: Send[] = [];
  private readonly arrivals: Arrival[] = [];
  private timer: Timer | null = null;
  private timerDueMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, shape: LinkShape, receiver: () => MemoryEnd) {
    this.clock = clock;
    this.shape = shape;
    this.receiver = receiver;
  }

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    const dueMs = Math.max(this.sends.at(-1)?.dueMs ?? 0, this.clock.monotonicMs() + this.shape.takeMs());
    this.sends.push({ buffer, start, lengthBytes, done, dueMs });
    this.pump();
  }

  /** Ends sending. `drop`: true to discard the bytes that the network has not read. */
  close(reason: string, drop: boolean): void {
    const left = this.sends;
    this.sends = [];
    for (const send of left) {
      if (!drop) this.take(send);
      this.clock.soon(send.done);
    }
    this.arrive(null, reason);
    this.pump();
  }

  stand(isStanding: boolean): void {
    this.isStanding = isStanding;
    this.pump();
  }

  clear(): void {
    this.arrivals.length = 0;
    for (const send of this.sends.splice(0)) this.clock.soon(send.done);
  }

  /** Schedules a check for due events. Never calls a handler before this method has returned. */
  pump(): void {
    const nextMs = Math.min(
      this.canTake() ? this.sends[0]!.dueMs : Number.POSITIVE_INFINITY,
      this.canDeliver() ? this.arrivals[0]!.dueMs : Number.POSITIVE_INFINITY,
    );
    if (nextMs >= this.timerDueMs || nextMs === Number.POSITIVE_INFINITY) return;
    this.timer?.cancel();
    this.timerDueMs = nextMs;
    this.timer = this.clock.after(nextMs - this.clock.monotonicMs(), () => this.look());
  }

  private look(): void {
    this.timer = null;
    this.timerDueMs = Number.POSITIVE_INFINITY;
    const nowMs = this.clock.monotonicMs();
    while (this.canTake() && this.sends[0]!.dueMs <= nowMs) {
      const send = this.sends.shift()!;
      this.take(send);
      send.done();
    }
    while (this.canDeliver() && this.arrivals[0]!.dueMs <= nowMs) this.deliver(this.arrivals[0]!);
    this.pump();
  }

  private canTake(): boolean {
    if (this.sends.length === 0) return false;
    return !this.isStanding || this.arrivals.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0) < STANDING_MAX_BYTES;
  }

  private canDeliver(): boolean {
    return this.arrivals.length > 0 && !this.isStanding && this.receiver().events !== null;
  }

  private take({ buffer, start, lengthBytes }: Send): void {
    this.arrive(Buffer.from(buffer.subarray(start, start + lengthBytes)), '');
  }

  private arrive(bytes: Buffer | null, reason: string): void {
    const dueMs = Math.max(this.arrivals.at(-1)?.dueMs ?? 0, this.clock.monotonicMs() + this.shape.travelMs());
    this.arrivals.push({ bytes, reason, dueMs });
  }

  private deliver(arrival: Arrival): void {
    const { bytes, reason } = arrival;
    const end = this.receiver();
    if (bytes === null) {
      this.arrivals.shift();
      end.peerClosed(reason);
      return;
    }
    const take = Math.max(1, Math.min(bytes.length, this.shape.cut(bytes.length)));
    const piece = Buffer.alloc(take + 2, 0xdb);
    bytes.copy(piece, 1, 0, take);
    if (take === bytes.length) {
      this.arrivals.shift();
    } else {
      arrival.bytes = bytes.subarray(take);
      arrival.dueMs += this.shape.restMs();
    }
    end.peerSent(piece, 1, take);
    piece.fill(0xdb);
  }
}

export class MemoryEnd implements PathTransport {
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  isClosed = false;
  cipher: string | null = null;
  private tls: StandInTls | null = null;
  private readonly out: () => Direction;
  private readonly into: () => Direction;
  private taker: TransportEvents | null = null;

  constructor(localAddress: string, remoteAddress: string, remotePort: number, out: () => Direction, into: () => Direction) {
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.out = out;
    this.into = into;
  }

  /** Receiver of the bytes that arrive at this end; while it is null, the bytes wait. */
  get events(): TransportEvents | null {
    return this.taker;
  }

  set events(handler: TransportEvents | null) {
    this.taker = handler;
    if (handler !== null) this.into().pump();
  }

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    if (this.isClosed) throw new Error('send was called on a closed end');
    this.out().send(buffer, start, lengthBytes, done);
  }

  startTls(key: TlsKey, secured: () => void): void {
    const tls = new StandInTls(key, {
      send: (message) => this.out().send(message, 0, message.length, () => undefined),
      secured: () => {
        this.tls = null;
        this.cipher = STAND_IN_CIPHER;
        secured();
      },
      failed: (reason) => {
        this.close('ECONNRESET: the connection was reset', true);
        this.events?.onClosed(reason);
      },
    });
    this.tls = tls;
    tls.begin();
  }

  destroy(reset: boolean): void {
    this.close(reset ? 'ECONNRESET: the connection was reset' : 'The peer closed the connection', reset);
  }

  end(): void {
    this.close('The peer closed the connection', false);
  }

  peerSent(bytes: Buffer, offset: number, lengthBytes: number): void {
    if (this.isClosed) return;
    const taken = this.tls === null ? 0 : this.tls.take(bytes, offset, lengthBytes);
    if (!this.isClosed && taken < lengthBytes) this.events?.onBytes(bytes, offset + taken, lengthBytes - taken);
  }

  peerClosed(reason: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.out().clear();
    this.events?.onClosed(reason);
  }

  private close(reason: string, reset: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.out().close(reason, reset);
  }
}

export class MemoryLink {
  readonly client: MemoryEnd;
  readonly server: MemoryEnd;
  private readonly there: Direction;
  private readonly back: Direction;

  constructor(clock: Clock, shape: LinkShape = IDEAL_LINK, clientAddress = '127.45.0.20', serverAddress = '127.45.0.10', port = 5000) {
    this.client = new MemoryEnd(
      clientAddress,
      serverAddress,
      port,
      () => this.there,
      () => this.back,
    );
    this.server = new MemoryEnd(
      serverAddress,
      clientAddress,
      40_000,
      () => this.back,
      () => this.there,
    );
    this.there = new Direction(clock, shape, () => this.server);
    this.back = new Direction(clock, shape, () => this.client);
  }

  get isOver(): boolean {
    return this.client.isClosed && this.server.isClosed;
  }

  /** Stalls a direction, or resumes it. */
  stand(direction: 'there' | 'back', isStanding: boolean): void {
    this[direction].stand(isStanding);
  }

  /** Simulates a reset of the connection by the network. Each end first receives the bytes in transit and only then notices the reset. */
  reset(): void {
    this.there.close('ECONNRESET: the connection was reset', true);
    this.back.close('ECONNRESET: the connection was reset', true);
  }
}
