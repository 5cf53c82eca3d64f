// Manages all paths between this client and one server, and their session. Tracks which paths are live, suspect, dead or fenced, and
// recovers requests when a new session replaces the old one. The dispatcher decides what each path carries. Event handlers only record
// changes; `pump` then sends everything that can be sent, in one batch for each path. Invariants: the client's part of the rules S5, S6 and
// S9 in docs/PROTOCOL.md. Rules: E1.

// Design.
// There is one trunk for each server, and one pump for each trunk. The pump runs once, when the current event has been handled, so that
// all requests of one event, from all volumes, leave in one batch for each path.
//
//   submit; bytes received; output drained; a path is up, suspect or closed; paths were checked
//        | record, then wantPump
//        v
//   pump   1  FENCE for dead paths            fences.ts           S5    on the path that would answer first
//          2  REVOKE for abandoned handles    handle-fences.ts    S11   on the path that would answer first
//          3  send again, control, late, new  dispatcher.ts       S2    scheduler.ts chooses the path
//          4  flush: the batch of each path leaves
//
//   begin, join --> live --silent while another path delivers--> suspect          its requests are sent again on good paths
//                    | ^                                          |   |
//                    | '---------- an answer or a PONG -----------'   |
//                    v                                                v
//                   dead <---- silent too long, reset, closed --------'           its requests are sent again
//                    | FENCED, or WELCOME of a join that named it, or a new session
//                    v
//                  fenced: nothing sent on it can begin any more                  its slots are free when their results are there
//
// liveness.ts judges paths, and the trunk handles the end of a path. The dispatcher decides which request goes where, and attachment.ts
// decides what a volume may send now.
//
// Never done here:
// - A closed path frees no slot; only FENCED or a new session does (S5). A reset or a time-out does not prove that the server executes
//   nothing more.
// - I/O does not fail because a path or session is lost. Instead, I/O waits for at most the volume's `stall` time. Only I/O of a volume
//   that was closed in the meantime ends, with OUTCOME_UNKNOWN. OPEN, CLOSE and ADMIN of the old session end with STALE.
// - Two sessions never exist side by side. One connection at a time proves itself as `first`, and `begin` closes all paths of the old
//   session.
// - The trunk opens no connections. path-supervisor.ts opens them, and asks `present` how each connection proves itself.

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '@rsio/base/lib/clock';
import { HEARD_HEARTBEATS } from './limits.ts';
import { FEATURE } from '../wire/features.ts';
import type { Header } from '../wire/header.ts';
import type { Challenge, ServerInterface, Welcome } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import type { Connection } from '../link/connection.ts';
import { Dispatcher } from './dispatcher.ts';
import type { LivenessTimes } from './paths/path-verdict.ts';
import { Fences } from './fences.ts';
import { FirstHandshake, type FirstHandshakeEvents } from './paths/first-handshake.ts';
import { HandleFences } from './handle-fences.ts';
import type { StorageReport } from '../link/heartbeat.ts';
import { Liveness, type LivenessEvents } from './paths/liveness.ts';
import { Path, type PathEvents } from './paths/path.ts';
import type { PathLatencies } from './paths/path-load.ts';
import type { Request } from './requests/request.ts';
import { leastBusy } from './paths/scheduler.ts';

export interface TrunkEvents {
  /**
   * Called when a session has begun. `again`: true if the session replaces an earlier one; the attachments then wait in the phase
   * `opening`.
   */
  sessionBegan(again: boolean): void;
  /** Called when requests are in flight but no path delivers anything; the callee may then try to connect further paths. */
  allQuiet(): void;
  /** Called when the server's list has changed. `generation`: the new generation of the list. */
  listChanged(generation: number): void;
  /** `generation`: the current generation of the server's list. */
  interfacesReported(interfaces: readonly ServerInterface[], generation: number): void;
  /** Called when the server has reported, over an authenticated path, that another instance of this client has replaced this one. */
  replaced(sentence: string): void;
  /** Called when the trunk has ended and every request was answered with `status`. */
  ended(status: number, reason: string): void;
}

/** The part of a path's supervisor that receives the path's events. */
export interface PathStatusEvents {
  readonly latencies: PathLatencies;
  pathSuspect(path: Path, suspect: boolean, reason: string): void;
  pathDown(path: Path, reason: string): void;
}

interface Session {
  readonly id: Buffer;
  readonly secret: Buffer;
  readonly serverInstance: string;
  /** Release of the server; null if the server did not send it. */
  readonly release: string | null;
  /** Time in ms by which the server's clock was ahead of the client's when the session began; null if the server did not send its time. */
  readonly clockOffMs: number | null;
  readonly slots: number;
  readonly windowBytes: number;
  readonly canRevoke: boolean;
  readonly canAdminister: boolean;
  /** True if the server supports VOTE and replicas. */
  readonly canVote: boolean;
}

/** How a connection authenticates: as the first path of a session (`first`), as a further path (`join`), or not yet (`wait`). */
export type Presentation = { kind: 'first' } | { kind: 'join'; session: Buffer; secret: Buffer; dead: number[] } | { kind: 'wait' };

export class Trunk implements PathEvents, LivenessEvents {
  paths: readonly Path[] = [];
  session: Session | null = null;
  private readonly clock: Clock;
  private times: LivenessTimes;
  private readonly events: TrunkEvents;
  private readonly dispatcher = new Dispatcher();
  private readonly fences = new Fences();
  private readonly handleFences: HandleFences;
  private readonly statusEvents = new Map<Path, PathStatusEvents>();
  private generation = 0;
  private readonly firstHandshake = new FirstHandshake();
  private readonly liveness: Liveness;
  private isSessionRefused = false;
  private isPumpScheduled = false;
  private readonly pumpNow = (): void => {
    this.isPumpScheduled = false;
    this.pump();
  };
  private hasEnded = false;
  private hasHadSession = false;

  constructor(clock: Clock, times: LivenessTimes, events: TrunkEvents) {
    this.clock = clock;
    this.times = times;
    this.events = events;
    this.handleFences = new HandleFences(clock);
    this.liveness = new Liveness(clock, times, this);
  }

  get attachments(): readonly Attachment[] {
    return this.dispatcher.attachments;
  }

  /** True if the trunk has ended: it sends nothing more, and submitted requests fail. */
  get isEnded(): boolean {
    return this.hasEnded;
  }

  /**
   * Changes the liveness times, including those of existing paths. Silence before this call no longer counts, because the old times may
   * have permitted a longer silence.
   */
  setTimes(times: LivenessTimes): void {
    if (isDeepStrictEqual(times, this.times)) return;
    this.times = times;
    for (const path of this.paths) {
      path.heartbeat.intervalMs = times.heartbeatMs;
      path.excuse(Number.POSITIVE_INFINITY, this.clock.monotonicMs());
    }
    this.liveness.setTimes(times);
  }

  /** Called after CHALLENGE. The client completes one handshake with each server instance before other paths join the session. */
  present(challenge: Challenge, holder: FirstHandshakeEvents): Presentation {
    const session = this.session;
    const joins = session !== null && session.serverInstance === challenge.instance && !this.isSessionRefused;
    if (joins) return { kind: 'join', session: session.id, secret: session.secret, dead: this.fences.named() };
    return this.firstHandshake.take(holder, this.clock.monotonicMs()) ? { kind: 'first' } : { kind: 'wait' };
  }

  /** Called when the connection that was meant to become the first path has failed. */
  firstFailed(holder: FirstHandshakeEvents): void {
    this.firstHandshake.failed(holder);
  }

  /**
   * Called when the server reports that it no longer knows the session; the next handshake then begins a new session. While a path of the
   * session is live, ignores a report that is not authenticated and returns false.
   */
  sessionRefused(sessionId: Buffer, isProved: boolean): boolean {
    if (!isProved && this.paths.length > 0) return false;
    if (this.session?.id.equals(sessionId) === true) this.isSessionRefused = true;
    return true;
  }

  /** True if a path of the session has received data recently, which proves that the server is alive. */
  get isHeard(): boolean {
    const sinceMs = this.clock.monotonicMs() - HEARD_HEARTBEATS * this.times.heartbeatMs;
    return this.paths.some((path) => path.lastReceivedMs > sinceMs);
  }

  /**
   * The newest storage report that arrived on a live path; null if there is none. A report describes the requests that the server is
   * executing for this session.
   */
  get storageReport(): StorageReport | null {
    let newest: StorageReport | null = null;
    for (const { heartbeat } of this.paths) {
      const report = heartbeat.storageReport;
      if (report !== null && (newest === null || report.atMs > newest.atMs)) newest = report;
    }
    return newest;
  }

  /**
   * Called when the first path of a new session has been authenticated. Recovers the requests in flight of the old session, which is safe
   * because of S9.
   */
  begin(connection: Connection, welcome: Welcome, secret: Buffer, challenge: Challenge, observer: PathStatusEvents): Path {
    const again = this.hasHadSession;
    this.hasHadSession = true;
    this.firstHandshake.succeeded();
    this.isSessionRefused = false;
    this.closeAll('The session was replaced by a new one');
    this.fences.restart();
    const { slots, windowBytes } = welcome;
    const has = (feature: string): boolean => challenge.features.includes(feature);
    const id = Buffer.from(welcome.session);
    this.session = {
      id,
      secret,
      serverInstance: challenge.instance,
      slots,
      windowBytes,
      release: welcome.release ?? null,
      clockOffMs: welcome.wallMs === undefined ? null : welcome.wallMs - this.clock.wallMs(),
      canRevoke: has(FEATURE.REVOKE),
      canAdminister: has(FEATURE.ADMIN),
      canVote: has(FEATURE.MIRROR),
    };
    this.generation = welcome.generation;
    this.dispatcher.restart(welcome.slots, welcome.windowBytes, 'The server began a new session', again);
    const path = this.adopt(connection, welcome.path, observer);
    this.handleFences.restart();
    this.events.sessionBegan(again);
    this.events.interfacesReported(welcome.interfaces, welcome.generation);
    return path;
  }

  /** False if the number belongs to a live path or to a dead path that is not fenced yet. */
  isNumberFree(number: number): boolean {
    return !this.paths.some((path) => path.number === number) && !this.fences.isDead(number);
  }

  /** Called when a further path has been authenticated. WELCOME also serves as FENCED for the dead paths that the PROOF named. */
  join(connection: Connection, welcome: Welcome, named: readonly number[], observer: PathStatusEvents): Path {
    for (const number of named) if (this.fences.confirmed(number)) this.dispatcher.fenced(number);
    const path = this.adopt(connection, welcome.path, observer);
    this.generationSeen(welcome.generation);
    this.events.interfacesReported(welcome.interfaces, welcome.generation);
    return path;
  }

  addAttachment(attachment: Attachment): void {
    this.dispatcher.attachments.push(attachment);
    attachment.setReachable(this.paths.length > 0);
  }

  /** Removes an attachment and returns its waiting requests unanswered. The attachment's requests in flight stay in flight. */
  removeAttachment(attachment: Attachment): Request[] {
    const list = this.dispatcher.attachments;
    const at = list.indexOf(attachment);
    if (at >= 0) list.splice(at, 1);
    return attachment.takeAll();
  }

  /**
   * Abandons all requests of an attachment and returns them unanswered. The client cannot know whether the server executes the requests
   * that were sent, nor which seq each slot has at the server. The client therefore revokes the handle (S11) while other volumes continue.
   * If the handle cannot be revoked, the client leaves the session, because only a new session (S9) gives certainty.
   */
  abandon(attachment: Attachment): Request[] {
    const { sent, waiting } = this.dispatcher.abandon(attachment, this.paths);
    if (sent.length > 0 && !this.fence(attachment, attachment.handle, true))
      this.leaveSession('Requests were abandoned, and the server cannot revoke their handle');
    return [...sent, ...waiting];
  }

  /**
   * Removes an attachment that moves to another server (F9). Its requests in flight return to the attachment, and no later answer of this
   * server counts. The handle of these requests is revoked; other volumes continue. Returns true if no request was in flight.
   */
  giveUp(attachment: Attachment, reason: string): boolean {
    const sent = this.dispatcher.giveUp(attachment, this.paths);
    this.handleFences.leave(attachment);
    if (sent.length > 0) this.revokeLeft(attachment, attachment.handle);
    attachment.sessionLost(sent, reason);
    return sent.length === 0;
  }

  /**
   * Revokes a handle that an attachment left at this server. Unlike CLOSE, REVOKE never ends the hold, which now belongs to the owner of
   * the pool. If the handle cannot be revoked, the client leaves the session.
   */
  revokeLeft(attachment: Attachment, handle: number): void {
    if (!this.fence(attachment, handle, false)) this.renewSession('A volume went to another server, and its handle cannot be revoked here');
  }

  /** Leaves the session. The next session recovers the requests in flight. */
  renewSession(reason: string): void {
    if (this.session !== null && !this.hasEnded) this.leaveSession(reason);
  }

  /**
   * Calls `unfenced` as soon as the server can no longer execute any abandoned request of the attachment, possibly before this method
   * returns.
   */
  whenUnfenced(attachment: Attachment, unfenced: () => void): void {
    this.handleFences.whenOver(attachment, unfenced);
  }

  submit(request: Request, nowMs = this.clock.monotonicMs()): void {
    request.submittedMs = nowMs;
    const phase = request.attachment?.phase;
    if (this.hasEnded || phase === 'closed' || phase === 'failed') {
      this.clock.soon(() => request.events?.requestDone(request, phase === 'failed' ? STATUS.TAKEN : STATUS.IO_ERROR));
      return;
    }
    this.dispatcher.add(request);
    this.wantPump();
  }

  /**
   * Takes back a request of the session itself. Returns false if the request has been sent, because the server may then have the request.
   */
  withdraw(request: Request): boolean {
    return this.dispatcher.withdraw(request);
  }

  /** Schedules the pump to run as soon as the current event has been handled, so that all requests of the event leave in one batch. */
  wantPump(): void {
    if (this.isPumpScheduled || this.hasEnded) return;
    this.isPumpScheduled = true;
    this.clock.soon(this.pumpNow);
  }

  /** Ends the trunk at once and answers every remaining request with `status`. */
  end(status: number, reason: string): void {
    this.hasEnded = true;
    this.liveness.stop();
    const left = this.dispatcher.takeAll();
    for (const path of this.paths) path.bye('E_SHUTTING_DOWN', reason);
    for (const request of left) request.events?.requestDone(request, status);
    for (const attachment of this.attachments) attachment.trunkEnded();
    this.events.ended(status, reason);
  }

  // --- PathEvents

  answerBegins(path: Path, header: Header): void {
    this.dispatcher.answerBegins(path, header, this.paths);
  }

  answer(path: Path, header: Header, body: Buffer, offset: number): void {
    this.dispatcher.answer(path, header, body, offset, this.paths);
  }

  fenced(path: Path, number: number): void {
    const kind = this.fences.answered(number, path.number);
    if (kind === 'fenced') this.dispatcher.fenced(number);
    else if (kind === 'violation') path.violation(`FENCED for path ${number}, which was not asked for`);
  }

  revoked(path: Path, handle: number): void {
    const kind = this.handleFences.answered(handle, path.number);
    if (kind === 'violation') path.violation(`REVOKED for handle ${handle}, which was not asked for`);
    if (kind !== 'fenced') return;
    this.dispatcher.revoked(handle);
    this.handleFences.over(handle);
  }

  replaced(path: Path, sentence: string): void {
    if (this.paths.includes(path)) this.clock.soon(() => this.events.replaced(sentence));
  }

  generationSeen(generation: number): void {
    if (generation === 0 || generation === this.generation) return;
    this.generation = generation;
    this.events.listChanged(generation);
  }

  pathReceived(path: Path, isProof: boolean): void {
    if (isProof && path.isSuspect) {
      path.isSuspect = false;
      this.dispatcher.findResends(this.paths);
      this.statusEvents.get(path)?.pathSuspect(path, false, 'It answers again');
    }
    this.wantPump();
  }

  pathDrained(): void {
    this.wantPump();
  }

  pathClosed(path: Path, reason: string): void {
    path.receivingSlot = -1;
    this.paths = this.paths.filter((other) => other !== path);
    this.fences.died(path.number);
    this.handleFences.pathDied(path.number);
    this.dispatcher.findResends(this.paths);
    if (this.paths.length === 0 && !this.hasEnded) this.dispatcher.setReachable(false);
    const observer = this.statusEvents.get(path);
    this.statusEvents.delete(path);
    observer?.pathDown(path, reason);
    this.wantPump();
  }

  // --- LivenessEvents

  /** Makes a path suspect: new requests prefer other paths, and requests in flight are sent again on other paths. */
  distrust(path: Path, reason: string): void {
    if (path.isSuspect || !this.paths.includes(path)) return;
    path.isSuspect = true;
    this.fences.distrust(path.number);
    this.handleFences.distrust(path.number);
    this.dispatcher.findResends(this.paths);
    this.statusEvents.get(path)?.pathSuspect(path, true, reason);
    this.wantPump();
  }

  allQuiet(): void {
    this.events.allQuiet();
  }

  checked(): void {
    if (this.dispatcher.isQuarantineLarge) this.fenceWorst();
    this.wantPump();
  }

  private adopt(connection: Connection, number: number, observer: PathStatusEvents): Path {
    const slots = this.session?.slots ?? 0;
    const path = new Path(number, connection, slots, this.times.heartbeatMs, observer.latencies, this.clock, this);
    this.statusEvents.set(path, observer);
    this.paths = [...this.paths, path];
    if (this.paths.length === 1) this.dispatcher.setReachable(true);
    this.dispatcher.findResends(this.paths);
    this.liveness.start();
    this.wantPump();
    return path;
  }

  /** Returns false if the server does not support REVOKE or a limit is reached. */
  private fence(attachment: Attachment, handle: number, isHere: boolean): boolean {
    if (this.session?.canRevoke !== true) return false;
    if (!this.handleFences.begin(attachment, handle, this.dispatcher.fencedTags(handle), isHere)) return false;
    this.wantPump();
    return true;
  }

  /** Closes all paths. No further path joins the old session, and the next handshake begins a new session. */
  private leaveSession(reason: string): void {
    this.session = null;
    this.closeAll(reason);
  }

  private pump(): void {
    if (this.paths.length === 0 || this.hasEnded) return;
    this.askFences();
    this.askRevokes();
    this.dispatcher.send(this.paths, this.clock.monotonicMs());
    for (const path of this.paths) path.flush();
  }

  private askFences(): void {
    if (this.fences.count === 0) return;
    const on = leastBusy(this.paths, [], 0, 0);
    if (on === null) return;
    for (const number of this.fences.unrequested()) {
      if (this.fences.request(number, on.number)) on.fence(number);
    }
  }

  private askRevokes(): void {
    if (this.handleFences.count === 0) return;
    const on = leastBusy(this.paths, [], 0, 0);
    if (on !== null) this.handleFences.ask(on);
  }

  /** Closes all paths. The end of the session does not count as a failure of its paths. */
  private closeAll(reason: string): void {
    for (const path of this.paths) {
      path.isBlameless = true;
      path.connection.close(reason, true);
    }
  }

  /** S6: closes the suspect path that holds the most quarantined slots. */
  private fenceWorst(): void {
    let worst: Path | null = null;
    let most = 0;
    for (const path of this.paths) {
      const held = path.isSuspect ? this.dispatcher.quarantinedOn(path.number) : 0;
      if (held > most) {
        worst = path;
        most = held;
      }
    }
    worst?.connection.close(`It holds ${most} slots in quarantine while other paths deliver`, true);
  }
}
