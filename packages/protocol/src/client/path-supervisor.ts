// Keeps one path up between a client interface and a server interface: connects, authenticates, and passes each connection to the server's
// trunk. When the path goes down, the supervisor reconnects: almost at once if the connection lasted long, otherwise after waits of
// increasing length. A path that fails too often is put on probation. Invariant: a path has at most one connection at a time. Every state
// except `retired` is ended by a timer or an event. See docs/PROTOCOL.md, Encrypted paths.

import { Backoff } from '@rsio/base/lib/backoff';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import type { PathState } from '@rsio/base/lib/path-states';
import { checkMove, type StateTable } from '@rsio/base/lib/state-table';
import { Histogram } from '@rsio/base/structures/histogram';
import { ClientHandshake, type ClientIdentity } from '../auth/handshake-client.ts';
import { type RandomBytes, wholeFrame } from '../auth/handshake-frames.ts';
import { HANDSHAKE_MESSAGE_MAX_BYTES, HANDSHAKE_PATIENCE_MS, PROOF_TIMEOUT_MS } from '../auth/limits.ts';
import { Connection, type ConnectionEvents, type ConnectionPools } from '../link/connection.ts';
import { type Directions, UNKNOWN_DIRECTIONS } from '../link/heartbeat.ts';
import type { Connector, PathTransport, TlsKey } from '../link/path-transport.ts';
import { FEATURE } from '../wire/features.ts';
import type { Header } from '../wire/header.ts';
import { MESSAGE_MAX_BYTES } from '../wire/limits.ts';
import type { Challenge } from '../wire/messages.ts';
import {
  DRAINING_RETRY_MS,
  JOIN_RETRY_MS,
  PATH_SETTLED_MS,
  PROBATION_DEATHS,
  PROBATION_MS,
  PROBATION_WINDOW_MS,
  RECONNECT_AWAY_GROWTH,
  RECONNECT_FIRST_MS,
  RECONNECT_GROWTH,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
  WRONG_KEY_RETRY_MAX_MS,
  WRONG_KEY_RETRY_MIN_MS,
} from './limits.ts';
import type { FirstHandshakeEvents } from './paths/first-handshake.ts';
import type { PathLatencies, PathTotals } from './paths/path-load.ts';
import type { Path } from './paths/path.ts';
import type { PathStatusEvents, Presentation, Trunk } from './trunk.ts';

//   down or probation --wait over--> connecting --TCP--> proving --WELCOME--> up <--silence, answer--> suspect
//    ^                                   |                  |                 |                         |
//    +---------- attempt failed ---------+------------------+--connection lost+-------------------------+
//
// A path that has failed too often goes to `probation` instead of `down`, and waits longer there. Any state changes to `retired` when the
// path is no longer wanted.
const STATES: StateTable<PathState> = {
  down: ['connecting', 'retired'],
  connecting: ['proving', 'down', 'retired'],
  proving: ['up', 'down', 'retired'],
  up: ['suspect', 'down', 'probation', 'retired'],
  suspect: ['up', 'down', 'probation', 'retired'],
  probation: ['connecting', 'retired'],
  retired: [],
};

export interface Endpoints {
  readonly localAddress: string;
  readonly address: string;
  readonly port: number;
}

export interface SupervisorPorts {
  readonly clock: Clock;
  readonly connector: Connector;
  readonly random: RandomBytes;
  readonly pools: ConnectionPools;
  /** Returns the trunk for the server that sent this CHALLENGE. Throws an RsError if that server must not be used. */
  trunkFor(supervisor: PathSupervisor, challenge: Challenge): Trunk;
  stateChanged(supervisor: PathSupervisor, from: PathState, to: PathState, reason: string): void;
}

export class PathSupervisor implements ConnectionEvents, PathStatusEvents, FirstHandshakeEvents {
  readonly endpoints: Endpoints;
  state: PathState = 'down';
  sinceMs: number;
  path: Path | null = null;
  trunk: Trunk | null = null;
  lastError: RsError | null = null;
  lastErrorSentence: string | null = null;
  lastErrorMs: number | null = null;
  deaths = 0;
  /** Path number of the last connection, for the log. */
  lastNumber = 0;
  readonly latencies: PathLatencies;
  private past = { requests: 0, sentBytes: 0, receivedBytes: 0, resent: 0, hedged: 0, probed: 0, dropped: 0 };
  private readonly ports: SupervisorPorts;
  /** Identity of this client. If the owner changes this field, the next connection uses the new identity. */
  identity: ClientIdentity;
  private readonly backoff: Backoff;
  /**
   * Back-off while the server rejects this client's key. Frequent retries would only use up the attempts that the server permits for this
   * node (see ProofLimits).
   */
  private readonly keyBackoff: Backoff;
  private readonly unit: () => number;
  /** Recent failures that may be the fault of the path, each with the session in which it happened. */
  private readonly recentDeaths: { readonly atMs: number; readonly session: Buffer | null }[] = [];
  private upSinceMs = 0;
  /** Number of consecutive connections that lasted less than PATH_SETTLED_MS. */
  private shortConnections = 0;
  /** Monotonic time at which the next attempt would be due if the path were not on probation. */
  private retryAtMs = 0;
  /** State of both directions of the path when the last connection ended. */
  private lastDirections: Directions = UNKNOWN_DIRECTIONS;
  private timer: Timer | null = null;
  private connecting: { cancel(): void } | null = null;
  private connection: Connection | null = null;
  private handshake: ClientHandshake | null = null;
  private challenge: Challenge | null = null;
  /** True from START_TLS until the connection is encrypted. */
  private isSecuring = false;
  private presentation: Presentation | null = null;
  /**
   * Delay before the next attempt if the current attempt ends without an error; null if the back-off determines the delay. An attempt ends
   * without an error if another path authenticates first or the session to join no longer exists.
   */
  private againMs: number | null = null;
  /** Number of consecutive handshakes in which the server did not answer in time. */
  private lateHandshakes = 0;

  /**
   * `replaced`: a supervisor of the same path that the new supervisor will replace. The latencies of both supervisors are counted together.
   */
  constructor(endpoints: Endpoints, identity: ClientIdentity, ports: SupervisorPorts, replaced: PathSupervisor | null) {
    this.latencies = replaced?.latencies ?? { read: new Histogram(), write: new Histogram() };
    this.endpoints = endpoints;
    this.identity = identity;
    this.ports = ports;
    this.sinceMs = ports.clock.wallMs();
    this.unit = () => ports.random(4).readUInt32BE(0) / 2 ** 32;
    this.backoff = new Backoff(RECONNECT_MIN_MS, RECONNECT_MAX_MS, this.unit, RECONNECT_GROWTH);
    this.keyBackoff = new Backoff(WRONG_KEY_RETRY_MIN_MS, WRONG_KEY_RETRY_MAX_MS, this.unit);
  }

  get totals(): PathTotals {
    const { path, past } = this;
    return {
      requests: past.requests + (path?.requests ?? 0),
      sentBytes: past.sentBytes + (path?.connection.sentBytes ?? 0),
      receivedBytes: past.receivedBytes + (path?.connection.receivedBytes ?? 0),
      unansweredBytes: path?.load.unansweredBytes ?? 0,
      resent: past.resent + (path?.resent ?? 0),
      hedged: past.hedged + (path?.hedged ?? 0),
      probed: past.probed + (path?.probed ?? 0),
      dropped: past.dropped + (path?.dropped ?? 0),
      deaths: this.deaths,
      roundTripMs: path?.roundTripMs ?? null,
      receivingBytesPerSecond: path?.load.receiving.bytesPerSecond ?? null,
      sendingBytesPerSecond: path?.load.sending.bytesPerSecond ?? null,
    };
  }

  /** Adds the counters of `replaced`, the supervisor that this supervisor replaces. */
  continueFrom(replaced: PathSupervisor): void {
    const { totals, deaths } = replaced;
    for (const key of ['requests', 'sentBytes', 'receivedBytes', 'resent', 'hedged', 'probed', 'dropped'] as const)
      this.past[key] += totals[key];
    this.deaths += deaths;
  }

  /** Number of consecutive attempts that failed or led to a short connection; 0 while the path is up. */
  get retries(): number {
    return this.path === null ? this.backoff.retries + this.keyBackoff.retries : 0;
  }

  /**
   * State of both directions of the current connection. If there is no connection, shows which directions had failed when the last
   * connection ended.
   */
  get directions(): Directions {
    return this.path === null ? this.lastDirections : this.path.heartbeat.directions(this.ports.clock.monotonicMs());
  }

  /** Starts the supervisor. If the supervisor is already waiting for the next attempt, ends the wait and connects at once. */
  start(): void {
    if (this.state !== 'down' && this.state !== 'probation') return;
    this.timer?.cancel();
    this.connect();
  }

  /**
   * Called when an attempt is likely to succeed or is urgent. Connects at once. If the last connections were short, this call only ends the
   * probation of the path.
   */
  retrySoon(): void {
    if (this.shortConnections === 0) this.start();
    else if (this.state === 'probation') this.retryIn(Math.max(0, this.retryAtMs - this.ports.clock.monotonicMs()));
  }

  /**
   * Called when the route works again or the key has changed. Like `retrySoon`, but also restarts a TCP connection attempt that is in
   * progress.
   */
  routeOpened(): void {
    this.keyBackoff.reset();
    this.connecting?.cancel();
    if (this.connecting === null) this.retrySoon();
    else this.connect();
  }

  /** Called when another part of the client has detected a problem, such as a missing carrier: makes the path suspect if it is up. */
  distrust(reason: string): void {
    if (this.path !== null) this.trunk?.distrust(this.path, reason);
  }

  /** Called when another part of the client has detected a failure, such as a removed address: resets the connection if the path is up. */
  cut(reason: string): void {
    this.path?.connection.close(reason, true);
  }

  /** Ends the supervisor permanently. */
  retire(reason: string): void {
    if (this.state === 'retired') return;
    this.timer?.cancel();
    this.connecting?.cancel();
    this.connecting = null;
    this.move('retired', reason);
    this.leaveTrunk();
    this.connection?.close(reason, false);
    this.path?.connection.finish(reason);
  }

  private connect(): void {
    const { localAddress, address, port } = this.endpoints;
    this.move('connecting', '');
    this.connecting = this.ports.connector.connect(
      localAddress,
      address,
      port,
      (transport) => this.connected(transport),
      (reason) => this.fail(new RsError('E_UNREACHABLE', `No connection from ${localAddress} to ${address} port ${port}: ${reason}`)),
    );
  }

  private connected(transport: PathTransport): void {
    this.connecting = null;
    this.move('proving', '');
    const connection = new Connection(transport, this.ports.pools, this);
    connection.decoder.messageMaxBytes = HANDSHAKE_MESSAGE_MAX_BYTES;
    connection.decoder.ioMaxBytes = 0;
    this.connection = connection;
    this.handshake = new ClientHandshake(this.identity, this.ports.random);
    this.challenge = null;
    this.isSecuring = false;
    this.presentation = null;
    this.expectAnswer(this.patienceMs);
    this.send(this.handshake.start());
  }

  /**
   * Time to wait for an answer that requires no work on the server. The time is short, because a new connection is faster than waiting for
   * a lost answer.
   */
  private get patienceMs(): number {
    return Math.min(PROOF_TIMEOUT_MS, HANDSHAKE_PATIENCE_MS * 2 ** this.lateHandshakes);
  }

  private expectAnswer(withinMs: number): void {
    this.timer?.cancel();
    this.timer = this.ports.clock.after(withinMs, () => {
      this.lateHandshakes++;
      this.failLate(withinMs, '');
    });
  }

  private failLate(afterMs: number, more: string): void {
    const { address, port } = this.endpoints;
    this.fail(new RsError('E_TIMEOUT', `${address} port ${port} did not finish the handshake within ${Math.round(afterMs)} ms${more}`));
  }

  private send(frame: Buffer): void {
    this.connection?.encoder.raw(frame);
    this.connection?.encoder.flush();
  }

  // --- ConnectionEvents, while proving

  bodyBegins(): void {}

  frame(header: Header, body: Buffer, offset: number): void {
    try {
      if (this.isSecuring) throw new RsError('E_PROTOCOL', `${this.endpoints.address} port ${this.endpoints.port} sent data outside TLS`);
      const whole = wholeFrame(header, body, offset);
      if (this.challenge === null) this.challenged(whole);
      else if (this.handshake?.awaitsTls === true) this.secure(this.handshake.onStartTls(whole));
      else this.welcomed(whole);
    } catch (error) {
      if (!(error instanceof RsError)) throw error;
      this.fail(error);
    }
  }

  received(): void {}

  drained(): void {}

  closed(reason: string): void {
    if (this.state === 'proving')
      this.fail(new RsError('E_RESET', `${this.endpoints.address} port ${this.endpoints.port} ended the handshake: ${reason}`));
  }

  private challenged(frame: Buffer): void {
    const challenge = this.handshake!.onChallenge(frame);
    this.challenge = challenge;
    const trunk = this.ports.trunkFor(this, challenge);
    this.trunk = trunk;
    const presentation = trunk.present(challenge, this);
    this.presentation = presentation;
    if (presentation.kind === 'wait') {
      this.againMs = JOIN_RETRY_MS;
      this.fail(new RsError('E_TIMEOUT', 'Another path of this server is proving first'));
      return;
    }
    const joining = presentation.kind === 'join' ? { session: presentation.session, secret: presentation.secret } : null;
    // The server may have to wait for the end of the old session before it starts a new one.
    this.expectAnswer(joining === null ? PROOF_TIMEOUT_MS : this.patienceMs);
    this.send(this.handshake!.proof(joining, presentation.kind === 'join' ? presentation.dead : []));
  }

  private secure(key: TlsKey): void {
    this.isSecuring = true;
    this.connection?.startTls(key, () => {
      this.isSecuring = false;
    });
  }

  private welcomed(frame: Buffer): void {
    const handshake = this.handshake!;
    const welcome = handshake.onWelcome(frame);
    const { trunk, challenge, presentation, connection } = this;
    if (trunk === null || challenge === null || presentation === null || connection === null) return;
    if (presentation.kind === 'join' && trunk.session?.id.equals(presentation.session) !== true) {
      this.fail(new RsError('E_NO_SESSION', 'The session was replaced while this path was joining it'));
      return;
    }
    if (presentation.kind === 'join' && !trunk.isNumberFree(welcome.path)) {
      this.fail(new RsError('E_PROTOCOL', `The server gave path number ${welcome.path} twice`));
      return;
    }
    this.timer?.cancel();
    this.lateHandshakes = 0;
    this.keyBackoff.reset();
    this.upSinceMs = this.ports.clock.monotonicMs();
    this.lastDirections = UNKNOWN_DIRECTIONS;
    connection.decoder.messageMaxBytes = MESSAGE_MAX_BYTES;
    connection.decoder.ioMaxBytes = BODY_MAX_BYTES;
    connection.decoder.digest = challenge.features.includes(FEATURE.DIGEST);
    connection.encoder.digest = connection.decoder.digest;
    this.connection = null;
    this.presentation = null;
    this.lastNumber = welcome.path;
    this.move('up', '');
    this.path =
      presentation.kind === 'join'
        ? trunk.join(connection, welcome, presentation.dead, this)
        : trunk.begin(connection, welcome, handshake.sessionSecret, challenge, this);
    this.forgiveSessionEnd();
  }

  /** If the session has changed since the last failure, does not count this failure, because the end of the session caused the failure. */
  private forgiveSessionEnd(): void {
    const last = this.recentDeaths.at(-1);
    const session = this.trunk?.session?.id;
    if (last !== undefined && session !== undefined && last.session?.equals(session) !== true) this.recentDeaths.pop();
  }

  // --- FirstHandshakeEvents, while proving

  overtaken(afterMs: number): void {
    this.failLate(afterMs, ': another path goes first');
  }

  // --- PathStatusEvents, while up

  pathSuspect(path: Path, suspect: boolean, reason: string): void {
    if (path !== this.path) return;
    if (suspect) this.recordError(new RsError('E_TIMEOUT', reason), `Suspect: ${reason}`);
    this.move(suspect ? 'suspect' : 'up', reason);
  }

  pathDown(path: Path, reason: string): void {
    if (path !== this.path) return;
    const nowMs = this.ports.clock.monotonicMs();
    this.past = this.totals;
    this.lastDirections = path.isBlameless ? UNKNOWN_DIRECTIONS : path.heartbeat.failures(nowMs);
    this.path = null;
    if (this.state === 'retired') return;
    this.deaths++;
    const upMs = nowMs - this.upSinceMs;
    const isSettled = upMs >= PATH_SETTLED_MS;
    this.shortConnections = isSettled ? 0 : this.shortConnections + 1;
    if (isSettled) this.backoff.reset();
    // The back-off is the time between two connection attempts, so subtract the time for which the path was up.
    const delayMs = Math.max(RECONNECT_FIRST_MS * this.unit(), isSettled ? 0 : this.backoff.nextMs() - upMs);
    this.retryAtMs = nowMs + delayMs;
    this.recordError(new RsError('E_RESET', reason), reason);
    const flaps = this.countDeath(path, nowMs) && this.trunk !== null && this.trunk.paths.length > 0;
    this.move(flaps ? 'probation' : 'down', reason);
    // The handler of `stateChanged` may already have started the next attempt.
    if (this.state === 'down' || this.state === 'probation') this.retryIn(flaps ? PROBATION_MS : delayMs);
  }

  /** Returns true if the path has failed too often recently. */
  private countDeath(path: Path, nowMs: number): boolean {
    const deaths = this.recentDeaths;
    if (!path.isBlameless) deaths.push({ atMs: nowMs, session: this.trunk?.session?.id ?? null });
    while (deaths.length > 0 && nowMs - deaths[0]!.atMs > PROBATION_WINDOW_MS) deaths.shift();
    return !path.isBlameless && deaths.length >= PROBATION_DEATHS;
  }

  private fail(error: RsError): void {
    const isTrying = this.state === 'connecting' || this.state === 'proving';
    if (!isTrying) return;
    this.connecting = null;
    this.timer?.cancel();
    if (error.code === 'E_NO_SESSION' && this.presentation?.kind === 'join') {
      const isBelieved = this.trunk?.sessionRefused(this.presentation.session, error.context['proved'] === true) === true;
      if (isBelieved) this.againMs = RECONNECT_FIRST_MS * this.unit();
    }
    const isWaiting = this.presentation?.kind === 'wait';
    this.leaveTrunk();
    const reason = `${error.message} [${error.code}]`;
    const { againMs, connection } = this;
    this.againMs = null;
    this.connection = null;
    // Do not replace the earlier error with E_LIMIT (too many wrong proofs), because the earlier error says why the proofs are wrong.
    const isLimited = error.code === 'E_LIMIT' && this.keyBackoff.retries > 0;
    if (againMs === null && !isLimited) this.recordError(error, reason);
    const delayMs = againMs ?? this.delayAfter(error.code, isLimited);
    this.move('down', isWaiting ? '' : reason);
    connection?.close(error.message, false);
    // The handler of `stateChanged` may already have started the next attempt or retired the path.
    if (this.state === 'down') this.retryIn(delayMs);
  }

  private delayAfter(code: ErrorCode, isLimited: boolean): number {
    if (code === 'E_AUTH' || isLimited) return this.keyBackoff.nextMs();
    // E_DRAINING proves for a short time that the server is alive, so try again before the proof expires.
    if (code === 'E_DRAINING') return Math.min(DRAINING_RETRY_MS, this.backoff.nextMs());
    return this.backoff.nextMs(code === 'E_UNREACHABLE' ? RECONNECT_AWAY_GROWTH : RECONNECT_GROWTH);
  }

  private leaveTrunk(): void {
    if (this.presentation?.kind === 'first') this.trunk?.firstFailed(this);
    this.presentation = null;
  }

  private recordError(error: RsError, sentence: string): void {
    this.lastError = error;
    this.lastErrorSentence = sentence;
    this.lastErrorMs = this.ports.clock.wallMs();
  }

  private retryIn(delayMs: number): void {
    this.timer?.cancel();
    this.timer = this.ports.clock.after(delayMs, () => this.connect());
  }

  private move(to: PathState, reason: string): void {
    const from = this.state;
    if (from === to) return;
    checkMove(STATES, from, to, `Path ${this.endpoints.localAddress} to ${this.endpoints.address}`);
    this.state = to;
    this.sinceMs = this.ports.clock.wallMs();
    this.ports.stateChanged(this, from, to, reason);
  }
}
