// The server's end of a probe connection, over which a client measures a path. A probe uses the same frames as a path, and runs in the
// listener's process. Invariants: A probe touches no session, worker, hold or volume; READ returns zeros, and WRITE discards its data. A
// probe is bounded in time, bytes and requests. The bytes per event-loop turn are also bounded, because a probe must not delay the
// listener.

import { buildWelcome } from '@rsio/protocol/auth/handshake-server';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { FixedQueue } from '@rsio/base/structures/fixed-queue';
import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { HANDSHAKE_MESSAGE_MAX_BYTES } from '@rsio/protocol/auth/limits';
import { PROBE_BYTES_MAX, PROBE_SLOTS, PROBE_TIME_MAX_MS, PROBE_TURN_BYTES, PROBE_WINDOW_BYTES } from '@rsio/protocol/explorer/limits';
import { OUTPUT_QUEUED_MAX_BYTES, SEGMENT_BYTES } from '@rsio/protocol/link/limits';
import { SESSION_ID_BYTES } from '@rsio/protocol/wire/limits';
import { Connection, type ConnectionEvents, type ConnectionPools } from '@rsio/protocol/link/connection';
import { Heartbeat } from '@rsio/protocol/link/heartbeat';
import type { PathTransport } from '@rsio/protocol/link/path-transport';
import { ANSWER, frameName, OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { Farewell, Ping, type Welcome } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';

export interface ProbePorts {
  readonly clock: Clock;
  readonly pools: ConnectionPools;
  /** Called once, when the probe has ended. `bytes` is the number of bytes that were sent and received. */
  closed(reason: string, bytes: number): void;
}

/** Results of the handshake, and values for WELCOME. */
export interface ProbeAdmission extends Pick<Welcome, 'interfaces' | 'generation' | 'keyUsed'> {
  readonly welcomeKey: string;
  readonly transcript: string;
  readonly digest: boolean;
}

export class ProbeSession implements ConnectionEvents {
  private readonly connection: Connection;
  private readonly ports: ProbePorts;
  private readonly generation: number;
  private readonly heartbeat: Heartbeat;
  private readonly reads = new FixedQueue<Header>(PROBE_SLOTS);
  private readonly deadline: Timer;
  private turn: Timer | null = null;
  /** Bytes of READ data sent in the current event-loop turn. */
  private turnBytes = 0;
  /** Number of requests in the current receive event. */
  private requests = 0;

  /** Sends WELCOME. */
  constructor(transport: PathTransport, admission: ProbeAdmission, ports: ProbePorts) {
    const { welcomeKey, transcript, digest, interfaces, generation, keyUsed } = admission;
    this.ports = ports;
    this.generation = generation;
    this.heartbeat = new Heartbeat(HEARTBEAT_INTERVAL_MS, ports.clock.monotonicMs());
    this.connection = new Connection(transport, ports.pools, this);
    const { encoder, decoder } = this.connection;
    decoder.messageMaxBytes = HANDSHAKE_MESSAGE_MAX_BYTES;
    decoder.ioMaxBytes = SEGMENT_BYTES;
    const session = Buffer.alloc(SESSION_ID_BYTES);
    const wallMs = Math.floor(ports.clock.wallMs());
    const welcome = { session, path: 0, slots: PROBE_SLOTS, windowBytes: PROBE_WINDOW_BYTES, interfaces, generation, keyUsed, wallMs };
    encoder.raw(buildWelcome(welcomeKey, transcript, welcome));
    encoder.flush();
    encoder.digest = digest;
    decoder.digest = digest;
    this.deadline = ports.clock.after(PROBE_TIME_MAX_MS, () => this.bye('E_LIMIT', `A probe may take ${PROBE_TIME_MAX_MS} ms`));
  }

  /** Sends BYE, then closes. */
  bye(code: string, sentence: string): void {
    this.connection.encoder.message(OP.BYE, 0, 0, 0, 0, 0, Farewell.encode({ code, sentence }));
    this.connection.finish(sentence);
  }

  // --- ConnectionEvents

  bodyBegins(): void {}

  frame(header: Header, body: Buffer, offset: number): void {
    // A client reuses a slot only after the answer, and the server answers only between receive events. Therefore, at most PROBE_SLOTS
    // requests can arrive in one receive event.
    if (++this.requests > PROBE_SLOTS) {
      this.violation(`More than ${PROBE_SLOTS} requests came at once`);
      return;
    }
    switch (header.op) {
      case OP.READ:
      case OP.WRITE:
        this.io(header);
        return;
      case OP.PING:
      case OP.BYE:
        this.control(header, body, offset);
        return;
      default:
        this.violation(`${frameName(header.op)} is not allowed on a probe`);
    }
  }

  received(): void {
    this.requests = 0;
    this.answerReads();
    if (this.movedBytes > PROBE_BYTES_MAX) this.bye('E_LIMIT', `A probe may move ${PROBE_BYTES_MAX} bytes`);
    else if (this.connection.encoder.queuedBytes > OUTPUT_QUEUED_MAX_BYTES) {
      this.connection.close('The client does not read its answers', true);
    }
  }

  drained(): void {
    this.answerReads();
  }

  closed(reason: string): void {
    this.deadline.cancel();
    this.turn?.cancel();
    this.reads.clear();
    this.ports.closed(reason, this.movedBytes);
  }

  private get movedBytes(): number {
    return this.connection.receivedBytes + this.connection.sentBytes;
  }

  private io(header: Header): void {
    const { op, flags, handle, slot, seq, lba, count } = header;
    const bytes = count * SECTOR_BYTES;
    if (flags !== 0 || handle !== 0 || slot >= PROBE_SLOTS || bytes === 0 || bytes > SEGMENT_BYTES) {
      this.violation(`${frameName(op)} of ${bytes} bytes in slot ${slot} of handle ${handle}, flags ${flags}`);
    } else if (op === OP.WRITE) {
      this.connection.encoder.io(OP.WRITE | ANSWER, 0, STATUS.OK, slot, seq, lba, count);
    } else if (this.reads.isFull) {
      this.violation(`More than ${PROBE_SLOTS} READs are waiting`);
    } else {
      this.reads.push({ ...header });
    }
  }

  /** Answers READs until the limit per event-loop turn is reached or the client has left too many answers unread. */
  private answerReads(): void {
    const { encoder } = this.connection;
    while (this.reads.length > 0 && this.turnBytes < PROBE_TURN_BYTES && encoder.queuedBytes < PROBE_TURN_BYTES) {
      const { slot, seq, lba, count } = this.reads.shift()!;
      const bytes = count * SECTOR_BYTES;
      const at = encoder.beginIo(bytes);
      // The buffer's earlier content must not leak to the client.
      encoder.buffer.fill(0, at, at + bytes);
      encoder.endIo(OP.READ | ANSWER, 0, STATUS.OK, slot, seq, lba, count, bytes);
      this.turnBytes += bytes;
    }
    encoder.flush();
    if (this.turnBytes > 0) this.turn ??= this.ports.clock.after(0, () => this.nextTurn());
  }

  private nextTurn(): void {
    this.turn = null;
    this.turnBytes = 0;
    this.answerReads();
  }

  private control(header: Header, body: Buffer, offset: number): void {
    try {
      if (header.op === OP.BYE) {
        this.connection.close(`The client said: ${Farewell.decode(body, offset, header.length).sentence}`, false);
        return;
      }
      const pong = this.heartbeat.onPing(Ping.decode(body, offset, header.length), this.ports.clock.monotonicMs(), 0, this.generation);
      this.connection.encoder.message(OP.PONG, 0, 0, 0, 0, 0, Ping.encode(pong));
    } catch (error) {
      if (!(error instanceof RsError)) throw error;
      this.violation(error.message);
    }
  }

  private violation(what: string): void {
    this.connection.close(`Protocol error of the client: ${what}`, true);
  }
}
