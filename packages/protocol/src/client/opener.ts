// Opens the attachments of a trunk. Opens each attachment again in every new session, and whenever the server has revoked the handle. If
// the first OPEN is refused, the attachment fails. If a later OPEN is refused, the attachment's I/O stalls and the client retries OPEN,
// unless another client has taken the volume. Invariants (R1): if the identity of the volume has changed, no request is sent again. In one
// session, two OPENs of an attachment are at least REOPEN_RETRY_MS apart. While the volume cannot take the pending requests, for example
// because it has become read-only, one handle stays open to keep the hold. An attachment is opened only after CLOSE of an earlier
// attachment of the same volume, because a later CLOSE could end the hold of both. Rules: R2, R4, R6, R7, H1, C2, N3, F9.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { HANDLES_FEW, REOPEN_RETRY_MS, SESSION_RENEW_MS, UNFIT_RETRY_MS } from './limits.ts';
import { OP } from '../wire/frames.ts';
import { IOCTL, OpenAnswer, OpenRequest } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import type { Attachment, Ownership } from './attachment.ts';
import { HandleRelease, type Released } from './handle-release.ts';
import type { Request } from './requests/request.ts';
import { callSession, type SessionAnswer } from './session-call.ts';
import type { Trunk } from './trunk.ts';

export interface OpenerEvents {
  /**
   * Called when the attachment is open, for the first time or again. `isNewIncarnation`: true if the storage has started a new incarnation
   * and may have lost unflushed writes.
   */
  opened(attachment: Attachment, again: boolean, isNewIncarnation: boolean): void;
  /** Called when the answer to an OPEN has shown that the volume has grown from `fromBytes` to its current size. */
  grown(attachment: Attachment, fromBytes: number): void;
  /**
   * Called when an attachment has failed, for example because its first OPEN was refused or another client has taken the volume. The opener
   * has removed the attachment from the trunk and has answered its requests.
   */
  failed(attachment: Attachment, status: number, sentence: string): void;
  /** Called when the I/O of an attachment stalls after its first OPEN was granted; `sentence` tells the user why. */
  waits(attachment: Attachment, sentence: string): void;
}

/** Statuses after which OPEN is not sent again, because the hold or the claim of this client has ended. */
const FINAL: ReadonlySet<number> = new Set([STATUS.TAKEN, STATUS.REPLICA, STATUS.UNCLAIMED]);

/** Statuses of a server that does not have the volume, so that another server may have it. */
const ABSENT: ReadonlySet<number> = new Set([STATUS.MOVED, STATUS.UNKNOWN_VOLUME]);

class Opening {
  /** Monotonic time at which the last OPEN was sent. */
  askedMs = Number.NEGATIVE_INFINITY;
  retry: Timer | null = null;
  /** Number of consecutive handles that were revoked within REOPEN_RETRY_MS after their OPEN was sent. */
  revokedInARow = 0;
  /** Kinds of IOCTL (SETTLED, IDENTIFY) that are in flight, at most one of each kind. */
  readonly ioctls = new Set<number>();
  /**
   * True if `verify` was called while an IDENTIFY was in flight. A second IDENTIFY must follow, because the server may have answered the
   * first IDENTIFY before the event that caused this call.
   */
  mustVerifyAgain = false;
  /** A handle that stays open only to keep the hold, while the volume cannot take the pending requests. */
  spare: { readonly session: object | null; readonly handle: number } | null = null;
  /** Last reported reason why the attachment waits. Retries do not report the same reason again. */
  reportedReason: string | null = null;
  /** The opener of the server at which the attachment is now. */
  home: Opener;

  constructor(home: Opener) {
    this.home = home;
  }

  /** Called when the attachment leaves its server. IOCTLs in flight go with the attachment, and are answered by the next server. */
  leave(): void {
    this.retry?.cancel();
    this.retry = null;
    this.askedMs = Number.NEGATIVE_INFINITY;
    this.revokedInARow = 0;
    this.reportedReason = null;
  }
}

type VolumeName = Pick<Attachment, 'name' | 'universe'>;

/** `id`: if it is set, the client revokes the handle of the volume with this id, and closes the handle of any other volume. */
type Left = VolumeName & { readonly id?: string | undefined };

export class Opener {
  private readonly trunk: Trunk;
  private readonly clock: Clock;
  private readonly events: OpenerEvents;
  private readonly openings = new Map<Attachment, Opening>();
  /** Maps each closed attachment that may still have a hold to the callback for the end of the hold. */
  private readonly leaving = new Map<Attachment, Released>();
  /** The OPEN of each attachment that is not answered yet. */
  private readonly asked = new Map<Attachment, Request>();
  /**
   * Volumes that moved to another server while this server may still have handles of them. They are not opened here until these handles
   * have ended.
   */
  private readonly givenUp = new Set<VolumeName>();
  /** OPENs that were in flight when their attachments went to another server. */
  private readonly strays = new Map<Request, Left>();
  private readonly handles: HandleRelease;
  private renewedMs = Number.NEGATIVE_INFINITY;

  constructor(trunk: Trunk, clock: Clock, events: OpenerEvents) {
    this.trunk = trunk;
    this.clock = clock;
    this.events = events;
    this.handles = new HandleRelease(trunk, clock, () => void this.renew());
  }

  add(attachment: Attachment): void {
    this.take(attachment, new Opening(this));
  }

  /**
   * Gives up an attachment at this server and opens it at the server of `next`, which claims the ownership `claim` (F9). The attachment
   * must have been open. Everything happens before the method returns, so that no OPEN is sent to the other server while this server can
   * still answer a request. Returns false if the attachment has failed or is closed, or if one of the trunks has ended.
   */
  moveTo(next: Opener, attachment: Attachment, claim: Ownership, reason: string): boolean {
    const opening = this.openings.get(attachment);
    if (opening === undefined || attachment.volume === null || attachment.standing === 'over' || next.trunk.isEnded) return false;
    const { handle, phase } = attachment;
    const spare = this.takeSpare(attachment);
    this.openings.delete(attachment);
    const stray = this.takeAsked(attachment);
    const isIdle = this.trunk.giveUp(attachment, reason);
    // If the pool has another owner by now, a CLOSE ends no hold here, because an owner revokes all handles before it gives up a pool.
    // Otherwise this server may still be the owner, and the attachment may come back under the same hold.
    const end = (left: number): void => {
      if (attachment.isSurpassedBy(claim)) this.handles.drop(left);
      else this.trunk.revokeLeft(attachment, left);
    };
    if (spare !== null) end(spare);
    if (isIdle && phase !== 'opening' && phase !== 'revoked') end(handle);
    const left = { name: attachment.name, universe: attachment.universe };
    this.givenUp.add(left);
    if (stray !== null) this.strays.set(stray, left);
    else this.trunk.whenUnfenced(attachment, () => this.ended(left));
    attachment.movedTo(claim);
    opening.leave();
    next.take(attachment, opening);
    return true;
  }

  private take(attachment: Attachment, opening: Opening): void {
    opening.home = this;
    this.openings.set(attachment, opening);
    attachment.whenRevoked = () => this.revoked(attachment);
    attachment.whenReplayFailed = () => this.replayFailed(attachment);
    this.trunk.addAttachment(attachment);
    this.open(attachment);
  }

  /** Called when a new session has begun. */
  openAll(): void {
    for (const attachment of this.trunk.attachments) this.open(attachment);
  }

  /**
   * Checks that the attachment's handle is still valid. Without I/O, the client would not notice that the handle was revoked, because no
   * request would be answered with STALE.
   */
  verify(attachment: Attachment): void {
    if (attachment.phase !== 'ready') return;
    const opening = this.openings.get(attachment);
    if (opening?.ioctls.has(IOCTL.IDENTIFY) === true) opening.mustVerifyAgain = true;
    else this.ioctl(attachment, IOCTL.IDENTIFY);
  }

  /**
   * Closes an attachment: fails its waiting requests and, if the client may have a hold, closes the handle at the server. At the end, calls
   * `closed` with the problem, or with null on success.
   */
  close(attachment: Attachment, closed: Released): void {
    const { phase, handle, volume } = attachment;
    const { session } = this.trunk;
    const spare = this.takeSpare(attachment);
    const requests = this.leave(attachment);
    attachment.moveTo('closed', 'Detached');
    for (const request of requests) request.events?.requestDone(request, STATUS.IO_ERROR);
    const isAsked = phase === 'opening' && attachment.isOpenRequested;
    const hasNoHold = phase === 'failed' || (phase === 'opening' && volume === null && !isAsked);
    // If the first OPEN is in flight, the handle is closed when the answer arrives. No caller waits for the CLOSE, because the volume was
    // never used.
    const waits = volume !== null && !hasNoHold;
    if (!hasNoHold) this.leaving.set(attachment, waits ? closed : () => undefined);
    if (!waits) closed(null);
    if (hasNoHold || isAsked) {
      if (spare !== null) this.handles.drop(spare);
      return;
    }
    const left: Released = (problem) => this.left(attachment, problem);
    // The server refuses CLOSE while it is executing requests of the handle, so wait until none is in flight. The hold must also not end
    // while the server may still execute an abandoned request.
    const release = (): void => {
      if (spare !== null && this.trunk.session === session) this.handles.release(attachment, spare, left);
      else if (phase === 'opening' || phase === 'revoked' || this.trunk.session !== session)
        this.handles.reopenAndRelease(attachment, left);
      else this.handles.release(attachment, handle, left);
    };
    this.trunk.whenUnfenced(attachment, () => attachment.whenNothingInFlight(release));
  }

  /** Fails all attachments and answers all their I/O with `status`, because this client must not use the attachments any more. */
  failAll(status: number, sentence: string): void {
    for (const attachment of [...this.trunk.attachments]) {
      const abandoned = this.trunk.abandon(attachment);
      for (const request of abandoned) request.events?.requestDone(request, status);
      this.fail(attachment, status, sentence);
    }
  }

  /** Called when the trunk has ended: fails the attachments whose first OPEN was never answered, and retries nothing. */
  end(status: number, sentence: string): void {
    for (const attachment of [...this.trunk.attachments]) {
      this.openings.get(attachment)?.retry?.cancel();
      if (attachment.volume === null && attachment.phase === 'opening') this.fail(attachment, status, sentence);
    }
    // Attachments that are being closed no longer have anything in flight, because the trunk answered all requests when it ended.
    for (const attachment of this.leaving.keys()) attachment.forgetInFlight();
  }

  private open(attachment: Attachment): void {
    if (attachment.phase !== 'opening' || attachment.isOpenRequested || this.trunk.session === null || this.isBehind(attachment)) return;
    const opening = this.openings.get(attachment);
    opening?.retry?.cancel();
    if (opening !== undefined) opening.askedMs = this.clock.monotonicMs();
    attachment.isOpenRequested = true;
    const session = this.trunk.session;
    const body = OpenRequest.encode(attachment.openRequest);
    const request = callSession(this.trunk, { op: OP.OPEN, attachment: null, body }, (answer) => {
      const isCurrent = this.trunk.session === session;
      const left = this.strays.get(request);
      if (left === undefined) {
        this.asked.delete(attachment);
        this.openAnswered(attachment, isCurrent, answer);
      } else {
        this.strays.delete(request);
        this.strayAnswered(attachment, left, isCurrent, answer);
        this.trunk.whenUnfenced(attachment, () => this.ended(left));
      }
    });
    this.asked.set(attachment, request);
  }

  private openAnswered(attachment: Attachment, isCurrent: boolean, { status, bodies, sentence }: SessionAnswer): void {
    // Ignore an answer from an older session, because the client sent another OPEN when the current session began.
    if (!isCurrent) {
      if (attachment.phase === 'closed') this.handles.reopenAndRelease(attachment, (problem) => this.left(attachment, problem));
      return;
    }
    if (attachment.phase !== 'opening') {
      const left: Released = (problem) => this.left(attachment, problem);
      if (status === STATUS.OK) this.handles.releaseOpened(attachment, bodies[0], left);
      else if (attachment.volume === null) left(null);
      else this.handles.refused(attachment, status, sentence, left);
      return;
    }
    attachment.isOpenRequested = false;
    if (status === STATUS.OK) this.answered(attachment, bodies[0]);
    else this.refused(attachment, status, sentence);
  }

  /**
   * Called when the server answers an OPEN after the attachment has moved to another server. If this server owns the pool again, a CLOSE
   * would end the hold, so the handle is revoked.
   */
  private strayAnswered(attachment: Attachment, left: Left, isCurrent: boolean, { status, bodies: [body] }: SessionAnswer): void {
    if (!isCurrent || status !== STATUS.OK || body === undefined) return;
    let [handle, id] = [0, ''];
    try {
      ({ handle, id } = OpenAnswer.decode(body, 0, body.length));
    } catch {
      // The client does not know which handle the server has granted, so it ends the session, and the handle ends with the session.
      this.trunk.renewSession('The server sent an invalid answer to OPEN');
      return;
    }
    if (left.id !== undefined && left.id !== id) this.handles.drop(handle);
    else this.trunk.revokeLeft(attachment, handle);
  }

  /**
   * Called when another server has granted `granted`. A closed attachment of the same volume may have left a handle or an OPEN in flight
   * here, which then ends without CLOSE. If this server owned the pool later, a CLOSE would end the hold that the other attachment has
   * (F9). A different volume of the same name has a hold of its own, which must end.
   */
  keepHold(granted: Attachment): void {
    const id = granted.volume?.id;
    for (const [attachment, closed] of this.leaving) {
      if (!isSameVolume(attachment, granted) || (attachment.volume !== null && attachment.volume.id !== id)) continue;
      this.leaving.delete(attachment);
      this.handles.keep(attachment);
      const stray = this.takeAsked(attachment);
      if (stray !== null) {
        const left = { name: attachment.name, universe: attachment.universe, id };
        this.givenUp.add(left);
        this.strays.set(stray, left);
      }
      closed(null);
    }
  }

  /** Removes the attachment's unanswered OPEN. Returns the OPEN if it has been sent. */
  private takeAsked(attachment: Attachment): Request | null {
    const asked = this.asked.get(attachment) ?? null;
    this.asked.delete(attachment);
    return asked === null || this.trunk.withdraw(asked) ? null : asked;
  }

  /** Called when this server no longer has a handle of a volume that moved to another server. */
  private ended(left: VolumeName): void {
    this.givenUp.delete(left);
    for (const next of this.trunk.attachments) if (isSameVolume(next, left)) this.open(next);
  }

  private answered(attachment: Attachment, body: Buffer | undefined): void {
    let answer: OpenAnswer;
    try {
      answer = OpenAnswer.decode(body ?? Buffer.alloc(0), 0, body?.length ?? 0);
    } catch (error) {
      this.refused(attachment, STATUS.BAD_REQUEST, error instanceof Error ? error.message : String(error));
      return;
    }
    const before = attachment.volume;
    const unfit = attachment.whyUnfit(answer);
    // The identity also depends on whether the volume is shared. If the volume has become shared, a changed identity therefore does not
    // prove that another client has had the volume.
    if (before !== null && before.identity !== answer.identity && (unfit === null || !answer.shared)) {
      // A server that does not support `resume` grants the volume again even if another client had the volume between the two OPENs.
      this.leaving.set(attachment, () => undefined);
      this.handles.release(attachment, answer.handle, (problem) => this.left(attachment, problem));
      this.fail(
        attachment,
        STATUS.TAKEN,
        `Volume ${attachment.name} was attached by another client meanwhile, so no request is sent again: attach it again`,
      );
      return;
    }
    const spare = this.takeSpare(attachment);
    if (spare !== null) this.handles.drop(spare);
    if (unfit !== null) {
      this.waitUntilFit(attachment, answer.handle, unfit);
      return;
    }
    attachment.opened(answer);
    const opening = this.openings.get(attachment);
    if (opening !== undefined) opening.reportedReason = null;
    // The attachment sends SETTLED only after all recovered requests have been answered. A SETTLED that could not be sent on the previous
    // handle is sent on the new one.
    if (before !== null) this.ioctl(attachment, IOCTL.SETTLED);
    this.trunk.wantPump();
    const isNewIncarnation = before !== null && before.life !== answer.life;
    // If the server keeps revoking new handles, do not report each of them as open.
    if (isNewIncarnation || (opening?.revokedInARow ?? 0) < 2) this.events.opened(attachment, before !== null, isNewIncarnation);
    if (before !== null && answer.sizeBytes > before.sizeBytes) this.events.grown(attachment, before.sizeBytes);
  }

  private waitUntilFit(attachment: Attachment, handle: number, sentence: string): void {
    const opening = this.openings.get(attachment);
    if (opening !== undefined) opening.spare = { session: this.trunk.session, handle };
    this.waits(attachment, sentence);
    this.openAfter(attachment, UNFIT_RETRY_MS);
  }

  private waits(attachment: Attachment, sentence: string): void {
    const opening = this.openings.get(attachment);
    attachment.reason = sentence;
    if (opening === undefined || opening.reportedReason === sentence) return;
    opening.reportedReason = sentence;
    this.events.waits(attachment, sentence);
  }

  /** Forgets the spare handle. Returns the handle if it belongs to the current session; the caller then closes the handle. */
  private takeSpare(attachment: Attachment): number | null {
    const opening = this.openings.get(attachment);
    const spare = opening?.spare ?? null;
    if (opening !== undefined) opening.spare = null;
    return spare !== null && spare.session === this.trunk.session ? spare.handle : null;
  }

  /**
   * Called when the handle numbers of this session are used up: starts a new session, which recovers requests in flight. Returns false if
   * this method started a session less than SESSION_RENEW_MS ago, or if more than HANDLES_FEW handles are open.
   */
  private renew(): boolean {
    const nowMs = this.clock.monotonicMs();
    if (this.trunk.attachments.length + this.leaving.size > HANDLES_FEW || nowMs - this.renewedMs < SESSION_RENEW_MS) return false;
    this.renewedMs = nowMs;
    this.trunk.renewSession('The handle numbers of the session are used up');
    return true;
  }

  /** Sends an IOCTL (SETTLED or IDENTIFY) and ignores the result, because an old server may not support the IOCTL. */
  private ioctl(attachment: Attachment, number: number): void {
    const opening = this.openings.get(attachment);
    if (opening === undefined || opening.ioctls.has(number)) return;
    opening.ioctls.add(number);
    callSession(this.trunk, { op: OP.IOCTL, attachment, aux: number }, () => {
      opening.ioctls.delete(number);
      if (number === IOCTL.IDENTIFY && opening.mustVerifyAgain) {
        opening.mustVerifyAgain = false;
        opening.home.verify(attachment);
      }
    });
  }

  /** Called when the server has revoked the attachment's handle, and none of the attachment's requests is in flight any more. */
  private revoked(attachment: Attachment): void {
    const opening = this.openings.get(attachment);
    if (opening === undefined) return;
    const sinceMs = this.clock.monotonicMs() - opening.askedMs;
    opening.revokedInARow = sinceMs < REOPEN_RETRY_MS ? opening.revokedInARow + 1 : 1;
    if (opening.revokedInARow >= 2) {
      attachment.reason = `Its server revokes each new handle at once: retrying every ${REOPEN_RETRY_MS / 1000} s`;
    }
    if (opening.revokedInARow <= 2) this.events.waits(attachment, attachment.reason);
    this.openAfter(attachment, Math.max(0, REOPEN_RETRY_MS - sinceMs));
  }

  /** Called when a replay has failed. The client retries the replay, because no other request may be sent before the replayed writes. */
  private replayFailed(attachment: Attachment): void {
    const opening = this.openings.get(attachment);
    if (opening === undefined) return;
    this.waits(attachment, attachment.reason);
    opening.retry = this.clock.after(REOPEN_RETRY_MS, () => {
      attachment.replayAgain();
      this.trunk.wantPump();
    });
  }

  private openAfter(attachment: Attachment, delayMs: number): void {
    const opening = this.openings.get(attachment);
    if (opening !== undefined) opening.retry = this.clock.after(delayMs, () => this.open(attachment));
  }

  private refused(attachment: Attachment, status: number, sentence: string): void {
    if (status === STATUS.TOO_MANY_HANDLES && this.renew()) {
      attachment.reason = 'The handle numbers of the session are used up: starting a new session';
      return;
    }
    if (attachment.volume === null || (FINAL.has(status) && !attachment.isGuess)) {
      this.fail(attachment, status, sentence);
      return;
    }
    if (this.trunk.isEnded) return;
    if (attachment.isGuess || ABSENT.has(status)) attachment.misplaced();
    this.waits(attachment, sentence);
    this.openAfter(attachment, REOPEN_RETRY_MS);
  }

  private fail(attachment: Attachment, status: number, sentence: string): void {
    attachment.moveTo('failed', sentence);
    const spare = this.takeSpare(attachment);
    if (spare !== null) this.handles.drop(spare);
    for (const request of this.leave(attachment)) request.events?.requestDone(request, status);
    this.events.failed(attachment, status, sentence);
  }

  private isBehind(attachment: Attachment): boolean {
    for (const other of this.leaving.keys()) if (isSameVolume(other, attachment)) return true;
    for (const other of this.givenUp) if (isSameVolume(other, attachment)) return true;
    return false;
  }

  /**
   * Called when the client has finished trying to end the hold of a closed attachment. If `problem` is not null, the hold may still exist.
   */
  private left(attachment: Attachment, problem: string | null): void {
    const closed = this.leaving.get(attachment);
    this.leaving.delete(attachment);
    for (const next of this.trunk.attachments) if (isSameVolume(next, attachment)) this.open(next);
    closed?.(problem);
  }

  private leave(attachment: Attachment): Request[] {
    this.openings.get(attachment)?.retry?.cancel();
    this.openings.delete(attachment);
    return this.trunk.removeAttachment(attachment);
  }
}

function isSameVolume(one: VolumeName, other: VolumeName): boolean {
  return one.name === other.name && one.universe === other.universe;
}
