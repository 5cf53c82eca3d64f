// Decides which proven clients get a session, and ends the old session that a new session replaces (docs/PROTOCOL.md S9, H4). A node has at
// most one session, and a new session begins only when no request from the old session is running. Each session has a secret that
// authenticates further paths.

// Design. The listener proves clients and carries no data; workers execute requests and admit no client. This class decides which session a
// proven socket joins, and what must end before a session begins. S9 (no request of an old session runs when the new session begins)
// depends on the order of the steps below, so one function, `beginSession`, contains all steps.
//
//   proven socket -- fenced, or plain where TLS is required --> refused
//     |-- join --> the worker of the session          refused if the session has ended, or while its process is blocked
//     v new
//   in transition: one login for each node            a later socket of the same process takes its place; another process tries again
//     1  checkNewcomer          is the instance current, and may it replace the previous instance (H4)?
//     2  noteInstance           records the replacement durably, before the old instance learns that it is replaced
//     3  endOld                 waits until nothing of the old session runs; after OLD_SESSION_WAIT_MS the client has to try again
//     4  checkStillOpen         shutdown, fence, TLS, keys and clients may have changed meanwhile
//     5  readyWorkerSession     chooses a worker that listens and is recorded in RUN (S10); then step 4 again
//     6  in one turn            the session is known, and its worker gets `begin` and the socket
//     v
//   connected --last path closed--> silent --SESSION_LINGER_MS--> told to end
//     |      <--path up------------   |
//     '------ session or process has ended ------> departed: remembered, because step 1 compares a newcomer with it
//
// The other methods end grants of living sessions: for a take-over (step 1 of H2), for a new incarnation (V1), and for a volume that is no
// longer served.
//
// Never done here:
// - No time-out counts as the end of a session. The listener tells a slow session to end, kills its process later, and awaits its end (S9).
// - The end of a session ends no hold (H1). volumes/holds/ keeps the holds, and decides which client may replace an instance.
// - No message of a worker about a volume counts before session-guard.ts has compared it with the grants of the session.

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Proven } from '@rsio/protocol/auth/handshake-server';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { assert } from '@rsio/common/lib/assert';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { RateLimitedLog } from '@rsio/common/log/rate-limited-log';
import type { Log } from '@rsio/common/log/log';
import { CLIENTS_MAX } from '@rsio/common/config/schema/limits';
import { SESSION_ID_BYTES } from '@rsio/protocol/wire/limits';
import { HOLDER_RETURN_MS, OLD_SESSION_WAIT_MS, SESSION_LINGER_MS, TAKE_OVER_REVOKE_MS } from './limits.ts';
import type { Holder, ServerInterface } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { AskingSession } from '../admin/remote/remote-requests.ts';
import type { Bandwidth } from '../volumes/throttle/bandwidth.ts';
import type { SessionStatus } from '../admin/server-views.ts';
import type { SessionRequest, FromSession, ToSession } from '../session/channel/channel.ts';
import type { ClientIdentity } from '../volumes/holds/grants.ts';
import { eventOf } from '../events/event-log.ts';
import type { SessionFigures } from '../volumes/statistics/volume-counters.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import { VolumeUses } from '../volumes/holds/volume-uses.ts';
import { type Admission, admissionOf } from '../session/server-path.ts';
import { clientText } from '../pools/requests/client-text.ts';
import { SessionGuard } from '../session/channel/session-guard.ts';
import type { WorkerSession } from './workers/worker-session.ts';
import { BLOCKED } from './workers/worker-pool.ts';
import type { KeyProven } from './unproven-limiter.ts';

type Answer = Extract<ToSession, { type: 'answer' }>['answer'];

export interface AdmissionPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Rate-limited log for events that a client can cause as often as it likes. */
  readonly limitedLog: RateLimitedLog;
  readonly holds: Holds;
  takeWorkerSession(session: string): WorkerSession;
  beginMessage(node: string): Extract<ToSession, { type: 'begin' }>;
  /** Returns true if the configuration still names the node as a client. */
  isClient(node: string): boolean;
  /** Throws E_FENCED if the node is kept out. */
  checkFence(node: string): void;
  /** Throws E_TLS if a connection with these features is plain and the server accepts only encrypted connections. */
  checkTls(features: readonly string[]): void;
  readonly bandwidth: Bandwidth;
  /** Called with the figures of each report that a session sends. */
  figures(session: string, figures: SessionFigures): void;
  /** Called when writes to a volume may be lost. */
  lost(volumeId: string): void;
  /** Called when a session has found a volume's storage truncated. */
  cut(volumeId: string): void;
  /** Called when the first change of a volume begins to wait for space in the pool, and when the last waiting change has ended. */
  waitsForSpace(session: ServedSession, volumeId: string, isWaiting: boolean, poolId: string | null): void;
  /**
   * Called when changes of volumes are held for the moment `number`, and the session no longer executes a change of any of these volumes.
   */
  held(session: ServedSession, number: number): void;
  /** Answers a session's request. */
  answer(session: ServedSession, request: SessionRequest): Promise<Answer>;
  /** Called when the session has ended and none of its requests is running. */
  sessionEnded(session: ServedSession, isClean: boolean): Promise<void>;
  refuse(socket: Socket, proven: Proven, error: RsError): void;
}

export interface ServedSession {
  readonly id: string;
  readonly secret: Buffer;
  readonly client: ClientIdentity;
  /**
   * The keys that the session's paths have proved: the key of the first path, and further keys if the node's key was changed during the
   * session.
   */
  readonly keys: Set<string>;
  readonly workerSession: WorkerSession;
  /** Wall-clock time at which the session began. */
  readonly beganMs: number;
  readonly uses: VolumeUses;
  /** Generation of the list for this client. The generation grows when something that the client may see changes. */
  generation: number;
  /** Time at which the session's last path closed; null while the session has paths. */
  silentSinceMs: number | null;
  /** Timer that ends the session if it stays without a path. */
  linger: Timer | null;
}

/** Returns the session in the form in which control methods expect an asking session. */
export function askingSession({ id, client: { node }, workerSession }: ServedSession): AskingSession {
  return { id, node, isThere: () => !workerSession.isEnding && !workerSession.isGone };
}

/** A proven connection that asks for a new session. */
interface Login {
  readonly socket: Socket;
  readonly proven: KeyProven & { readonly kind: 'new' };
  readonly admission: Admission;
}

export class Admissions {
  private readonly ports: AdmissionPorts;
  private readonly byNode = new Map<string, ServedSession>();
  /**
   * Maps each node for which a session is being started to the login that will get the session. If another process of the node logs in
   * during the start, it has to try again.
   */
  private readonly inTransition = new Map<string, Login>();
  /**
   * Maps each configured node whose session has ended to the client of that session, and to the time since which the client has been
   * silent.
   */
  private readonly departed = new Map<string, { readonly client: ClientIdentity; readonly silentSinceMs: number }>();
  private readonly sinceMs: number;
  /** Nodes in `inTransition` that a reload has removed or given another key. The proofs of their clients are therefore no longer valid. */
  private readonly dismissedUnderWay = new Set<string>();
  private isClosed = false;

  constructor(ports: AdmissionPorts) {
    this.ports = ports;
    this.sinceMs = ports.clock.monotonicMs();
  }

  get sessions(): ServedSession[] {
    return [...this.byNode.values()];
  }

  /** The OPENs in progress, each with its volume or snapshot. */
  get opening(): (Holder & { readonly id: string })[] {
    const sinceMs = this.ports.clock.wallMs();
    return this.sessions.flatMap(({ uses, client: { node, address } }) =>
      [...uses.openingIds].map((id) => ({ id, node, address, sinceMs })),
    );
  }

  /** Sends a message to every session. */
  tell(message: ToSession): void {
    for (const { workerSession } of this.byNode.values()) workerSession.send(message);
  }

  /** The status of each session, for the list of clients. */
  get statuses(): SessionStatus[] {
    return this.sessions.map(({ client: { node, address }, keys, beganMs, silentSinceMs }) => ({
      node,
      address,
      keys,
      beganMs,
      isSilent: silentSinceMs !== null,
    }));
  }

  /** Returns the secret of a session, for the handshake of a further path; null if this node may not join the session. */
  secretOf(session: Uint8Array, node: string): Buffer | null {
    const served = this.byNode.get(node);
    return served !== undefined && !served.workerSession.isGone && served.id === Buffer.from(session).toString('hex')
      ? served.secret
      : null;
  }

  /** Returns the secret of the node's current session. */
  currentSecretOf(node: string): Buffer | null {
    const served = this.byNode.get(node);
    return served === undefined || served.workerSession.isGone ? null : served.secret;
  }

  /** Passes a proven, paused socket to the worker of its session, or refuses the connection. */
  admit(socket: Socket, proven: KeyProven, arrivedAt: ServerInterface): void {
    const admission = admissionOf(proven, arrivedAt);
    const { node } = proven.hello;
    try {
      this.ports.checkFence(node);
      this.ports.checkTls(proven.features);
    } catch (error) {
      this.ports.refuse(socket, proven, toRsError(error));
      return;
    }
    if (proven.kind === 'join') {
      const served = this.byNode.get(node);
      if (served === undefined)
        this.ports.refuse(socket, proven, new RsError('E_NO_SESSION', 'The session has just ended: begin a new one'));
      else this.join(served, socket, proven, admission);
      return;
    }
    const login = { socket, proven, admission };
    const earlier = this.inTransition.get(node);
    if (earlier === undefined) {
      this.inTransition.set(node, login);
      void this.begin(node, login);
    } else if (isSameProcess(earlier.proven.hello, proven.hello)) {
      // The client has abandoned its earlier connection. The connection of `login` gets the session that was begun for the earlier
      // connection.
      this.inTransition.set(node, login);
      this.ports.refuse(
        earlier.socket,
        earlier.proven,
        new RsError('E_DRAINING', 'A later connection of the same process takes its place'),
      );
    } else this.ports.refuse(socket, proven, new RsError('E_DRAINING', `The previous session of node ${node} is still ending: try again`));
  }

  /** Ends the session of a node that is no longer admitted. The node keeps its holds (H1). */
  dismiss(node: string, sentence: string): void {
    if (this.inTransition.has(node)) this.dismissedUnderWay.add(node);
    this.departed.delete(node);
    void this.byNode.get(node)?.workerSession.end('E_AUTH', sentence);
  }

  /**
   * Ends the session of a node if any path of the session has proved one of these keys. The keys are no longer valid. The node keeps its
   * holds.
   */
  dismissKeys(node: string, keys: readonly string[], sentence: string): void {
    const isDropped = (key: string | undefined): boolean => key !== undefined && keys.includes(key);
    if (isDropped(this.inTransition.get(node)?.proven.key)) this.dismissedUnderWay.add(node);
    const session = this.byNode.get(node);
    if (session !== undefined && [...session.keys].some(isDropped)) void session.workerSession.end('E_AUTH', sentence);
  }

  /** True if the node has a session, or if a session of the node is being started. */
  isThere(node: string): boolean {
    return this.byNode.has(node) || this.inTransition.has(node);
  }

  /** Tells the session of a node to end, and returns the worker session; null if the node has no session. The node keeps its holds. */
  endSession(node: string, code: string, sentence: string): WorkerSession | null {
    const workerSession = this.byNode.get(node)?.workerSession ?? null;
    void workerSession?.end(code, sentence);
    return workerSession;
  }

  /**
   * Revokes the given node's grants of a volume up to `epoch`, because another client takes over the volume. Resolves when no request under
   * these grants is running or the worker has exited; the result is false if writes may be lost. A worker that has not released the volume
   * within TAKE_OVER_REVOKE_MS is told to end the session, but no time-out resolves the promise (S9, H2).
   */
  async revokeForTakeOver(node: string, volumeId: string, epoch: number, why: string): Promise<boolean> {
    const session = this.byNode.get(node);
    if (session === undefined) return true;
    const { workerSession } = session;
    const timer = this.ports.clock.after(TAKE_OVER_REVOKE_MS, () => {
      this.ports.log.warn(`${why}: process ${workerSession.pid} of node ${node} has not released it in time, and is told to end`);
      void workerSession.end('E_NO_SESSION', `${why}, and the server's process did not release it in time`);
    });
    const isFlushed = await workerSession.revoke(volumeId, epoch);
    timer.cancel();
    if (!workerSession.isGone) session.uses.delete(volumeId);
    return isFlushed;
  }

  /** Revokes a volume's grants up to `epoch` in every session. The clients keep their holds and reopen the volume. */
  revoke(volumeId: string, epoch: number): void {
    for (const { uses, workerSession } of this.sessions) if (uses.isGranted(volumeId)) void workerSession.revoke(volumeId, epoch);
  }

  /**
   * Closes all handles of a volume that is no longer served, including handles that are being opened. Resolves when no request on these
   * handles is running. The result is false if writes may be lost.
   */
  async closeHandles(volumeId: string): Promise<boolean> {
    const using = this.sessions.filter(({ uses }) => uses.has(volumeId));
    const flushed = await Promise.all(using.map(({ workerSession }) => workerSession.revoke(volumeId, Number.MAX_SAFE_INTEGER)));
    return flushed.every(Boolean);
  }

  /** Ends the plain paths of all sessions. */
  endPlainPaths(sentence: string): void {
    this.tell({ type: 'end-plain-paths', sentence });
  }

  /** Answers all requests in progress, flushes, and ends every session. No client is admitted after this call. */
  async close(code: string, sentence: string): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.sessions.map((session) => session.workerSession.end(code, sentence)));
  }

  /** Adds a path to a session. If the worker is blocked, the listener itself tells the client that the server is up but slow. */
  private join({ workerSession, keys }: ServedSession, socket: Socket, proven: KeyProven, admission: Admission): void {
    const stillMs = workerSession.blockedMs;
    if (stillMs === null) {
      keys.add(proven.key);
      workerSession.send({ type: 'path', admission }, socket);
      return;
    }
    const process = `Server process ${workerSession.pid} of node ${proven.hello.node} ${BLOCKED}`;
    this.ports.refuse(socket, proven, new RsError('E_DRAINING', `${process}, for ${Math.round(stillMs / 1_000)} s now`));
  }

  /**
   * Begins a session for the login `first`. If a later login of the same process has taken the place of `first`, begins the session for the
   * later login.
   */
  private async begin(node: string, first: Login): Promise<void> {
    try {
      await this.beginSession(clientOf(first));
    } catch (thrown) {
      const { socket, proven } = this.loginOf(node);
      this.ports.refuse(socket, proven, toRsError(thrown));
    } finally {
      this.inTransition.delete(node);
      this.dismissedUnderWay.delete(node);
    }
  }

  private loginOf(node: string): Login {
    const login = this.inTransition.get(node);
    assert(login !== undefined, 'A session begins without a login');
    return login;
  }

  private async beginSession(newcomer: ClientIdentity): Promise<void> {
    const { node } = newcomer;
    this.checkNewcomer(newcomer);
    const old = this.byNode.get(node);
    // The record of the replacement must be durable before the old instance gets E_REPLACED, because an instance that got E_REPLACED never
    // reconnects.
    await this.ports.holds.noteInstance(newcomer, old?.client ?? null);
    if (old !== undefined) await this.endOld(old, newcomer);
    this.checkStillOpen(node);
    if (this.byNode.size >= CLIENTS_MAX) throw new RsError('E_LIMIT', `The server serves ${CLIENTS_MAX} clients already`);
    const id = randomBytes(SESSION_ID_BYTES).toString('hex');
    const workerSession = await this.readyWorkerSession(id, node);
    // From here on, no other login takes the place of `login`.
    const login = this.loginOf(node);
    const { socket, proven, admission } = login;
    const client = clientOf(login);
    const begin = this.ports.beginMessage(node);
    const served: ServedSession = {
      ...{ id, secret: proven.sessionSecret, client, workerSession },
      keys: new Set([proven.key]),
      beganMs: this.ports.clock.wallMs(),
      uses: new VolumeUses(),
      generation: begin.generation,
      silentSinceMs: null,
      linger: null,
    };
    this.byNode.set(node, served);
    this.departed.delete(node);
    const guard = new SessionGuard(served.uses);
    served.workerSession.onMessage = (message) => {
      if (guard.admits(message)) this.onMessage(served, message, guard);
    };
    void served.workerSession.ended.then((isClean) => this.sessionGone(served, isClean));
    // The first connection may fail before it becomes a path, and the session must then end.
    this.linger(served);
    served.workerSession.send(begin);
    this.ports.bandwidth.began(served);
    served.workerSession.send({ type: 'path', admission }, socket);
    const began = `Node ${node} (instance ${client.instance}) at ${client.address} began a session, process ${served.workerSession.pid}`;
    this.ports.limitedLog.note(`Sessions of node ${node} that began`, () =>
      this.ports.log.info(began, eventOf(`client ${node}`, 'absent', 'connected', `From ${client.address}`)),
    );
  }

  /** Repeats the checks of shutdown, fence, TLS, keys and clients, whose results may have changed while the new client was waiting. */
  private checkStillOpen(node: string): void {
    if (this.isClosed) throw new RsError('E_SHUTTING_DOWN', 'The server is shutting down');
    this.ports.checkFence(node);
    this.ports.checkTls(this.loginOf(node).proven.features);
    if (this.dismissedUnderWay.has(node))
      throw new RsError('E_AUTH', `The clients of the server have just changed: node ${node} has to log in again`);
    if (!this.ports.isClient(node)) throw new RsError('E_AUTH', `Node ${node} was removed from the server's clients`);
  }

  /**
   * Returns a worker session whose process listens to its channel and is recorded in RUN. If this listener crashes, the next listener finds
   * the process by this record (S10).
   */
  private async readyWorkerSession(session: string, node: string): Promise<WorkerSession> {
    const workerSession = this.ports.takeWorkerSession(session);
    try {
      await workerSession.usable;
      this.checkStillOpen(node);
    } catch (error) {
      workerSession.discard();
      throw error;
    }
    return workerSession;
  }

  /** Throws if the given client may not have a session (H4). */
  private checkNewcomer(client: ClientIdentity): void {
    if (!this.ports.holds.isCurrent(client)) {
      throw new RsError('E_REPLACED', `Instance ${client.instance} of node ${client.node} was replaced by a later one`);
    }
    const before = this.before(client.node);
    if (before === null || this.ports.holds.mayReplace(before.client, client, before.silentMs)) return;
    const { machine, address } = before.client;
    throw new RsError(
      'E_OTHER_MACHINE',
      machine === client.machine
        ? `Node ${client.node} is in use from ${address}, by a copy of this machine or the one it was copied from: ` +
            "stop rsiod there, or remove identity.json from rsiod's state directory here and use another nodename"
        : `Node ${client.node} is in use from ${address}: stop rsiod there, or use another nodename here`,
    );
  }

  /**
   * Returns the client that may still be active for a node, and how long the client has been silent. Returns null if there is no such
   * client.
   */
  private before(node: string): { readonly client: ClientIdentity; readonly silentMs: number } | null {
    const nowMs = this.ports.clock.monotonicMs();
    const session = this.byNode.get(node) ?? this.departed.get(node);
    if (session !== undefined) {
      const { client, silentSinceMs } = session;
      return { client, silentMs: silentSinceMs === null ? 0 : nowMs - silentSinceMs };
    }
    // For HOLDER_RETURN_MS after the start of rssrv, the last holder counts as connected, so that no other machine can replace this holder.
    if (nowMs - this.sinceMs >= HOLDER_RETURN_MS) return null;
    const client = this.ports.holds.lastHolding(node);
    return client === null ? null : { client, silentMs: 0 };
  }

  /** Ends the old session and waits until none of its requests is running (S9). */
  private async endOld(old: ServedSession, client: ClientIdentity): Promise<void> {
    const isOther = (['instance', 'machine', 'process'] as const).some((field) => old.client[field] !== client[field]);
    const code = isOther ? 'E_REPLACED' : 'E_NO_SESSION';
    const ended = old.workerSession.end(
      code,
      isOther ? `Node ${client.node} was started again at ${client.address}` : 'The client began a new session',
    );
    const { clock } = this.ports;
    const inTime = await new Promise<boolean>((resolve) => {
      const timer = clock.after(OLD_SESSION_WAIT_MS, () => resolve(false));
      void ended.then(() => {
        timer.cancel();
        resolve(true);
      });
    });
    if (!inTime)
      throw new RsError('E_DRAINING', `The old server process ${old.workerSession.pid} of node ${client.node} still has I/O in progress`);
  }

  private onMessage(session: ServedSession, message: FromSession, guard: SessionGuard): void {
    if (message.type === 'paths') this.pathsChanged(session, message.count);
    if (message.type === 'figures') {
      this.ports.figures(session.id, message.figures);
      this.ports.bandwidth.figures(session.id, session.client.node, message.figures);
    }
    if (message.type === 'throttled') this.ports.bandwidth.report(session, message.report);
    if (message.type === 'lost') this.ports.lost(message.volumeId);
    if (message.type === 'cut') this.ports.cut(message.volumeId);
    if (message.type === 'space') this.ports.waitsForSpace(session, message.volumeId, message.isWaiting, message.poolId);
    if (message.type === 'held') this.ports.held(session, message.number);
    if (message.type !== 'ask') return;
    const { what } = message.request;
    this.ports
      .answer(session, message.request)
      .catch((thrown: unknown) => {
        const { message: whole } = toRsError(thrown);
        const sentence = clientText(whole, 'The server could not execute the request');
        const { node } = session.client;
        this.ports.limitedLog.note(`Requests of node ${node} that failed`, () => this.ports.log.error(`Node ${node}: ${whole}`));
        return what === 'grant' ? { granted: false as const, status: STATUS.IO_ERROR, sentence, holders: [] } : null;
      })
      .then((answer) => {
        guard.answered(message.request);
        session.workerSession.send({ type: 'answer', number: message.number, answer });
      })
      .catch(() => undefined);
  }

  private pathsChanged(session: ServedSession, count: number): void {
    session.linger?.cancel();
    session.linger = null;
    const wasSilent = session.silentSinceMs !== null;
    session.silentSinceMs = count > 0 ? null : this.ports.clock.monotonicMs();
    if (wasSilent !== (count === 0)) this.silenceChanged(session, count === 0);
    if (count === 0) this.linger(session);
  }

  private linger(session: ServedSession): void {
    session.linger = this.ports.clock.after(
      SESSION_LINGER_MS,
      () => void session.workerSession.end('E_NO_SESSION', 'It had no path for too long'),
    );
  }

  private silenceChanged({ client: { node } }: ServedSession, isSilent: boolean): void {
    const [from, to] = isSilent ? ['connected', 'silent'] : ['silent', 'connected'];
    const reason = isSilent ? 'No path is left; its session waits for one' : 'A path is up again';
    const write = (): void => this.ports.log.info(`Node ${node}: ${reason.toLowerCase()}`, eventOf(`client ${node}`, from, to, reason));
    this.ports.limitedLog.note(`Losses and returns of the paths of node ${node}`, write);
  }

  private sessionGone(session: ServedSession, isClean: boolean): void {
    // A pending timer would keep the listener's process from exiting.
    session.linger?.cancel();
    const { client, silentSinceMs } = session;
    if (this.byNode.get(client.node) === session) {
      this.byNode.delete(client.node);
      // Remember the client, so that no copy of the client's machine can replace the client before the client reconnects.
      const departed = { client, silentSinceMs: silentSinceMs ?? this.ports.clock.monotonicMs() };
      if (this.ports.isClient(client.node)) this.departed.set(client.node, departed);
    }
    const { log } = this.ports;
    const [object, was] = [`client ${client.node}`, silentSinceMs === null ? 'connected' : 'silent'];
    const ended = `The session of node ${client.node} has ended, process ${session.workerSession.pid}`;
    if (isClean)
      this.ports.limitedLog.note(`Sessions of node ${client.node} that ended`, () =>
        log.info(ended, eventOf(object, was, 'absent', 'Its session has ended')),
      );
    else {
      const { pid } = session.workerSession;
      const effect = 'the storage of its volumes starts a new incarnation';
      const died = eventOf(object, was, 'absent', `Server process ${pid} died: ${effect}`);
      log.warn(`Process ${pid} of node ${client.node} died: ${effect}`, died);
    }
    this.ports.sessionEnded(session, isClean).catch((thrown: unknown) => log.error(toRsError(thrown).message));
  }
}

function clientOf({ socket, proven: { hello } }: Login): ClientIdentity {
  const { node, instance, machine, boot, process } = hello;
  return { node, instance, machine, boot, process, address: socket.remoteAddress ?? '' };
}

function isSameProcess(one: KeyProven['hello'], other: KeyProven['hello']): boolean {
  return (['instance', 'machine', 'boot', 'process'] as const).every((field) => one[field] === other[field]);
}
