// Decides which proven clients get a session, and ends the old sessions that a new session replaces (docs/PROTOCOL.md S9, H4). A node has
// at most one session for each data process, and all its sessions belong to the same client process. A new session begins only when no
// request from a replaced session is running. Each session has a secret that authenticates further paths.

// Design. The listener proves clients and carries no data; workers execute requests and admit no client. This class decides which session a
// proven socket joins, and what must end before a session begins. S9 (no request of an old session runs when the new session begins)
// depends on the order of the steps below, so one function, `beginSession`, contains all steps.
//
//   proven socket -- fenced, or plain where TLS is required --> refused
//     |-- join --> the worker of the session          refused if the session has ended, or while its process is blocked
//     v new
//   being started: one login for each data process    a later socket of the same data process takes its place; another client process
//                                                     of the node tries again (logins.ts)
//     1  checkNewcomer          is the instance current, and may it replace the previous instance (H4)?
//     2  noteInstance           records the replacement durably, before the old instance learns that it is replaced
//     3  endOld                 waits until nothing of the old session of the data process runs, or of all sessions of a replaced client
//                               process; after OLD_SESSION_WAIT_MS the client has to try again
//     4  checkStillOpen         shutdown, fence, TLS, keys and clients may have changed meanwhile
//     5  readyWorkerSession     chooses a worker that listens and is recorded in RUN (S10); then step 4 again
//     6  in one turn            the session is known, and its worker gets `begin` and the socket
//     v
//   connected --last path closed--> silent --SESSION_LINGER_MS--> told to end
//     |      <--path up------------   |
//     '------ session or process has ended ------> departed: remembered, because step 1 compares a newcomer with it
//   A client is silent if all its sessions are silent, and absent if it has no session.
//
// The other methods end grants of sessions that continue: for a take-over (step 1 of H2), for a new incarnation (V1), and for a volume that
// is no longer served.
//
// Never done here:
// - No time-out counts as the end of a session. The listener tells a slow session to end, kills its process later, and awaits its end (S9).
// - The end of a session ends no hold (H1). volumes/holds/ keeps the holds, and decides which client may replace an instance.
// - No message of a worker about a volume counts before session-guard.ts has compared it with the grants of the session.

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { assert } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { Log } from '@rsio/base/log/log';
import { CLIENTS_MAX } from '@rsio/common/config/schema/limits';
import { SESSION_ID_BYTES } from '@rsio/protocol/wire/limits';
import { HOLDER_RETURN_MS, OLD_SESSION_WAIT_MS, SESSION_LINGER_MS, TAKE_OVER_REVOKE_MS } from './limits.ts';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Bandwidth } from '../volumes/throttle/bandwidth.ts';
import type { SessionStatus } from '../admin/server-views.ts';
import type { ListenerAnswer, SessionRequest, FromSession, ToSession } from '../session/channel/channel.ts';
import type { ClientIdentity } from '../volumes/holds/grants.ts';
import { eventOf } from '../events/event-log.ts';
import type { Moments } from '../snapshots/moments.ts';
import type { Fences } from '../volumes/fences.ts';
import type { GateRecords } from '../volumes/holds/gate-records.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import { VolumeUses } from '../volumes/holds/volume-uses.ts';
import type { Statistics } from '../volumes/statistics/statistics.ts';
import { type Admission, admissionOf } from '../session/server-path.ts';
import { clientText } from '../pools/requests/client-text.ts';
import { SessionGuard } from '../session/channel/session-guard.ts';
import type { SessionReport, WorkerSession } from './workers/worker-session.ts';
import { BLOCKED, type WorkerPool } from './workers/worker-pool.ts';
import type { EndingSession } from '../volumes/fencing.ts';
import type { Incarnations } from './incarnations.ts';
import type { Refusals } from './refusals.ts';
import type { Sessions } from './sessions.ts';
import { clientOf, Logins, replacedText, type Start } from './logins.ts';
import { changeOf, type ClientState, isReplacement, type ServedSession, stateOf, statusOf, whoText } from './served-session.ts';
import type { KeyProven } from './unproven-limiter.ts';

export interface AdmissionPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Rate-limited log for events that a client can cause as often as it likes. */
  readonly limitedLog: RateLimitedLog;
  readonly holds: Holds;
  /** The sessions that have begun and not ended. Only Admissions changes them. */
  readonly served: Sessions;
  readonly workers: Pick<WorkerPool, 'take'>;
  readonly fences: Pick<Fences, 'check'>;
  readonly statistics: { readonly book: Pick<Statistics['book'], 'received'> };
  readonly incarnations: Pick<Incarnations, 'cut' | 'lost'>;
  readonly moments: Pick<Moments, 'held'>;
  readonly gateRecords: Pick<GateRecords, 'idle'>;
  readonly refusals: Pick<Refusals, 'refuse'>;
  readonly bandwidth: Bandwidth;
  beginMessage(node: string): Extract<ToSession, { type: 'begin' }>;
  /** Returns true if the configuration still names the node as a client. */
  isClient(node: string): boolean;
  /** Throws E_TLS if a connection with these features is plain and the server accepts only encrypted connections. */
  checkTls(features: readonly string[]): void;
  /** Called when the first change of a volume begins to wait for space in the pool, and when the last waiting change has ended. */
  waitsForSpace(session: ServedSession, volumeId: string, isWaiting: boolean, poolId: string | null): void;
  answer(session: ServedSession, request: SessionRequest): Promise<ListenerAnswer>;
  /** Called when the session has ended and none of its requests is running. */
  sessionEnded(session: ServedSession, isClean: boolean): Promise<void>;
}

export class Admissions {
  private readonly ports: AdmissionPorts;
  private readonly served: Sessions;
  private readonly logins = new Logins();
  /**
   * Configured nodes whose session has ended and that have begun no session since then. Maps each node to the client of the ended session,
   * and to the latest time at which an ended session of the client was not silent.
   */
  private readonly departed = new Map<string, { readonly client: ClientIdentity; readonly silentSinceMs: number }>();
  /** Monotonic time at which rssrv started, or at which it last took a pool with the holders of another server. */
  private sinceMs: number;
  private isClosed = false;

  constructor(ports: AdmissionPorts) {
    this.ports = ports;
    this.served = ports.served;
    this.sinceMs = ports.clock.monotonicMs();
  }

  get sessions(): ServedSession[] {
    return this.served.all;
  }

  /** Sends a message to every session. */
  tell(message: ToSession): void {
    for (const { workerSession } of this.sessions) workerSession.send(message);
  }

  /** The status of each client that has sessions, for the list of clients. */
  get statuses(): SessionStatus[] {
    return this.served.lists.map(statusOf);
  }

  /** Returns the secret of a session, for the handshake of a further path; null if this node may not join the session. */
  secretOf(session: Uint8Array, node: string): Buffer | null {
    const served = this.find(session, node);
    return served === null || served.workerSession.isGone ? null : served.secret;
  }

  /** Returns the secret of the current session of a data process. */
  currentSecretOf(node: string, dataProcess: number): Buffer | null {
    const served = this.served.of(node).find((one) => one.dataProcess === dataProcess);
    return served === undefined || served.workerSession.isGone ? null : served.secret;
  }

  /**
   * If another data process of the same client has the volume open or is opening it, returns the session of that data process; otherwise
   * null.
   */
  usedBeside(session: ServedSession, volumeId: string): ServedSession | null {
    return this.served.of(session.client.node).find((one) => one !== session && one.uses.has(volumeId)) ?? null;
  }

  /** Passes a proven, paused socket to the worker of its session, or refuses the connection. */
  admit(socket: Socket, proven: KeyProven, arrivedAt: ServerInterface): void {
    const admission = admissionOf(proven, arrivedAt);
    const { node } = proven.hello;
    try {
      this.ports.fences.check(node);
      this.ports.checkTls(proven.features);
    } catch (error) {
      this.ports.refusals.refuse(socket, proven, toRsError(error));
      return;
    }
    if (proven.kind === 'join') {
      const served = this.find(proven.session, node);
      if (served === null)
        this.ports.refusals.refuse(socket, proven, new RsError('E_NO_SESSION', 'The session has just ended: begin a new one'));
      else this.join(served, socket, proven, admission);
      return;
    }
    const added = this.logins.add({ socket, proven, admission });
    if (added === null)
      this.ports.refusals.refuse(
        socket,
        proven,
        new RsError('E_DRAINING', `The previous session of node ${node} is still ending: try again`),
      );
    else if ('replaced' in added) {
      // The client has abandoned its earlier connection. This connection gets the session that was begun for the earlier connection.
      const { replaced } = added;
      const sentence = 'A later connection of the same process takes its place';
      this.ports.refusals.refuse(replaced.socket, replaced.proven, new RsError('E_DRAINING', sentence));
    } else void this.begin(added);
  }

  /** Ends the sessions of a node that is no longer admitted. The node keeps its holds (H1). */
  dismiss(node: string, sentence: string): void {
    for (const start of this.logins.of(node)) start.isDismissed = true;
    this.departed.delete(node);
    for (const { workerSession } of this.served.of(node)) void workerSession.end('E_AUTH', sentence);
  }

  /**
   * Ends each session of the node if a path of the session has proved one of these keys. The keys are no longer valid. The node keeps its
   * holds.
   */
  dismissKeys(node: string, keys: readonly string[], sentence: string): void {
    const isDropped = (key: string): boolean => keys.includes(key);
    for (const start of this.logins.of(node)) if (isDropped(start.login.proven.key)) start.isDismissed = true;
    for (const session of this.served.of(node)) if ([...session.keys].some(isDropped)) void session.workerSession.end('E_AUTH', sentence);
  }

  /** True if the node has a session, or if a session of the node is being started. */
  isThere(node: string): boolean {
    return this.served.of(node).length > 0 || this.logins.of(node).length > 0;
  }

  /** Tells all sessions of a node to end. Returns null if the node has no session. The node keeps its holds. */
  endSession(node: string, code: string, sentence: string): EndingSession | null {
    const all = this.served.of(node).map(({ workerSession }) => workerSession);
    const [first] = all;
    if (first === undefined) return null;
    for (const one of all) void one.end(code, sentence);
    // Show the administrator a session that has not ended yet, with its process and the time for which it has been waiting.
    const slowest = (): WorkerSession => all.find(({ isGone }) => !isGone) ?? first;
    return {
      get pid() {
        return slowest().pid;
      },
      get blockedMs() {
        return slowest().blockedMs;
      },
      ended: Promise.all(all.map(({ ended }) => ended)).then((clean) => clean.every(Boolean)),
    };
  }

  /**
   * Revokes the given node's grants of a volume up to `epoch`, because another client takes over the volume. Resolves when no request under
   * these grants is running or the worker has exited; the result is false if writes may be lost. Sessions of the node that do not use the
   * volume are not affected.
   */
  async revokeForTakeOver(node: string, volumeId: string, epoch: number, why: string): Promise<boolean> {
    const users = this.served.of(node).filter(({ uses }) => uses.has(volumeId));
    const flushed = await Promise.all(users.map((session) => this.revokeIn(session, volumeId, epoch, why)));
    return flushed.every(Boolean);
  }

  /**
   * Closes all handles of a volume that is no longer served, including handles that are being opened. Resolves when no request on these
   * handles is running. The result is false if writes may be lost.
   */
  async closeHandles(volumeId: string): Promise<boolean> {
    const using = this.sessions.filter(({ uses }) => uses.has(volumeId));
    const flushed = await Promise.all(using.map(({ workerSession }) => workerSession.revoke(volumeId, Number.MAX_SAFE_INTEGER)));
    await this.ports.gateRecords.idle(volumeId);
    return flushed.every(Boolean);
  }

  /**
   * Called when this server no longer owns the pool of the volume. From then on, no answer to a request contains its result. Resolves when
   * no request is running. `why`: the reason given to each session that is told to end because it does not close the volume in time.
   */
  async loseHandles(volumeId: string, why: string): Promise<void> {
    const using = this.sessions.filter(({ uses }) => uses.has(volumeId));
    for (const { workerSession } of using) workerSession.send({ type: 'lose', volumeId });
    await Promise.all(using.map((session) => this.revokeIn(session, volumeId, Number.MAX_SAFE_INTEGER, why)));
  }

  endPlainPaths(sentence: string): void {
    this.tell({ type: 'end-plain-paths', sentence });
  }

  /** Answers all requests in progress, flushes, and ends every session. No client is admitted after this call. */
  async close(code: string, sentence: string): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.sessions.map((session) => session.workerSession.end(code, sentence)));
  }

  /**
   * Revokes the grants of a volume in one session. A worker that has not released the volume within TAKE_OVER_REVOKE_MS is told to end the
   * session, but no time-out resolves the promise (S9, H2).
   */
  private async revokeIn(session: ServedSession, volumeId: string, epoch: number, why: string): Promise<boolean> {
    const { workerSession } = session;
    const timer = this.ports.clock.after(TAKE_OVER_REVOKE_MS, () => {
      const process = `process ${workerSession.pid} of node ${whoText(session)}`;
      this.ports.log.warn(`${why}: ${process} has not released it in time, and is told to end`);
      void workerSession.end('E_NO_SESSION', `${why}, and the server's process did not release it in time`);
    });
    const isFlushed = await workerSession.revoke(volumeId, epoch);
    timer.cancel();
    if (!workerSession.isGone) session.uses.delete(volumeId);
    return isFlushed;
  }

  private find(session: Uint8Array, node: string): ServedSession | null {
    const id = Buffer.from(session).toString('hex');
    return this.served.of(node).find((one) => one.id === id) ?? null;
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
    this.ports.refusals.refuse(socket, proven, new RsError('E_DRAINING', `${process}, for ${Math.round(stillMs / 1_000)} s now`));
  }

  /** Begins a session for `start.login`, which is the first login, or a later login that has taken its place. */
  private async begin(start: Start): Promise<void> {
    try {
      await this.beginSession(start, clientOf(start.login));
    } catch (thrown) {
      const { socket, proven } = start.login;
      this.ports.refusals.refuse(socket, proven, toRsError(thrown));
    } finally {
      this.logins.remove(start);
    }
  }

  private async beginSession(start: Start, newcomer: ClientIdentity): Promise<void> {
    const { node } = newcomer;
    const { dataProcess } = start;
    this.checkNewcomer(newcomer);
    // The record of the replacement must be durable before the old instance gets E_REPLACED, because an instance that got E_REPLACED never
    // reconnects.
    await start.notes.run(() => this.ports.holds.noteInstance(newcomer, this.served.of(node)[0]?.client ?? null));
    const old = this.replacedBy(newcomer, dataProcess);
    if (old.length > 0) await this.endOld(old, newcomer);
    this.checkStillOpen(start);
    if (this.served.nodes >= CLIENTS_MAX && this.served.of(node).length === 0)
      throw new RsError('E_LIMIT', `The server serves ${CLIENTS_MAX} clients already`);
    const id = randomBytes(SESSION_ID_BYTES).toString('hex');
    const workerSession = await this.readyWorkerSession(id, start);
    // From here on, no other login takes the place of `login`.
    const { login } = start;
    const { socket, proven, admission } = login;
    const client = clientOf(login);
    const begin = this.ports.beginMessage(node);
    const served: ServedSession = {
      id,
      secret: proven.sessionSecret,
      client,
      dataProcess,
      workerSession,
      keys: new Set([proven.key]),
      beganMs: this.ports.clock.wallMs(),
      uses: new VolumeUses(),
      generation: begin.generation,
      silentSinceMs: null,
      quietSinceMs: null,
      paths: 0,
      linger: null,
    };
    const was = stateOf(this.served.of(node));
    assert(this.replacedBy(client, dataProcess).length === 0, 'A session begins beside one that it replaces');
    this.served.add(node, served);
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
    const who = `Node ${whoText(served)} (instance ${client.instance}) at ${client.address}`;
    const began = `${who} began a session, process ${served.workerSession.pid}`;
    this.ports.limitedLog.note(`Sessions of node ${node} that began`, () =>
      this.ports.log.info(began, changeOf(node, was, 'connected', `From ${client.address}`)),
    );
  }

  /** Repeats the checks of shutdown, fence, TLS, keys and clients, whose results may have changed while the new client was waiting. */
  private checkStillOpen({ login: { proven }, isDismissed }: Start): void {
    if (this.isClosed) throw new RsError('E_SHUTTING_DOWN', 'The server is shutting down');
    const { node } = proven.hello;
    this.ports.fences.check(node);
    this.ports.checkTls(proven.features);
    if (isDismissed) throw new RsError('E_AUTH', `The clients of the server have just changed: node ${node} has to log in again`);
    if (!this.ports.isClient(node)) throw new RsError('E_AUTH', `Node ${node} was removed from the server's clients`);
  }

  /**
   * Returns a worker session whose process listens to its channel and is recorded in RUN. If this listener crashes, the next listener finds
   * the process by this record (S10).
   */
  private async readyWorkerSession(session: string, start: Start): Promise<WorkerSession> {
    const workerSession = this.ports.workers.take(session);
    try {
      await workerSession.usable;
      this.checkStillOpen(start);
    } catch (error) {
      workerSession.discard();
      throw error;
    }
    return workerSession;
  }

  /** Called when this server has taken a pool of another server, so that the holders of its volumes may connect here. */
  holdersCame(): void {
    this.sinceMs = this.ports.clock.monotonicMs();
  }

  /** Throws if the given client may not have a session (H4). */
  private checkNewcomer(client: ClientIdentity): void {
    if (!this.ports.holds.isCurrent(client)) {
      throw new RsError('E_REPLACED', replacedText(client));
    }
    const before = this.before(client.node);
    if (before === null || this.ports.holds.mayReplace(before.client, client, before.silentMs)) return;
    const { machine, address } = before.client;
    throw new RsError(
      'E_OTHER_MACHINE',
      machine === client.machine
        ? `Node ${client.node} is in use from ${address}, by a copy of this machine or the one it was copied from: ` +
            'stop rsiod there, or, here, stop rsiod, rsconfig identity new, and rsconfig namespace set NAMESPACE nodename=NAME'
        : `Node ${client.node} is in use from ${address}: stop rsiod there, or use another nodename here`,
    );
  }

  /**
   * Returns the time in ms since a session of the node was last heard, but no more than the time since the start of rssrv; 0 while a
   * session is heard. Returns null if the node is not a configured client.
   */
  silentMs(node: string): number | null {
    if (!this.ports.isClient(node)) return null;
    const nowMs = this.ports.clock.monotonicMs();
    const since = [this.sinceMs, this.departed.get(node)?.silentSinceMs ?? this.sinceMs];
    for (const { quietSinceMs, silentSinceMs } of this.served.of(node)) since.push(quietSinceMs ?? silentSinceMs ?? nowMs);
    return nowMs - Math.max(...since);
  }

  /**
   * Returns the client that may still be active for a node, and how long all its sessions have been silent. Returns null if there is no
   * such client.
   */
  private before(node: string): { readonly client: ClientIdentity; readonly silentMs: number } | null {
    const nowMs = this.ports.clock.monotonicMs();
    const departed = this.departed.get(node);
    const [one, ...others] = [...this.served.of(node), ...(departed === undefined ? [] : [departed])];
    if (one !== undefined)
      return { client: one.client, silentMs: Math.min(...[one, ...others].map(({ silentSinceMs }) => nowMs - (silentSinceMs ?? nowMs))) };
    // For HOLDER_RETURN_MS after the start of rssrv, or after rssrv took a pool of another server, the last holder counts as connected, so
    // that no other machine can replace this holder.
    if (nowMs - this.sinceMs >= HOLDER_RETURN_MS) return null;
    const client = this.ports.holds.lastHolding(node);
    return client === null ? null : { client, silentMs: 0 };
  }

  /** Returns the sessions that a new session replaces: all sessions of another client process, or the session of the same data process. */
  private replacedBy(newcomer: ClientIdentity, dataProcess: number): readonly ServedSession[] {
    return this.served.of(newcomer.node).filter((one) => isReplacement(one.client, newcomer) || one.dataProcess === dataProcess);
  }

  /** Ends the old sessions and waits until none of their requests is running (S9). */
  private async endOld(old: readonly ServedSession[], client: ClientIdentity): Promise<void> {
    const isOther = old.some((one) => isReplacement(one.client, client));
    const code = isOther ? 'E_REPLACED' : 'E_NO_SESSION';
    const sentence = isOther ? `Node ${client.node} was started again at ${client.address}` : 'The client began a new session';
    const ended = Promise.all(old.map(({ workerSession }) => workerSession.end(code, sentence)));
    const { clock } = this.ports;
    const inTime = await new Promise<boolean>((resolve) => {
      const timer = clock.after(OLD_SESSION_WAIT_MS, () => resolve(false));
      void ended.then(() => {
        timer.cancel();
        resolve(true);
      });
    });
    if (inTime) return;
    const pids = old.flatMap(({ workerSession: { pid, isGone } }) => (isGone ? [] : [pid]));
    throw new RsError('E_DRAINING', `The old server process ${pids.join(', ')} of node ${client.node} still has I/O in progress`);
  }

  private onMessage(session: ServedSession, message: SessionReport, guard: SessionGuard): void {
    const { ports } = this;
    switch (message.type) {
      case 'paths':
        return this.pathsChanged(session, message.count);
      case 'quiet':
        session.quietSinceMs = message.quietMs === null ? null : ports.clock.monotonicMs() - message.quietMs;
        return undefined;
      case 'figures':
        ports.statistics.book.received(session.id, message.figures);
        return ports.bandwidth.figures(session.id, session.client.node, message.figures);
      case 'throttled':
        return ports.bandwidth.report(session, message.report);
      case 'lost':
        return void ports.incarnations.lost(message.volumeId);
      case 'cut':
        return void ports.incarnations.cut(message.volumeId);
      case 'space':
        return ports.waitsForSpace(session, message.volumeId, message.isWaiting, message.poolId);
      case 'held':
        return ports.moments.held(session.id, message.number);
      case 'ask':
        return this.answer(session, message, guard);
    }
  }

  private answer(session: ServedSession, message: Extract<FromSession, { type: 'ask' }>, guard: SessionGuard): void {
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
    const { node } = session.client;
    const was = stateOf(this.served.of(node));
    const wasSilent = session.silentSinceMs !== null;
    session.paths = count;
    session.silentSinceMs = count > 0 ? null : this.ports.clock.monotonicMs();
    if (wasSilent !== (count === 0)) this.silenceChanged(session, was);
    if (count === 0) this.linger(session);
  }

  private linger(session: ServedSession): void {
    session.linger = this.ports.clock.after(
      SESSION_LINGER_MS,
      () => void session.workerSession.end('E_NO_SESSION', 'It had no path for too long'),
    );
  }

  private silenceChanged(session: ServedSession, was: ClientState): void {
    const { node } = session.client;
    const reason = session.silentSinceMs === null ? 'A path is up again' : 'No path is left; its session waits for one';
    const change = changeOf(node, was, stateOf(this.served.of(node)), reason);
    const write = (): void => this.ports.log.info(`Node ${whoText(session)}: ${reason.toLowerCase()}`, change);
    this.ports.limitedLog.note(`Losses and returns of the paths of node ${node}`, write);
  }

  private sessionGone(session: ServedSession, isClean: boolean): void {
    // A pending timer would keep the listener's process from exiting.
    session.linger?.cancel();
    const { client } = session;
    const { node } = client;
    const was = stateOf(this.served.of(node));
    this.served.remove(node, session);
    // Remember the client, so that no copy of the client's machine can replace the client before the client reconnects.
    const silentSinceMs = session.silentSinceMs ?? this.ports.clock.monotonicMs();
    const earlierMs = this.departed.get(node)?.silentSinceMs ?? silentSinceMs;
    if (this.ports.isClient(node)) this.departed.set(node, { client, silentSinceMs: Math.max(silentSinceMs, earlierMs) });
    const { log } = this.ports;
    const [now, { pid }] = [stateOf(this.served.of(node)), session.workerSession];
    const who = `node ${whoText(session)}`;
    if (isClean)
      this.ports.limitedLog.note(`Sessions of node ${node} that ended`, () =>
        log.info(`The session of ${who} has ended, process ${pid}`, changeOf(node, was, now, 'Its session has ended')),
      );
    else {
      const effect = 'the storage of its volumes starts a new incarnation';
      const died = eventOf(`client ${node}`, was, now, `Server process ${pid} died: ${effect}`);
      log.warn(`Process ${pid} of ${who} died: ${effect}`, died);
    }
    this.ports.sessionEnded(session, isClean).catch((thrown: unknown) => log.error(toRsError(thrown).message));
  }
}
