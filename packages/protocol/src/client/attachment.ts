// A volume opened by this client over one trunk: what waits to be sent, what is out, and the order in which a new session, or a new handle
// after a revoked one, takes up what was left (docs/PROTOCOL.md, R2): in a new life of the storage first what is in the replay log; then the
// unanswered WRITE, ZERO and DISCARD; then the rest. Invariant: while the phase is not `ready`, nothing but what is that phase's leaves; and
// no two overlapping changes are ever out together (O1).

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

//   opening --OPEN answered, same life--> resending --all resent writes answered--> ready
//   opening --OPEN answered, new life--> replaying --all of the log answered--> resending
//   replaying, resending, ready --answered STALE, or given up--> revoked --nothing is out any more--> opening
//   replaying, resending, ready, revoked --session lost--> opening
//   any of them --> failed (identity changed, refused for good)   any --> closed
const PHASES: StateTable<AttachmentPhase> = {
  opening: ['replaying', 'resending', 'failed', 'closed', 'opening'],
  replaying: ['resending', 'revoked', 'opening', 'failed', 'closed'],
  resending: ['ready', 'revoked', 'opening', 'failed', 'closed'],
  ready: ['revoked', 'opening', 'failed', 'closed'],
  revoked: ['opening', 'failed', 'closed'],
  failed: ['closed'],
  closed: [],
};

/** Told when an attachment's standing may have changed; it must not act on the attachment before the call has returned. */
export interface AttachmentEvents {
  standingChanged(): void;
  /** The server has said that it is there and slow, in this sentence. */
  serverIsSlow(sentence: string): void;
}

/**
 * `halted`: nothing can be sent; `recovering`: only what is taken up again, or the handle is revoked and the server still has requests of
 * it; `over`: it has failed or is closed.
 */
export type Standing = 'ready' | 'recovering' | 'halted' | 'over';

export class Attachment {
  readonly name: string;
  readonly universe: number;
  readonly readonly: boolean;
  /** What the first OPEN may do to another holder. */
  readonly take: Take;
  phase: AttachmentPhase = 'opening';
  /** What the server answered to the last OPEN, but never smaller than it has been; null before the first. */
  volume: OpenAnswer | null = null;
  /** Why it waits or failed, for people. */
  reason = 'Not opened yet';
  /** An OPEN is under way or planned. */
  isOpenRequested = false;
  /** Requests of it that were sent and are not answered. */
  slotsHeld = 0;
  /** What those count in the window. */
  bytesHeld = 0;
  /** I/O of its handle was given up, and the server has not said yet that nothing of it can run any more (S11). */
  private isFenced = false;
  events: AttachmentEvents | null = null;
  /** Called when its handle was revoked and nothing of it is out any more; it must not act on the attachment before the call has returned. */
  whenRevoked: (() => void) | null = null;
  /** Called when the server answers what is replayed with an error, and nothing is out: `replayAgain` is to be called after a time. */
  whenReplayFailed: (() => void) | null = null;
  private nothingInFlight: (() => void) | null = null;
  private isReachable = false;
  private hasEnded = false;
  private readonly overlaps = new OverlapTracker();
  /** May be sent now, apart from the phase. */
  private sendable: Request[] = [];
  private sendableHead = 0;
  /** Unanswered changes of the old session, to be sent before all else. */
  private resends: Request[] = [];
  private resendsInFlight = 0;
  /** Answered STALE: not executed, and to be sent again on the next handle. */
  private stale: Request[] = [];
  private readonly admission: LogAdmission;
  private readonly replays = new ReplaySender(this);

  /** `log`: null for none: then every change goes with FUA. */
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

  /** Who has had the volume open takes nothing from anybody: it goes on under its own hold, or not at all. */
  get openRequest(): OpenRequest {
    const { name, universe, readonly, volume } = this;
    return { name, universe, readonly, take: volume === null ? this.take : TAKE.NO, resume: volume?.identity ?? null };
  }

  /** Null: there is none, every change is durable when it is answered. */
  get log(): ReplayLog | null {
    return this.admission.log;
  }

  /** What is in its log could be flushed now. */
  get canFlushLog(): boolean {
    return this.standing === 'ready' && this.admission.canFlush;
  }

  /** When `canFlushLog`: sends a FLUSH of our own, for the log alone; the trunk is to be pumped. */
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

  /** The trunk has a path, or none. */
  setReachable(isReachable: boolean): void {
    this.isReachable = isReachable;
    this.events?.standingChanged();
  }

  /** The trunk has ended: nothing is waited for any more. */
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

  /** A new request; it stays here until `next` gives it out. */
  add(request: Request): void {
    if (this.overlaps.enter(request)) this.sendable.push(request);
  }

  peek(): Request {
    if (this.phase === 'replaying') return this.replays.peek();
    const request = this.phase === 'resending' ? this.resends[this.resends.length - 1] : this.sendable[this.sendableHead];
    assert(request !== undefined, `Attachment ${this.name} has nothing to send`);
    return request;
  }

  /** Takes out what `peek` showed. Null: there is no room for it in the log, it waits here. */
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

  /** A request given out by `next` was answered, and its owner will hear of it. */
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

  /** It is closed: calls `then` when nothing that was sent of it is unanswered, now or later. */
  whenNothingInFlight(then: () => void): void {
    this.nothingInFlight = then;
    this.reportNothingInFlight();
  }

  /** Of what was sent nothing will be answered any more. */
  forgetInFlight(): void {
    this.slotsHeld = 0;
    this.bytesHeld = 0;
    this.reportNothingInFlight();
  }

  /**
   * A request given out by `next` was answered STALE. True: its handle was revoked, and it stays here as unanswered, in nobody's way but
   * of those that overlap it; false: nothing is sent for this attachment any more.
   */
  keepStale(request: Request): boolean {
    if (this.phase === 'failed' || this.phase === 'closed') return false;
    if (this.replays.owns(request)) {
      this.replays.drop();
    } else {
      request.answers = [];
      this.stale.push(request);
    }
    if (this.phase !== 'revoked') this.moveTo('revoked', 'Its server has revoked the handle: it is opened again');
    this.leaveRevoked();
    return true;
  }

  /** The session is gone: `unanswered` are those of this attachment that were out. The next session takes them up again. */
  sessionLost(unanswered: readonly Request[], reason: string): void {
    this.slotsHeld = 0;
    this.bytesHeld = 0;
    this.isFenced = false;
    this.isOpenRequested = false;
    // What was sent of the log is there still: the next session begins with its first piece.
    this.replays.drop();
    this.recover(unanswered.filter((request) => !this.replays.owns(request)));
    if (this.phase !== 'failed' && this.phase !== 'closed') this.moveTo('opening', reason);
  }

  /**
   * Why what is here must not meet the volume as it was opened just now, for people; null: it may. Whoever wrote goes on only where all of
   * it can be written again, and nobody else may have written; whoever reads goes by the blocks.
   */
  whyUnfit({ readonly, shared, blockSizeBytes }: OpenAnswer): string | null {
    const before = this.volume;
    if (before === null) return null;
    const unless = 'what was written waits for that, or detach it by force and lose what was not flushed';
    if (blockSizeBytes !== before.blockSizeBytes)
      return `Volume ${this.name} has blocks of ${blockSizeBytes} bytes now, and of ${before.blockSizeBytes} when it was attached: give it those again in rssrvcfg of its server; ${unless}`;
    if (before.readonly) return null;
    if (readonly) return `Volume ${this.name} is read-only at its server now, and was attached writable: make it writable there; ${unless}`;
    if (shared && !before.shared)
      return `Volume ${this.name} is shared now, and was attached unshared: take "shared" out of rssrvcfg of its server; ${unless}`;
    return null;
  }

  /** OPEN was answered, for the first time or in a new session, by a volume that is fit for it. */
  opened(volume: OpenAnswer): void {
    const before = this.volume;
    const readonly = volume.readonly || before?.readonly === true;
    this.volume = { ...volume, readonly, sizeBytes: Math.max(volume.sizeBytes, before?.sizeBytes ?? 0) };
    // L3: what others write, a log of one would bring back. Nothing was written yet.
    if (before === null && (volume.shared || volume.readonly)) this.admission.end();
    this.replay(volume.life);
  }

  /** After `whenReplayFailed`: all of the log is sent once more. */
  replayAgain(): void {
    if (this.phase !== 'replaying' || this.replays.failure === null || this.volume === null) return;
    this.replay(this.volume.life);
    this.events?.standingChanged();
  }

  /** The server says that the volume has this size, in bytes. False: it is not larger than it was; who uses it never sees it shrink. */
  grow(sizeBytes: number): boolean {
    const { volume } = this;
    if (volume === null || sizeBytes <= volume.sizeBytes) return false;
    this.volume = { ...volume, sizeBytes };
    return true;
  }

  /** Its I/O is given up: what is here is taken out; `sent` are those that were out, which stand in nobody's way any more. */
  abandon(sent: readonly Request[]): Request[] {
    const waiting = this.takeAll();
    this.resendsInFlight = 0;
    this.slotsHeld -= sent.length;
    for (const { bodyBytes } of sent) this.bytesHeld -= bodyBytes;
    if (sent.some((request) => this.replays.owns(request))) this.replays.drop();
    for (const request of sent) this.forget(request);
    return waiting;
  }

  /** What was out of it was given up: it sends nothing, nor is it opened again, before `unfence`, or before another session. */
  fence(): void {
    this.isFenced = true;
    const reason = 'Its I/O was given up: its server is to say that nothing of it runs any more';
    if (this.phase !== 'revoked') this.moveTo('revoked', reason);
    else this.reason = reason;
  }

  /** Nothing that was sent on its handle can run any more, and the handle is closed. */
  unfence(): void {
    this.isFenced = false;
    this.leaveRevoked();
  }

  /** Everything that is here and not out, taken out: the attachment ends. */
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

  /** R2 (i): in another life than the log's all of it is sent again, before all else. */
  private replay(life: string): void {
    const replay = this.log?.opened(life) ?? null;
    if (replay !== null) {
      this.replays.begin(replay);
      if (this.phase !== 'replaying') this.moveTo('replaying', 'The storage began a new life: what was not flushed is sent again');
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
      this.reason = `What was not flushed is sent again and is answered "${statusEntry(this.replays.failure ?? status).sentence}": it is tried anew`;
      this.events?.standingChanged();
      this.whenReplayFailed?.();
    }
  }

  private sendFirst(request: Request): void {
    request.attachment = this;
    this.sendable.splice(this.sendableHead, 0, request);
  }

  /** Ends a change that was never sent. */
  private refuse(request: Request, status: number): void {
    this.overlaps.leave(request, (released) => this.sendable.push(released));
    request.events?.requestDone(request, status);
  }

  /** What was sent and is unanswered waits to be sent again: changes before all else. */
  private recover(unanswered: readonly Request[]): void {
    const all = [...this.stale, ...unanswered];
    this.stale = [];
    this.resendsInFlight = 0;
    this.resends.push(...all.filter((request) => changesContent(request.op)));
    this.sendable = [...all.filter((request) => !changesContent(request.op)), ...this.sendable.slice(this.sendableHead)];
    this.sendableHead = 0;
  }

  /** A handle is opened in the place of a revoked one when the server has nothing of that left: an answer would be taken for the other's. */
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
