// The server's end of one path of a session. A server path answers heartbeats, passes complete requests to the session, and holds READs
// back while the client has too many unread answers. Each path logs its start and end, at a limited rate (rate-limited-log.ts). A READ that
// is held back counts as not yet received. The path processes a held READ when there is room, or drops the READ if the path closes first.
// Invariant: log lines about paths on one interface never suppress log lines about paths on another interface.
// See docs/PROTOCOL.md, Backpressure.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { assert, counted } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { addressKey } from '@rsio/base/lib/subnet';
import { FixedQueue } from '@rsio/base/structures/fixed-queue';
import { Connection, type ConnectionEvents, type ConnectionPools } from '@rsio/protocol/link/connection';
import { Heartbeat } from '@rsio/protocol/link/heartbeat';
import { OUTPUT_HARD_MAX_BYTES, SEGMENT_BYTES, SERVER_DEAD_AFTER_MS } from '@rsio/protocol/link/limits';
import type { PathTransport } from '@rsio/protocol/link/path-transport';
import type { AgreedTls } from '@rsio/protocol/link/tls-starts';
import { buildWelcome, type Proven } from '@rsio/protocol/auth/handshake-server';
import { FEATURE } from '@rsio/protocol/wire/features';
import { ANSWER, frameEntry, frameName, OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { SLOTS } from '@rsio/protocol/wire/limits';
import { Farewell, Ping, Revoke, type ServerInterface, type Welcome } from '@rsio/protocol/wire/messages';
import type { PathFigures } from '../volumes/statistics/volume-counters.ts';
import { ANSWERS_QUEUED_ENCRYPTED_MAX_BYTES, ANSWERS_QUEUED_MAX_BYTES, SYNC_BATCH_MAX_MS, UNLISTED_PATH_MS } from './limits.ts';

export interface Admission {
  /** Key for the MAC of WELCOME, in hexadecimal. */
  readonly welcomeKey: string;
  readonly transcript: string;
  /** Key with which the path begins TLS before WELCOME; null for a plain path. */
  readonly tls: AgreedTls | null;
  readonly arrivedAt: ServerInterface;
  readonly digest: boolean;
  /** True if the client may send REVOKE. */
  readonly mayRevoke: boolean;
  /** True if the client may send ADMIN. */
  readonly mayAdminister: boolean;
  /** True if the client may send VOTE. */
  readonly mayVote: boolean;
  /** Numbers of the paths that the client considers dead. */
  readonly dead: readonly number[];
}

/** Returns what a session needs to know about a connection that the handshake has proved. */
export function admissionOf(proven: Proven, arrivedAt: ServerInterface): Admission {
  const { welcomeKey, transcript, tlsPsk, features, hello, proof } = proven;
  return {
    welcomeKey,
    transcript,
    tls: tlsPsk === null ? null : { identity: hello.node, psk: tlsPsk },
    arrivedAt,
    digest: features.includes(FEATURE.DIGEST),
    mayRevoke: features.includes(FEATURE.REVOKE),
    mayAdminister: features.includes(FEATURE.ADMIN),
    mayVote: features.includes(FEATURE.MIRROR),
    dead: proof.dead,
  };
}

export interface ServerPathEvents {
  /** Called for each complete request that has a slot. The body is valid only during the call. */
  request(path: ServerPath, header: Header, body: Buffer, offset: number): void;
  fence(path: ServerPath, number: number): void;
  /** Called for a REVOKE of a handle. `tags` contains pairs of slot and seq. */
  revokeHandle(path: ServerPath, handle: number, tags: readonly number[]): void;
  clientEnds(sentence: string): void;
  /** Returns the age of the session's oldest executing request in ms. */
  oldestMs(): number;
  generation(): number;
  /** Called at the end of each event that may have delivered requests. `nowMs` is the time of the call. */
  batchEnded(nowMs: number): void;
  /** Closes a path of the session if the client leaves too many answers unread. */
  relieve(): void;
  /**
   * Returns false if the session's paths have too many unread answers in total. If the result is false, a path must hold READs back until
   * `takeWaiting` is called.
   */
  hasRoom(path: ServerPath): boolean;
  drained(path: ServerPath): void;
  pathClosed(path: ServerPath, reason: string): void;
}

/** Number of frames between two checks of the clock. */
const FRAMES_PER_LOOK = 16;
const EMPTY = Buffer.alloc(0);

export class ServerPath implements ConnectionEvents {
  readonly number: number;
  readonly connection: Connection;
  readonly arrivedAt: ServerInterface;
  private readonly mayRevoke: boolean;
  private readonly mayAdminister: boolean;
  private readonly mayVote: boolean;
  private readonly events: ServerPathEvents;
  private readonly clock: Clock;
  private readonly heartbeat: Heartbeat;
  private readonly held = new FixedQueue<Header>(SLOTS);
  /**
   * A READ whose re-execution must wait, because too many bytes are already being read again. The deferred READ is processed before the
   * READs that are held back.
   */
  private deferred: Header | null = null;
  /** Bytes of READs in progress whose answers go to this path. */
  private owedBytes = 0;
  private framesTaken = 0;
  private requests = 0;
  private readonly sinceMs: number;
  private eventStartMs = 0;
  private isFlushScheduled = false;
  /** Time at which this path's interface was removed from the server's list; null while the interface is listed. */
  private unlistedSinceMs: number | null = null;

  constructor(
    number: number,
    { arrivedAt, mayRevoke, mayAdminister, mayVote }: Pick<Admission, 'arrivedAt' | 'mayRevoke' | 'mayAdminister' | 'mayVote'>,
    transport: PathTransport,
    pools: ConnectionPools,
    clock: Clock,
    events: ServerPathEvents,
  ) {
    this.number = number;
    this.arrivedAt = arrivedAt;
    this.mayRevoke = mayRevoke;
    this.mayAdminister = mayAdminister;
    this.mayVote = mayVote;
    this.events = events;
    this.clock = clock;
    this.sinceMs = clock.wallMs();
    this.heartbeat = new Heartbeat(HEARTBEAT_INTERVAL_MS, clock.monotonicMs());
    this.connection = new Connection(transport, pools, this);
  }

  /** Monotonic time at which the path was opened, or last received something. */
  get lastReceivedMs(): number {
    return this.heartbeat.lastReceivedMs;
  }

  figures(): PathFigures {
    const { arrivedAt, connection, sinceMs, requests } = this;
    const { remoteAddress: address, cipher } = connection.transport;
    return { interface: arrivedAt.name, address, sinceMs, requests, cipher };
  }

  /** Sends WELCOME. If `version` is given, WELCOME names this release and the server's time. */
  welcome({ welcomeKey, transcript, digest }: Admission, welcome: Omit<Welcome, 'path'>, version?: string): void {
    const { encoder, decoder } = this.connection;
    const about = version === undefined ? {} : { release: version, wallMs: Math.floor(this.clock.wallMs()) };
    encoder.raw(buildWelcome(welcomeKey, transcript, { ...welcome, path: this.number, ...about }));
    encoder.flush();
    encoder.digest = digest;
    decoder.digest = digest;
  }

  /** Called once in every heartbeat interval. */
  tick(nowMs: number): void {
    if (nowMs - this.heartbeat.lastReceivedMs > SERVER_DEAD_AFTER_MS) {
      this.connection.close(`Nothing was received for ${Math.round(nowMs - this.heartbeat.lastReceivedMs)} ms`, true);
      return;
    }
    // The path stays open for a while, so that the client can connect to another interface first and no I/O waits. A client whose
    // configuration lists the interfaces never closes the path, so the server must close it.
    if (this.unlistedSinceMs !== null && nowMs - this.unlistedSinceMs > UNLISTED_PATH_MS) {
      this.bye('E_DRAINING', `Interface ${this.arrivedAt.name} was removed from the server's configuration`);
      return;
    }
    if (!this.heartbeat.isDue(nowMs)) return;
    const ping = this.heartbeat.ping(nowMs, this.events.oldestMs(), this.events.generation());
    this.connection.encoder.message(OP.PING, 0, 0, 0, 0, 0, Ping.encode(ping));
    this.connection.encoder.flush();
  }

  /**
   * Called with the server's new list of interfaces. If the list lacks this path's interface, the path is closed after UNLISTED_PATH_MS.
   */
  listed(interfaces: readonly ServerInterface[]): void {
    const { address, port } = this.arrivedAt;
    const isListed = interfaces.some((one) => one.port === port && addressKey(one.address) === addressKey(address));
    if (isListed) this.unlistedSinceMs = null;
    else this.unlistedSinceMs ??= this.clock.monotonicMs();
  }

  notify(generation: number): void {
    this.connection.encoder.message(OP.NOTIFY, 0, 0, 0, 0, generation, EMPTY);
    this.connection.encoder.flush();
  }

  /** Sends BYE, then closes. */
  bye(code: string, sentence: string): void {
    this.connection.encoder.message(OP.BYE, 0, 0, 0, 0, 0, Farewell.encode({ code, sentence }));
    this.connection.finish(sentence);
  }

  violation(what: string): void {
    this.connection.close(`Protocol error of the client: ${what}`, true);
  }

  /** Closes the path, because a second copy of a request arrived on it before the first copy was answered. */
  duplicated({ op, slot, seq }: Header): void {
    this.violation(`A second copy of ${frameName(op)} in slot ${slot} seq ${seq}, which this path is already waiting for`);
  }

  // --- ConnectionEvents

  bodyBegins(header: Header): void {
    this.check(header);
  }

  frame(header: Header, body: Buffer, offset: number): void {
    if (!this.check(header)) return;
    if (header.op === OP.READ) {
      if (this.mustHold()) this.hold(header);
      else {
        this.requests++;
        this.events.request(this, header, body, offset);
      }
      return;
    }
    if (frameEntry(header.op)?.isSlotted === true) {
      this.requests++;
      this.events.request(this, header, body, offset);
      return;
    }
    try {
      this.control(header, body, offset);
    } catch (error) {
      if (!(error instanceof RsError)) throw error;
      this.violation(error.message);
    }
  }

  received(): void {
    const nowMs = this.clock.monotonicMs();
    this.heartbeat.received(nowMs);
    this.events.batchEnded(nowMs);
    this.framesTaken = 0;
    this.connection.encoder.flush();
    this.events.relieve();
  }

  drained(): void {
    if (this.held.length > 0) this.takeHeld();
    this.events.drained(this);
  }

  closed(reason: string): void {
    this.held.clear();
    this.deferred = null;
    this.events.pathClosed(this, reason);
  }

  /** Sends the queued answers together at the end of the current event. */
  flushSoon(): void {
    if (this.isFlushScheduled) return;
    this.isFlushScheduled = true;
    this.clock.soon(() => {
      this.isFlushScheduled = false;
      if (!this.connection.isClosed) this.connection.encoder.flush();
    });
  }

  /** Bytes of the answers on this path that the client has not read, plus the bytes that READs in progress will add. */
  get unreadBytes(): number {
    return this.connection.encoder.queuedBytes + this.owedBytes;
  }

  /**
   * Adds the bytes of a READ that has begun and whose answer goes to this path. A negative number subtracts the bytes of a READ that has
   * ended.
   */
  owe(bytes: number): void {
    this.owedBytes = counted(this.owedBytes + bytes, 'bytes that a path owes');
  }

  /** Processes READs that were held back. */
  takeWaiting(): void {
    if (this.deferred === null && this.held.length > 0) this.takeHeld();
  }

  /** Defers a READ whose re-execution must wait. The deferred READ counts as not yet received, and later READs wait behind it. */
  defer(header: Header): void {
    assert(this.deferred === null, 'A path defers two READs');
    this.deferred = { ...header };
  }

  revoked(handle: number): void {
    this.connection.encoder.message(OP.REVOKED, 0, 0, 0, 0, handle, EMPTY);
    this.flushSoon();
  }

  /** Processes the deferred READ, and then the READs that were held back behind it. */
  takeDeferred(): void {
    const { deferred } = this;
    if (deferred === null) return;
    this.deferred = null;
    this.events.request(this, deferred, EMPTY, 0);
    if (this.deferred === null) this.takeHeld();
  }

  private takeHeld(): void {
    this.framesTaken = 0;
    while (this.held.length > 0 && !this.connection.isClosed) {
      if (this.mustWait()) break;
      this.requests++;
      this.events.request(this, this.held.shift()!, EMPTY, 0);
    }
    this.events.batchEnded(this.clock.monotonicMs());
    if (!this.connection.isClosed) this.connection.encoder.flush();
  }

  /**
   * Returns true if a READ must be held back: if earlier READs are held back, if the client has too many unread answers, or if this path
   * must yield to the event loop.
   */
  private mustHold(): boolean {
    return this.held.length > 0 || this.mustWait();
  }

  private mustWait(): boolean {
    if (this.deferred !== null) return true;
    const { encoder, transport } = this.connection;
    if (encoder.queuedBytes > (transport.cipher === null ? ANSWERS_QUEUED_MAX_BYTES : ANSWERS_QUEUED_ENCRYPTED_MAX_BYTES)) return true;
    if (this.unreadBytes > SEGMENT_BYTES && !this.events.hasRoom(this)) return true;
    if (this.framesTaken++ % FRAMES_PER_LOOK !== 0) return false;
    const nowMs = this.clock.monotonicMs();
    if (this.framesTaken === 1) this.eventStartMs = nowMs;
    if (nowMs - this.eventStartMs <= SYNC_BATCH_MAX_MS) return false;
    this.clock.after(0, () => this.takeHeld());
    return true;
  }

  private hold(header: Header): void {
    if (this.held.isFull) {
      this.violation(`More than ${SLOTS} READs unanswered on one path`);
      return;
    }
    this.held.push({ ...header });
  }

  /**
   * Returns true if a client may send the given frame. Any other frame (an answer, a handshake frame or a frame that only servers send)
   * closes the path.
   */
  private check(header: Header): boolean {
    if (header.op === OP.READ || header.op === OP.WRITE) return true;
    const entry = frameEntry(header.op);
    assert(entry !== undefined, 'The decoder lets unknown ops through');
    const isFine = (header.op & ANSWER) === 0 && entry.from !== 'server' && header.op >= OP.BYE;
    const isUnagreed = (header.op === OP.ADMIN && !this.mayAdminister) || (header.op === OP.VOTE && !this.mayVote);
    if (!isFine) this.violation(`${frameName(header.op)} is not allowed here`);
    else if (isUnagreed) this.violation(`${frameName(header.op)} was not negotiated`);
    return isFine && !isUnagreed;
  }

  private control(header: Header, body: Buffer, offset: number): void {
    const nowMs = this.clock.monotonicMs();
    switch (header.op) {
      case OP.PING: {
        const pong = this.heartbeat.onPing(
          Ping.decode(body, offset, header.length),
          nowMs,
          this.events.oldestMs(),
          this.events.generation(),
        );
        this.connection.encoder.message(OP.PONG, 0, 0, 0, 0, 0, Ping.encode(pong));
        return;
      }
      case OP.PONG:
        this.heartbeat.onPong(Ping.decode(body, offset, header.length), nowMs);
        return;
      case OP.FENCE:
        this.events.fence(this, header.aux);
        return;
      case OP.REVOKE:
        if (this.mayRevoke) this.events.revokeHandle(this, header.aux, Revoke.decode(body, offset, header.length).tags);
        else this.violation('REVOKE was not negotiated');
        return;
      default: {
        const bye = Farewell.decode(body, offset, header.length);
        this.connection.close(`The client said: ${bye.sentence}`, false);
        this.events.clientEnds(bye.sentence);
      }
    }
  }
}

/**
 * If the unread answers of all paths exceed OUTPUT_HARD_MAX_BYTES, closes the path with the most unread answers. The bound limits the
 * memory for unread answers.
 */
export function relieve(paths: Iterable<ServerPath>): void {
  let [queuedBytes, fullest]: [number, ServerPath | null] = [0, null];
  for (const path of paths) {
    const ownBytes = path.connection.encoder.queuedBytes;
    queuedBytes += ownBytes;
    if (fullest === null || ownBytes > fullest.connection.encoder.queuedBytes) fullest = path;
  }
  if (queuedBytes > OUTPUT_HARD_MAX_BYTES) fullest?.connection.close('The client does not read its answers', true);
}
