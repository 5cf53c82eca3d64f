// One simulated connection. Like a socket, an end reads the buffer of the sender some time after `send`, so that a buffer that is reused
// too early is detected. After an end has passed bytes to a handler, the end overwrites these bytes, so that a later use by the handler is
// detected. Bytes in flight arrive even if the sender has closed the connection. sim-network.ts has the faults of whole routes. Invariant:
// per direction, bytes arrive in the order of sending.

import type { Timer } from '@rsio/base/lib/clock';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { PathTransport, TlsKey, TransportEvents } from '@rsio/protocol/link/path-transport';
import { STAND_IN_CIPHER, StandInTls } from '@rsio/protocol/testing/stand-in-tls';
import { LossyTcp, PACKET_BYTES } from './lossy-tcp.ts';
import type { ProcessEnd, SimClock, SimProcess } from '../base/sim-clock.ts';
import type { Direction, SimRoute } from './sim-network.ts';

const MIB = 1024 * 1024;
/** The network accepts at most this many bytes from a sender while the receiver takes none. */
const STANDING_MAX_BYTES = 64 * 1024;
/** LATE_TAKE_CHANCE: chance that the network accepts a batch late. LATE_TAKE_MAX_MS: the longest delay. */
const LATE_TAKE_CHANCE = 0.1;
const LATE_TAKE_MAX_MS = 5;
/** A long batch arrives in parts. A part has the bytes that the network carries in this time, but at least one packet. */
const SLICE_MS = 2;
const SPOILED = 0xdb;
const RESET = 'ECONNRESET: the connection was reset';
const CLOSED = 'The peer closed the connection';

/** Buffers for bytes in flight, shared by all worlds of this program. */
const underWay = new BufferPool(16 * MIB);

interface Send {
  readonly buffer: Buffer;
  readonly start: number;
  readonly lengthBytes: number;
  readonly done: () => void;
  readonly dueMs: number;
}

interface Arrival {
  /** null: the end of the stream. */
  readonly bytes: Buffer | null;
  readonly reason: string;
  at: number;
  readonly endAt: number;
  /** Additional delay if the bytes were lost on their way and sent again. */
  readonly repeatedMs: number;
  dueMs: number;
}

/** One direction of a connection: the sends that the network has not accepted yet, and the bytes in flight. */
class Stream {
  private readonly clock: SimClock;
  private readonly random: SeededRandom;
  private readonly route: SimRoute;
  private readonly direction: Direction;
  private readonly sender: () => SimEnd;
  private readonly receiver: () => SimEnd;
  private readonly sends: Send[] = [];
  private readonly arrivals: Arrival[] = [];
  private underWayBytes = 0;
  private isStanding = false;
  private isLost = false;
  private readonly tcp: LossyTcp;
  private busyUntilMs = 0;
  private timer: Timer | null = null;
  private timerDueMs = Number.POSITIVE_INFINITY;

  constructor(clock: SimClock, random: SeededRandom, route: SimRoute, direction: Direction, sender: () => SimEnd, receiver: () => SimEnd) {
    this.direction = direction;
    this.tcp = new LossyTcp(random);
    this.clock = clock;
    this.random = random;
    this.route = route;
    this.sender = sender;
    this.receiver = receiver;
  }

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    const lateMs = this.random.chance(LATE_TAKE_CHANCE) ? this.random.unit() * LATE_TAKE_MAX_MS : 0;
    const dueMs = Math.max(this.sends.at(-1)?.dueMs ?? 0, this.clock.monotonicMs() + lateMs);
    this.sends.push({ buffer, start, lengthBytes, done, dueMs });
    this.pump();
  }

  /** Ends sending. `drop`: also drops the sends that the network has not accepted yet. */
  close(reason: string, drop: boolean): void {
    for (const send of this.sends.splice(0)) {
      if (!drop) this.take(send);
      this.sender().sent(send.done);
    }
    this.arrive(null, 0, 0, reason);
    this.pump();
  }

  stand(isStanding: boolean): void {
    this.isStanding = isStanding;
    this.pump();
  }

  /** The route has become faster. Therefore bytes in flight may arrive earlier than was planned when they were sent. */
  hasten(): void {
    const nowMs = this.clock.monotonicMs();
    let sentMs = nowMs;
    for (const arrival of this.arrivals) {
      sentMs += (arrival.endAt - arrival.at) / this.route.bytesPerMs(this.direction);
      arrival.dueMs = Math.min(arrival.dueMs, sentMs + this.route.shape.latencyMs + arrival.repeatedMs);
    }
    this.busyUntilMs = Math.min(this.busyUntilMs, sentMs);
    this.timer?.cancel();
    this.timer = null;
    this.timerDueMs = Number.POSITIVE_INFINITY;
    this.pump();
  }

  lose(): void {
    this.isLost = true;
    this.forget();
  }

  /** Drops all bytes of this direction, because the receiver has closed the connection. */
  clear(): void {
    this.forget();
    for (const send of this.sends.splice(0)) this.sender().sent(send.done);
  }

  /** Schedules the delivery of due bytes. No bytes are delivered within this call. */
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

  /** Delivers one event at a time, as an event loop does. The "soon" calls of an event run before the next event. */
  private look(): void {
    this.timer = null;
    this.timerDueMs = Number.POSITIVE_INFINITY;
    const nowMs = this.clock.monotonicMs();
    if (this.canTake() && this.sends[0]!.dueMs <= nowMs) {
      const send = this.sends.shift()!;
      this.take(send);
      this.sender().sent(send.done);
    } else if (this.canDeliver() && this.arrivals[0]!.dueMs <= nowMs) {
      this.deliver(this.arrivals[0]!);
    }
    this.pump();
  }

  private canTake(): boolean {
    if (this.sends.length === 0) return false;
    const isStuck = this.isStanding || this.isLost || !this.receiver().reads;
    return !isStuck || this.underWayBytes < STANDING_MAX_BYTES;
  }

  private canDeliver(): boolean {
    return this.arrivals.length > 0 && !this.isStanding && this.receiver().reads;
  }

  private take({ buffer, start, lengthBytes }: Send): void {
    if (this.isLost) {
      this.underWayBytes += lengthBytes;
      return;
    }
    const sliceBytes = Math.max(PACKET_BYTES, Math.ceil(this.route.bytesPerMs(this.direction) * SLICE_MS));
    for (let at = 0; at < lengthBytes; at += sliceBytes) {
      const takenBytes = Math.min(sliceBytes, lengthBytes - at);
      const bytes = underWay.take(takenBytes);
      buffer.copy(bytes, 0, start + at, start + at + takenBytes);
      this.arrive(bytes, takenBytes, lengthBytes - at - takenBytes, '');
    }
  }

  private arrive(bytes: Buffer | null, lengthBytes: number, behindBytes: number, reason: string): void {
    if (this.isLost) return;
    const { route, direction } = this;
    const { latencyMs, jitterMs } = route.shape;
    const loss = route.loss(direction);
    const tripMs = 2 * latencyMs + jitterMs;
    const bytesPerMs = Math.min(route.bytesPerMs(direction), loss === 0 ? Number.POSITIVE_INFINITY : this.tcp.bytesPerMs(tripMs));
    const sentMs = Math.max(this.busyUntilMs, this.clock.monotonicMs()) + lengthBytes / bytesPerMs;
    this.busyUntilMs = sentMs;
    const [packets, behind] = [Math.max(1, Math.ceil(lengthBytes / PACKET_BYTES)), behindBytes / PACKET_BYTES];
    const repeatedMs = loss === 0 ? 0 : this.tcp.sent(packets, behind, loss, tripMs);
    const dueMs = Math.max(this.arrivals.at(-1)?.dueMs ?? 0, sentMs + latencyMs + repeatedMs + this.random.unit() * jitterMs);
    this.underWayBytes += lengthBytes;
    this.arrivals.push({ bytes, reason, at: 0, endAt: lengthBytes, repeatedMs, dueMs });
  }

  private deliver(arrival: Arrival): void {
    const { bytes, reason, at, endAt } = arrival;
    const end = this.receiver();
    if (bytes === null) {
      this.arrivals.shift();
      end.peerClosed(reason);
      return;
    }
    const lengthBytes = this.cut(endAt - at);
    this.underWayBytes -= lengthBytes;
    if (at + lengthBytes === endAt) {
      this.arrivals.shift();
    } else {
      arrival.at += lengthBytes;
      arrival.dueMs = Math.max(arrival.dueMs, this.clock.monotonicMs()) + this.random.unit() * 2;
    }
    end.peerSent(bytes, at, lengthBytes);
    bytes.fill(SPOILED, at, at + lengthBytes);
    if (at + lengthBytes === endAt) underWay.giveBack(bytes);
  }

  private cut(lengthBytes: number): number {
    if (lengthBytes === 1 || !this.random.chance(this.route.shape.cutChance)) return lengthBytes;
    return this.random.int(1, Math.min(lengthBytes, this.random.chance(0.3) ? 20 : 5000));
  }

  private forget(): void {
    for (const { bytes } of this.arrivals.splice(0)) if (bytes !== null) underWay.giveBack(bytes);
  }
}

export class SimEnd implements PathTransport, ProcessEnd {
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  isClosed = false;
  cipher: string | null = null;
  private tls: StandInTls | null = null;
  private readonly clock: SimClock;
  private readonly out: () => Stream;
  private readonly into: () => Stream;
  private taker: TransportEvents | null = null;
  private process: SimProcess | null = null;

  constructor(clock: SimClock, localAddress: string, remoteAddress: string, remotePort: number, out: () => Stream, into: () => Stream) {
    this.clock = clock;
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.out = out;
    this.into = into;
  }

  set owner(process: SimProcess) {
    this.process?.ends.delete(this);
    this.process = process;
    if (!this.isClosed) process.ends.add(this);
  }

  /** The handler of received bytes. Without a handler, nothing is read and bytes wait. */
  get events(): TransportEvents | null {
    return this.taker;
  }

  set events(handler: TransportEvents | null) {
    this.taker = handler;
    if (handler !== null) this.into().pump();
  }

  get reads(): boolean {
    return this.isClosed || (this.taker !== null && this.process?.isPaused !== true);
  }

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    if (this.isClosed) throw new Error('A closed end was given something to send');
    this.out().send(buffer, start, lengthBytes, done);
  }

  startTls(key: TlsKey, secured: () => void): void {
    const tls = new StandInTls(key, {
      send: (message) => this.send(message, 0, message.length, () => undefined),
      secured: () => {
        this.tls = null;
        this.cipher = STAND_IN_CIPHER;
        secured();
      },
      failed: (reason) => {
        this.close(RESET, true);
        this.taker?.onClosed(reason);
      },
    });
    this.tls = tls;
    tls.begin();
  }

  destroy(reset: boolean): void {
    this.close(reset ? RESET : CLOSED, reset);
  }

  end(): void {
    this.close(CLOSED, false);
  }

  /** The network has accepted a batch. The sender is notified as soon as its process runs. */
  sent(done: () => void): void {
    if (this.process === null) this.clock.soon(done);
    else if (!this.process.isKilled) this.process.after(0, done);
  }

  peerSent(bytes: Buffer, offset: number, lengthBytes: number): void {
    if (this.isClosed) return;
    const taken = this.tls === null ? 0 : this.tls.take(bytes, offset, lengthBytes);
    if (!this.isClosed && taken < lengthBytes) this.taker?.onBytes(bytes, offset + taken, lengthBytes - taken);
  }

  peerClosed(reason: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.process?.ends.delete(this);
    this.out().clear();
    this.taker?.onClosed(reason);
  }

  processResumed(): void {
    this.into().pump();
  }

  processKilled(): void {
    this.taker = null;
    this.close(RESET, false);
  }

  private close(reason: string, reset: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.process?.ends.delete(this);
    this.out().close(reason, reset);
  }
}

export class SimLink {
  readonly client: SimEnd;
  readonly server: SimEnd;
  /** Whether the connection has lost bytes forever. Both ends must notice the loss of bytes. */
  isLost = false;
  private readonly there: Stream;
  private readonly back: Stream;

  constructor(clock: SimClock, random: SeededRandom, route: SimRoute, client: SimProcess) {
    const { localAddress, address } = route;
    this.client = new SimEnd(
      clock,
      localAddress,
      address,
      5000,
      () => this.there,
      () => this.back,
    );
    this.server = new SimEnd(
      clock,
      address,
      localAddress,
      40_000,
      () => this.back,
      () => this.there,
    );
    this.there = new Stream(
      clock,
      random,
      route,
      'there',
      () => this.client,
      () => this.server,
    );
    this.back = new Stream(
      clock,
      random,
      route,
      'back',
      () => this.server,
      () => this.client,
    );
    this.client.owner = client;
  }

  get isOver(): boolean {
    return this.client.isClosed && this.server.isClosed;
  }

  /** Stalls a direction, or ends the stall. Bytes sent during a stall arrive after its end. */
  stand(direction: Direction, isStanding: boolean): void {
    this[direction].stand(isStanding);
  }

  hasten(direction: Direction): void {
    this[direction].hasten();
  }

  lose(direction: Direction): void {
    this.isLost = true;
    this[direction].lose();
  }

  /** The network resets the connection: each end learns of it in its own direction, after the bytes in flight. */
  reset(): void {
    this.there.close(RESET, true);
    this.back.close(RESET, true);
  }
}
