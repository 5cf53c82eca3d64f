// A volume that this client has open over one trunk: its waiting requests, its requests in flight, and their recovery in a new session, or
// on a new handle after the old one was revoked. Order of recovery (docs/PROTOCOL.md, R2): the replay log, if the storage has a new
// incarnation; then unanswered WRITE, ZERO and DISCARD; then all other requests. Invariants: until the phase is `ready`, only requests of
// the current phase are sent; two overlapping changes are never in flight at the same time (O1).

import { assert } from '@rsio/common/lib/assert';
import { checkMove, type StateTable } from '@rsio/common/lib/state-table';
import { type OpenAnswer, type OpenRequest, TAKE, type Take } from '../wire/messages.ts';
import { statusEntry } from '../wire/status.ts';
import { LogAdmission } from './replay/log-admission.ts';
import { changesContent, OverlapTracker } from './requests/overlap.ts';
import type { ReplayLog } from './replay/replay-log.ts';
import { ReplaySender } from './replay/replay-sender.ts';
import type { Request } from './requests/request.ts';

export type AttachmentPhase = 'opening' | 'replaying' | 'resending' | 'ready' | 'revoked' | 'failed' | 'closed';

//   opening --OPEN answered, same incarnation--> resending --all resent changes answered--> ready
//   opening --OPEN answered, new incarnation--> replaying --the whole log answered--> resending
//   replaying, resending, ready --answered STALE, or abandoned--> revoked --nothing in flight--> opening
//   replaying, resending, ready, revoked --session lost--> opening
//   any of them --> failed (identity changed, refused permanently)   any --> closed
const PHASES: StateTable<AttachmentPhase> = {
  opening: ['replaying', 'resending', 'failed', 'closed', 'opening'],
  replaying: ['resending', 'revoked', 'opening', 'failed', 'closed'],
  resending: ['ready', 'revoked', 'opening', 'failed', 'closed'],
  ready: ['revoked', 'opening', 'failed', 'closed'],
  revoked: ['opening', 'failed', 'closed'],
  failed: ['closed'],
  closed: [],
};

/** A handler must not act on the attachment before the call has returned. */
export interface AttachmentEvents {
  /** The standing of the attachment may have changed. */
  standingChanged(): void;
  /** The server reports that it is slow; `sentence` is the text of the report. */
  serverIsSlow(sentence: string): void;
}

/**
 * `halted`: nothing can be sent. `recovering`: only recovered requests are sent, or the handle is revoked and the server still has requests
 * for that handle. `over`: the attachment has failed or is closed.
 */
export type Standing = 'ready' | 'recovering' | 'halted' | 'over';

export class Attachment {
  readonly name: string;
  readonly universe: number;
  readonly readonly: boolean;
  /** How the first OPEN treats another client's hold. */
  readonly take: Take;
  phase: AttachmentPhase = 'opening';
  /** The answer to the last OPEN, except that the size never decreases; null if no OPEN has been answered yet. */
  volume: OpenAnswer | null = null;
  /** Why the attachment is stalled or has failed, for people. */
  reason = 'Not opened yet';
  /** True while an OPEN is in flight or scheduled. */
  isOpenRequested = false;
  /** Number of the attachment's requests in flight. */
  slotsHeld = 0;
  /** Bytes of the window that these requests use. */
  bytesHeld = 0;
  /** True from `fence` until `unfence` or a new session: abandoned I/O of the handle may still be executed (S11). */
  private isFenced = false;
  events: AttachmentEvents | null = null;
  /**
   * Called when the handle has been revoked and nothing is in flight. The callee must not act on the attachment before the call has
   * returned.
   */
  whenRevoked: (() => void) | null = null;
  /** Called when a replayed request has failed and nothing is in flight. The callee calls `replayAgain` after a delay. */
  whenReplayFailed: (() => void) | null = null;
  private nothingInFlight: (() => void) | null = null;
  private isReachable = false;
  private hasEnded = false;
  private readonly overlaps = new OverlapTracker();
  /** Requests that may be sent as soon as the phase allows it. */
  private sendable: Request[] = [];
  private sendableHead = 0;
  /** Unanswered changes of the old session, sent before everything else. */
  private resends: Request[] = [];
  private resendsInFlight = 0;
  /** Requests that were answered STALE. They were not executed and are sent again on the next handle. */
  private stale: Request[] = [];
  private readonly admission: LogAdmission;
  private readonly replays = new ReplaySender(this);

  /** `log`: null if there is no log; every change is then sent with FUA. */
  constructor(name: string, universe: number, readonly: boolean, take: Take = TAKE.NO, log: ReplayLog | null = null) {
    this.admission = new LogAdmission(log, {
      admitted: (request) => this.sendable.push(request),
      flush: (request) => this.sendFirst(request),
      refused: (request, status) => this.refuse(request, status),
    });
    this.name = name;
    this.universe = universe;
    this.readonly = readonly;
    this.take = take;
  }

  /** After the first OPEN, the client never takes a hold from another client: it continues under its own hold, or fails. */
  get openRequest(): OpenRequest {
    const { name, universe, readonly, volume } = this;
    return { name, universe, readonly, take: volume === null ? this.take : TAKE.NO, resume: volume?.identity ?? null };
  }

  /** The replay log; null if there is none. Without a log, every change is durable when it is answered. */
  get log(): ReplayLog | null {
    return this.admission.log;
  }

  /** True if a FLUSH sent now would empty the log. */
  get canFlushLog(): boolean {
    return this.standing === 'ready' && this.admission.canFlush;
  }

  /** Sends an internal FLUSH for the log if `canFlushLog` is true. The caller pumps the trunk. */
  flushLog(nowMs: number): void {
    this.admission.flushNow(nowMs);
  }

  get hasSendable(): boolean {
    if (this.phase === 'ready') return this.sendableHead < this.sendable.length;
    if (this.phase === 'replaying') return this.replays.hasNext;
    return this.phase === 'resending' && this.resends.length > 0;
  }

  get standing(): Standing {
    if (this.hasEnded || this.phase === 'failed' || this.phase === 'closed') return 'over';
    if (!this.isReachable || this.phase === 'opening' || this.replays.isHalted) return 'halted';
    return this.phase === 'ready' ? 'ready' : 'recovering';
  }

  /** The trunk has gained its first path or lost its last one. */
  setReachable(isReachable: boolean): void {
    this.isReachable = isReachable;
    this.events?.standingChanged();
  }

  /** The trunk has ended: no request waits any more. */
  trunkEnded(): void {
    this.hasEnded = true;
    this.events?.standingChanged();
  }

  get handle(): number {
    return this.volume?.handle ?? 0;
  }

  moveTo(phase: AttachmentPhase, reason: string): void {
    checkMove(PHASES, this.phase, phase, `Attachment ${this.name}`);
    this.phase = phase;
    this.reason = reason;
    if (phase === 'failed' || phase === 'closed') this.admission.end();
    this.events?.standingChanged();
  }

  /** Takes a new request, which stays here until `next` returns it. */
  add(request: Request): void {
    if (this.overlaps.enter(request)) this.sendable.push(request);
  }

  peek(): Request {
    if (this.phase === 'replaying') return this.replays.peek();
    const request = this.phase === 'resending' ? this.resends[this.resends.length - 1] : this.sendable[this.sendableHead];
    assert(request !== undefined, `Attachment ${this.name} has nothing to send`);
    return request;
  }

  /** Removes and returns the request that `peek` returned. Returns null if the log has no room for the request, which then waits here. */
  next(): Request | null {
    if (this.phase === 'replaying') return this.replays.next();
    const request = this.peek();
    if (this.phase === 'resending') {
      this.resends.pop();
      this.resendsInFlight++;
      return request;
    }
    this.sendableHead++;
    if (this.sendableHead === this.sendable.length) {
      this.sendable.length = 0;
      this.sendableHead = 0;
    } else if (this.sendableHead >= 1024) {
      this.sendable.splice(0, this.sendableHead);
      this.sendableHead = 0;
    }
    return this.admission.admits(request) ? request : null;
  }

  /** A request from `next` was answered. The caller notifies the owner of the request. */
  answered(request: Request, status: number): void {
    if (this.replays.owns(request)) this.replayAnswered(request, status);
    else this.admission.answered(request, status);
    if (this.phase === 'resending' && changesContent(request.op) && !this.replays.owns(request)) {
      this.resendsInFlight--;
      this.leaveResending();
    }
    this.overlaps.leave(request, (released) => this.sendable.push(released));
    this.leaveRevoked();
    this.reportNothingInFlight();
  }

  /** The attachment is closed. Calls `then` as soon as none of its requests is in flight, possibly at once. */
  whenNothingInFlight(then: () => void): void {
    this.nothingInFlight = then;
    this.reportNothingInFlight();
  }

  /** No request in flight will be answered any more. */
  forgetInFlight(): void {
    this.slotsHeld = 0;
    this.bytesHeld = 0;
    this.reportNothingInFlight();
  }

  /**
   * A request from `next` was answered STALE. Returns true if the handle was revoked: the request then stays here unanswered and blocks
   * only requests that overlap it. Returns false if nothing is sent for this attachment any more.
   */
  keepStale(request: Request): boolean {
    if (this.phase === 'failed' || this.phase === 'closed') return false;
    if (this.replays.owns(request)) {
      this.replays.drop();
    } else {
      request.answers = [];
      this.stale.push(request);
    }
    if (this.phase !== 'revoked') this.moveTo('revoked', 'The server has revoked the handle: the client opens the volume again');
    this.leaveRevoked();
    return true;
  }

  /** The session is lost. `unanswered`: this attachment's requests in flight, which the next session recovers. */
  sessionLost(unanswered: readonly Request[], reason: string): void {
    this.slotsHeld = 0;
    this.bytesHeld = 0;
    this.isFenced = false;
    this.isOpenRequested = false;
    // The log still holds everything, so a replay in the next session starts with the first piece.
    this.replays.drop();
    this.recover(unanswered.filter((request) => !this.replays.owns(request)));
    if (this.phase !== 'failed' && this.phase !== 'closed') this.moveTo('opening', reason);
  }

  /**
   * Returns null if the pending requests may be sent to the volume that this OPEN answer describes, otherwise the reason, as text for
   * people. A writer continues only if everything can be written again and no other client can have written. A reader needs only the same
   * block size.
   */
  whyUnfit({ readonly, shared, blockSizeBytes }: OpenAnswer): string | null {
    const before = this.volume;
    if (before === null) return null;
    const unless = 'until then its I/O is stalled; detaching it by force loses unflushed writes';
    if (blockSizeBytes !== before.blockSizeBytes)
      return `Volume ${this.name} now has blocks of ${blockSizeBytes} bytes, but had ${before.blockSizeBytes} when it was attached: restore blocksize in rssrvcfg of its server; ${unless}`;
    if (before.readonly) return null;
    if (readonly) return `Volume ${this.name} is now read-only on its server, but was attached writable: make it writable there; ${unless}`;
    if (shared && !before.shared)
      return `Volume ${this.name} is now shared, but was attached unshared: remove "shared" from rssrvcfg of its server; ${unless}`;
    return null;
  }

  /** OPEN was answered, for the first time or in a new session, and `whyUnfit` returned null. */
  opened(volume: OpenAnswer): void {
    const before = this.volume;
    const readonly = volume.readonly || before?.readonly === true;
    this.volume = { ...volume, readonly, sizeBytes: Math.max(volume.sizeBytes, before?.sizeBytes ?? 0) };
    // L3: a replay of this client's log would undo the writes of other clients. Nothing has been written yet.
    if (before === null && (volume.shared || volume.readonly)) this.admission.end();
    this.replay(volume.life);
  }

  /** After `whenReplayFailed`: replays the whole log again. */
  replayAgain(): void {
    if (this.phase !== 'replaying' || this.replays.failure === null || this.volume === null) return;
    this.replay(this.volume.life);
    this.events?.standingChanged();
  }

  /** The server reports this size of the volume. Returns false if it is not larger than before: applications never see a volume shrink. */
  grow(sizeBytes: number): boolean {
    const { volume } = this;
    if (volume === null || sizeBytes <= volume.sizeBytes) return false;
    this.volume = { ...volume, sizeBytes };
    return true;
  }

  /**
   * The attachment's I/O is abandoned: removes and returns all waiting requests. `sent`: the requests in flight. They no longer block other
   * requests.
   */
  abandon(sent: readonly Request[]): Request[] {
    const waiting = this.takeAll();
    this.resendsInFlight = 0;
    this.slotsHeld -= sent.length;
    for (const { bodyBytes } of sent) this.bytesHeld -= bodyBytes;
    if (sent.some((request) => this.replays.owns(request))) this.replays.drop();
    for (const request of sent) this.forget(request);
    return waiting;
  }

  /** Requests in flight were abandoned. Until `unfence` or another session, the attachment is not opened again and sends nothing. */
  fence(): void {
    this.isFenced = true;
    const reason = 'Its I/O was abandoned: waiting until the server has confirmed that none of it can run any more';
    if (this.phase !== 'revoked') this.moveTo('revoked', reason);
    else this.reason = reason;
  }

  /** No request of the fenced handle can be executed any more, and the handle is closed. */
  unfence(): void {
    this.isFenced = false;
    this.leaveRevoked();
  }

  /** The attachment ends: removes and returns all requests that are not in flight. */
  takeAll(): Request[] {
    const sendable = this.sendable.slice(this.sendableHead);
    const all = [...this.stale, ...this.resends, ...sendable, ...this.admission.takeWaiting(), ...this.overlaps.takeWaiting()];
    this.stale = [];
    this.resends = [];
    this.sendable = [];
    this.sendableHead = 0;
    for (const request of all) this.forget(request);
    return all;
  }

  private forget(request: Request): void {
    this.log?.dropped(request);
    this.overlaps.leave(request, () => {});
  }

  /** R2 (i): if the storage's incarnation differs from the log's, sends the whole log again before everything else. */
  private replay(incarnation: string): void {
    const replay = this.log?.opened(incarnation) ?? null;
    if (replay !== null) {
      this.replays.begin(replay);
      if (this.phase !== 'replaying') this.moveTo('replaying', 'The storage started a new incarnation: unflushed writes are sent again');
      return;
    }
    this.moveTo('resending', 'Requests of the last session are sent again');
    this.leaveResending();
  }

  private replayAnswered(request: Request, status: number): void {
    const { log } = this;
    if (this.phase !== 'replaying' || log === null) return;
    const verdict = this.replays.answered(request, status, log);
    if (verdict === 'over') {
      this.moveTo('resending', 'Requests of the last session are sent again');
      this.leaveResending();
    } else if (verdict === 'failed') {
      this.reason = `Unflushed writes are sent again and fail with "${statusEntry(this.replays.failure ?? status).sentence}": retrying`;
      this.events?.standingChanged();
      this.whenReplayFailed?.();
    }
  }

  private sendFirst(request: Request): void {
    request.attachment = this;
    this.sendable.splice(this.sendableHead, 0, request);
  }

  /** Fails a change that was never sent. */
  private refuse(request: Request, status: number): void {
    this.overlaps.leave(request, (released) => this.sendable.push(released));
    request.events?.requestDone(request, status);
  }

  /** Queues unanswered requests to be sent again, changes first. */
  private recover(unanswered: readonly Request[]): void {
    const all = [...this.stale, ...unanswered];
    this.stale = [];
    this.resendsInFlight = 0;
    this.resends.push(...all.filter((request) => changesContent(request.op)));
    this.sendable = [...all.filter((request) => !changesContent(request.op)), ...this.sendable.slice(this.sendableHead)];
    this.sendableHead = 0;
  }

  /**
   * Opens a new handle only when the server has no more requests for the revoked one; otherwise an answer could be attributed to the wrong
   * handle.
   */
  private leaveRevoked(): void {
    if (this.phase !== 'revoked' || this.slotsHeld > 0 || this.isFenced) return;
    this.recover([]);
    this.moveTo('opening', this.reason);
    this.whenRevoked?.();
  }

  private reportNothingInFlight(): void {
    if (this.nothingInFlight === null || this.slotsHeld > 0) return;
    const then = this.nothingInFlight;
    this.nothingInFlight = null;
    then();
  }

  private leaveResending(): void {
    if (this.resends.length === 0 && this.resendsInFlight === 0) this.moveTo('ready', '');
  }
}
