// A volume that this client has opened, over one trunk at a time. The attachment queues the volume's requests, and recovers them when a new
// session begins, when the server has revoked the handle, or when the attachment moves to another server (F9). Recovery sends, in this
// order (docs/PROTOCOL.md, R2): the replay log, but only to a new incarnation of the storage; unanswered WRITEs, ZEROs and DISCARDs; all
// other requests. Invariants: before the phase is `ready`, only recovered requests are sent. Two overlapping changes (WRITE, ZERO, DISCARD)
// are never in flight at the same time (O1). Rules: R1, R4, R6, H3.

import { assert, counted } from '@rsio/base/lib/assert';
import { checkMove, type StateTable } from '@rsio/base/lib/state-table';
import { GrowingQueue } from '@rsio/base/lib/growing-queue';
import type { HeldBy } from '../link/heartbeat.ts';
import { type OpenAnswer, type OpenRequest, type OpenTerm, TAKE, type Take } from '../wire/messages.ts';
import { SLOTS } from '../wire/limits.ts';
import { statusEntry } from '../wire/status.ts';
import { QUOTA_ANSWERS, QUOTA_BEGIN_SLOTS, QUOTA_HELD_SLOTS } from './limits.ts';
import { ReadTimes } from './paths/read-times.ts';
import { LogAdmission } from './replay/log-admission.ts';
import { changesContent, OverlapTracker } from './requests/overlap.ts';
import type { ReplayLog } from './replay/replay-log.ts';
import { ReplaySender } from './replay/replay-sender.ts';
import type { Request } from './requests/request.ts';

export type AttachmentPhase = 'opening' | 'replaying' | 'resending' | 'ready' | 'revoked' | 'failed' | 'closed';

//   opening --OPEN answered, nothing to replay--> resending --all changes answered--> ready
//   opening --OPEN answered, new incarnation--> replaying --whole log answered--> resending
//   replaying, resending, ready --STALE, or I/O abandoned--> revoked --server has none of its requests--> opening
//   replaying, resending, ready, revoked --session lost, or volume at another server--> opening
//   any but closed --volume replaced, or OPEN refused permanently--> failed        any --> closed
const PHASES: StateTable<AttachmentPhase> = {
  opening: ['replaying', 'resending', 'failed', 'closed', 'opening'],
  replaying: ['resending', 'revoked', 'opening', 'failed', 'closed'],
  resending: ['ready', 'revoked', 'opening', 'failed', 'closed'],
  ready: ['revoked', 'opening', 'failed', 'closed'],
  revoked: ['opening', 'failed', 'closed'],
  failed: ['closed'],
  closed: [],
};

/** Event handlers must not call methods that change the attachment. */
export interface AttachmentEvents {
  standingChanged(): void;
  /** Called when the server reports (E_DRAINING) that it is alive but slow. `sentence`: message of the server. */
  serverIsSlow(sentence: string): void;
}

/**
 * `halted`: the attachment cannot send any request. `recovering`: the attachment sends only recovered requests, or waits because the server
 * still has requests of a revoked handle. `over`: the attachment has failed or is closed, or its trunk has ended.
 */
export type Standing = 'ready' | 'recovering' | 'halted' | 'over';

/** What a server says about the pool of a volume (F9). Generations can be compared only within one pool. */
export interface Ownership {
  /** Null if the server is too old to name the pool. */
  readonly poolId: string | null;
  readonly generation: number;
}

export class Attachment {
  readonly name: string;
  readonly universe: number;
  readonly readonly: boolean;
  /** Whether the first OPEN takes over the volume if another client holds it. */
  readonly take: Take;
  /**
   * The claim under which a replica is opened; null if the volume is not a replica. The owner sets this field before the first OPEN. If an
   * OPEN is refused because of the claim, the attachment fails.
   */
  mirror: OpenTerm | null = null;
  phase: AttachmentPhase = 'opening';
  /**
   * The answer to the last OPEN that was granted; null before the first grant. In this field, `sizeBytes` never decreases, and `readonly`
   * never changes back to false.
   */
  volume: OpenAnswer | null = null;
  /**
   * The pool of the volume, and the highest generation under which a server is known to own this pool (F9); null if the pool is not shared.
   * The generation decreases only when the pool changes.
   */
  ownership: Ownership | null = null;
  /**
   * True after a move to a server that might not be the owner, until that server grants an OPEN. No refusal by this server ends the
   * attachment, because a server refuses some OPENs without checking whether it owns the pool.
   */
  isGuess = false;
  /** Number of consecutive refusals of OPEN by a server that might not be the owner. */
  refusals = 0;
  /**
   * The last incarnation of the storage that has every acknowledged write. Null before the first OPEN. Changes only when the log has been
   * replayed completely. If this field changed earlier and the client then crashed, the restarted client would not notice the loss of
   * writes that had not been sent again.
   */
  recoveredLife: string | null = null;
  /** Text that tells the user why the attachment is stalled or has failed. */
  reason = 'Not opened yet';
  /** True while an OPEN is waiting to be sent or is in flight. */
  isOpenRequested = false;
  /** True while the server's list says that changes of the volume wait for space. */
  waitsForSpace = false;
  /**
   * Reason, from the server's list, why the server holds back I/O of the volume, such as a limit; null if the server does not hold back
   * I/O.
   */
  heldBy: HeldBy | null = null;
  slotsHeld = 0;
  bytesHeld = 0;
  /** Slots that the volume may hold while other volumes are open, if the server does not hold its I/O back. */
  private quotaSlots = QUOTA_BEGIN_SLOTS;
  private quotaAnswers = 0;
  readonly readTimes = new ReadTimes();
  /** True while the server may still execute abandoned I/O of the handle (S11). */
  private isFenced = false;
  events: AttachmentEvents | null = null;
  /**
   * Called when the handle has been revoked and none of its requests is in flight. The callee must not call methods that change the
   * attachment.
   */
  whenRevoked: (() => void) | null = null;
  /** Called when `refusals` has grown. The callee must not change the attachment. */
  whenMisplaced: (() => void) | null = null;
  /** Called when a replayed request has failed and no request is in flight. The callee calls `replayAgain` after a delay. */
  whenReplayFailed: (() => void) | null = null;
  private nothingInFlight: (() => void) | null = null;
  private isReachable = false;
  private hasEnded = false;
  private readonly overlaps = new OverlapTracker();
  /** Requests that can be sent as soon as the phase is `ready`. */
  private readonly sendable = new GrowingQueue<Request>();
  /** Unanswered changes of the previous session or handle, which are sent again before any request in `sendable`. */
  private resends: Request[] = [];
  private resendsInFlight = 0;
  /** Requests that the server answered with STALE and that are sent again on the next handle. */
  private stale: Request[] = [];
  private readonly admission: LogAdmission;
  private readonly released = (request: Request): void => {
    this.sendable.push(request);
  };
  private readonly replays = new ReplaySender(this);

  /** `log`: the replay log; if it is null, every change is sent with FUA and is durable when it is answered. */
  constructor(name: string, universe: number, readonly: boolean, take: Take, log: ReplayLog | null) {
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

  /**
   * The next OPEN to send. Only the first OPEN may take a hold from another client. Each later OPEN succeeds only under this client's own
   * hold.
   */
  get openRequest(): OpenRequest {
    const { name, universe, readonly, volume, mirror } = this;
    return { name, universe, readonly, take: volume === null ? this.take : TAKE.NO, resume: volume?.identity ?? null, mirror };
  }

  get log(): ReplayLog | null {
    return this.admission.log;
  }

  /** True if a FLUSH sent now would empty the log. */
  get canFlushLog(): boolean {
    return this.standing === 'ready' && this.admission.canFlush;
  }

  /**
   * Queues a FLUSH to empty the log, unless the log is empty or is already being flushed. The caller must schedule the trunk's pump
   * afterwards.
   */
  flushLog(nowMs: number): void {
    this.admission.flushNow(nowMs);
  }

  get hasSendable(): boolean {
    if (this.phase === 'ready') return this.sendable.length > 0;
    if (this.phase === 'replaying') return this.replays.hasNext;
    return this.phase === 'resending' && this.resends.length > 0;
  }

  get standing(): Standing {
    if (this.hasEnded || this.phase === 'failed' || this.phase === 'closed') return 'over';
    if (!this.isReachable || this.phase === 'opening' || this.replays.isHalted) return 'halted';
    return this.phase === 'ready' ? 'ready' : 'recovering';
  }

  /** Called when the trunk has gained its first path or lost its last path. */
  setReachable(isReachable: boolean): void {
    this.isReachable = isReachable;
    this.events?.standingChanged();
  }

  /** Called when the trunk has ended and has removed all requests of the attachment. */
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

  add(request: Request): void {
    if (this.overlaps.enter(request)) this.sendable.push(request);
  }

  peek(): Request {
    if (this.phase === 'replaying') return this.replays.peek();
    const request = this.phase === 'resending' ? this.resends[this.resends.length - 1] : this.sendable.peek();
    // The text is made only on failure, because it would otherwise be made for each request.
    if (request === undefined) assert(false, `Attachment ${this.name} has nothing to send`);
    return request;
  }

  /**
   * Removes and returns the request that `peek` returned. If the log has no room for the request, returns null and keeps the request until
   * there is room.
   */
  next(): Request | null {
    if (this.phase === 'replaying') return this.replays.next();
    const request = this.peek();
    if (this.phase === 'resending') {
      this.resends.pop();
      this.resendsInFlight++;
      return request;
    }
    this.sendable.shift();
    return this.admission.admits(request) ? request : null;
  }

  /** Called when a request that `next` returned has been answered. The caller then notifies the owner of the request. */
  answered(request: Request, status: number): void {
    if (this.replays.owns(request)) this.replayAnswered(request, status);
    else this.admission.answered(request, status);
    if (this.phase === 'resending' && changesContent(request.op) && !this.replays.owns(request)) {
      this.resendsInFlight = counted(this.resendsInFlight - 1, 'requests that are sent again');
      this.leaveResending();
    }
    this.overlaps.leave(request, this.released);
    this.leaveRevoked();
    this.reportNothingInFlight();
  }

  /** Calls `then` as soon as none of the closed attachment's requests is in flight, possibly before this method returns. */
  whenNothingInFlight(then: () => void): void {
    this.nothingInFlight = then;
    this.reportNothingInFlight();
  }

  /** Number of slots that the volume may hold while other volumes are open. */
  get quota(): number {
    return this.heldBy === null ? this.quotaSlots : QUOTA_HELD_SLOTS;
  }

  /** A request of the volume was answered, so that its quota grows, or begins anew while the server holds the I/O back. */
  growQuota(): void {
    if (this.heldBy !== null) {
      this.quotaSlots = QUOTA_BEGIN_SLOTS;
      return;
    }
    if (++this.quotaAnswers < QUOTA_ANSWERS || this.quotaSlots >= SLOTS) return;
    this.quotaAnswers = 0;
    this.quotaSlots++;
  }

  /** Sets the counts of requests in flight to 0, because no further answer will arrive. */
  forgetInFlight(): void {
    this.slotsHeld = 0;
    this.bytesHeld = 0;
    this.reportNothingInFlight();
  }

  /**
   * Called when a request that `next` returned has been answered with STALE. If the attachment keeps the request, returns true and sends
   * the request again on the next handle. A kept request blocks only overlapping requests. Returns false if the attachment has failed or is
   * closed, which makes STALE the final answer.
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

  /** Called when the session is lost. `unanswered`: this attachment's requests in flight, which the next session recovers. */
  sessionLost(unanswered: readonly Request[], reason: string): void {
    this.slotsHeld = 0;
    this.bytesHeld = 0;
    this.isFenced = false;
    this.isOpenRequested = false;
    // The log still holds every change, so a replay in the next session can start from the beginning.
    this.replays.drop();
    this.recover(unanswered.filter((request) => !this.replays.owns(request)));
    if (this.phase !== 'failed' && this.phase !== 'closed') this.moveTo('opening', reason);
  }

  /**
   * Returns null if the pending requests may be sent to the reopened volume; otherwise returns why they may not, as text for the user. The
   * block size must be unchanged. A writable attachment needs a volume that is still writable, so that writes can be sent again. The volume
   * of a writable attachment must not have become shared, because another client may then have written to it.
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

  /** Called when the server has granted OPEN, for the first time or again, and `whyUnfit` has returned null. */
  opened(volume: OpenAnswer): void {
    const before = this.volume;
    const readonly = volume.readonly || before?.readonly === true;
    this.volume = { ...volume, readonly, sizeBytes: Math.max(volume.sizeBytes, before?.sizeBytes ?? 0) };
    this.isGuess = false;
    this.refusals = 0;
    const { poolGeneration, poolId = null } = volume;
    if (poolGeneration !== undefined) this.sees({ poolId, generation: poolGeneration });
    // L3: a read-only volume needs no log. A shared volume must have no log, because a replay would undo the writes of other clients. The
    // log is still empty, because this client has not written anything yet.
    if (before === null && (volume.shared || volume.readonly)) this.admission.end();
    this.replay(volume.life);
  }

  /** Called when the attachment's own server has named the pool and the generation. Another pool replaces the earlier one. */
  sees(seen: Ownership): void {
    const { ownership } = this;
    if (ownership?.poolId !== seen.poolId || seen.generation > ownership.generation) this.ownership = seen;
  }

  /** True if a server with this ownership became the owner of the pool later than every owner known so far. */
  isSurpassedBy({ poolId, generation }: Ownership): boolean {
    return this.ownership !== null && poolId === this.ownership.poolId && generation > this.ownership.generation;
  }

  /** Called when the server has refused an OPEN and might not be the owner of the volume's pool. */
  misplaced(): void {
    this.refusals++;
    this.whenMisplaced?.();
  }

  /**
   * Called when the attachment has moved to a server that claims this ownership. The earlier server's reports about the volume no longer
   * count. A claim in another pool counts only when an OPEN is granted.
   */
  movedTo(claim: Ownership): void {
    this.isGuess = !this.isSurpassedBy(claim);
    this.refusals = 0;
    if (!this.isGuess) this.sees(claim);
    this.waitsForSpace = false;
    this.heldBy = null;
  }

  replayAgain(): void {
    if (this.phase !== 'replaying' || this.replays.failure === null || this.volume === null) return;
    this.replay(this.volume.life);
    this.events?.standingChanged();
  }

  /** Ignores a size that is not larger than the current size and returns false, because applications must never see a volume shrink. */
  grow(sizeBytes: number): boolean {
    const { volume } = this;
    if (volume === null || sizeBytes <= volume.sizeBytes) return false;
    this.volume = { ...volume, sizeBytes };
    return true;
  }

  /**
   * Abandons the attachment's I/O: removes and returns all waiting requests. `sent`: the requests in flight. After this call, no other
   * request waits for the abandoned requests.
   */
  abandon(sent: readonly Request[]): Request[] {
    const waiting = this.takeAll();
    this.resendsInFlight = 0;
    this.slotsHeld = counted(this.slotsHeld - sent.length, 'slots of a volume');
    for (const { bodyBytes } of sent) this.bytesHeld -= bodyBytes;
    if (sent.some((request) => this.replays.owns(request))) this.replays.drop();
    for (const request of sent) this.forget(request);
    return waiting;
  }

  /**
   * Called after requests in flight were abandoned. Until `unfence` is called or a new session begins, the attachment sends nothing and is
   * not opened again.
   */
  fence(): void {
    this.isFenced = true;
    const reason = 'Its I/O was abandoned: waiting until the server has confirmed that none of it can run any more';
    if (this.phase !== 'revoked') this.moveTo('revoked', reason);
    else this.reason = reason;
  }

  /** Called when the server can no longer execute any request of the fenced handle. */
  unfence(): void {
    this.isFenced = false;
    this.leaveRevoked();
  }

  /** Removes and returns all requests that are not in flight. */
  takeAll(): Request[] {
    const all = [
      ...this.stale,
      ...this.resends,
      ...this.sendable.takeAll(),
      ...this.admission.takeWaiting(),
      ...this.overlaps.takeWaiting(),
    ];
    this.stale = [];
    this.resends = [];
    for (const request of all) this.forget(request);
    return all;
  }

  private forget(request: Request): void {
    this.admission.dropped(request);
    this.overlaps.leave(request, () => {});
  }

  /** R2 (i): if the storage and the log have different incarnations, replays the whole log before any other request is sent. */
  private replay(incarnation: string): void {
    const replay = this.log?.opened(incarnation) ?? null;
    if (replay !== null) {
      this.replays.begin(replay);
      if (this.phase !== 'replaying') this.moveTo('replaying', 'The storage started a new incarnation: unflushed writes are sent again');
      return;
    }
    this.resend();
  }

  /** Called when the storage has every change in the log. */
  private resend(): void {
    this.recoveredLife = this.volume?.life ?? null;
    this.moveTo('resending', 'Requests of the last session are sent again');
    this.leaveResending();
  }

  private replayAnswered(request: Request, status: number): void {
    const { log } = this;
    if (this.phase !== 'replaying' || log === null) return;
    const verdict = this.replays.answered(request, status, log);
    if (verdict === 'over') this.resend();
    else if (verdict === 'failed') {
      this.reason = `Unflushed writes are sent again and fail with "${statusEntry(this.replays.failure ?? status).sentence}": retrying`;
      this.events?.standingChanged();
      this.whenReplayFailed?.();
    }
  }

  private sendFirst(request: Request): void {
    request.attachment = this;
    this.sendable.unshift(request);
  }

  private refuse(request: Request, status: number): void {
    this.overlaps.leave(request, this.released);
    request.events?.requestDone(request, status);
  }

  /** Queues the unanswered requests to be sent again, changes before all others. */
  private recover(unanswered: readonly Request[]): void {
    const all = [...this.stale, ...unanswered];
    this.stale = [];
    this.resendsInFlight = 0;
    this.resends.push(...all.filter((request) => changesContent(request.op)));
    for (const request of all.toReversed()) if (!changesContent(request.op)) this.sendable.unshift(request);
  }

  /**
   * Leaves the phase `revoked` if the server has no more requests for the revoked handle. If the phase ended earlier, an answer could be
   * attributed to the wrong handle.
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
