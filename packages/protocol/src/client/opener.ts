// Opens the attachments of a trunk, and opens them again in every new session and after a handle was revoked. If the first OPEN is refused,
// the attachment fails. Unless another client has taken the volume, a later refusal is retried, because the attachment's I/O is stalled.
// Invariants (R1): if the identity of the volume has changed, no request is sent again. Two OPENs of an attachment in one session are
// REOPEN_RETRY_MS apart. While the volume's form differs from its original form, one handle stays open to keep the hold. No attachment is
// opened while an earlier one of its volume is leaving, because the earlier one's CLOSE might end the hold of both.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { HANDLES_FEW, REOPEN_RETRY_MS, SESSION_RENEW_MS, UNFIT_RETRY_MS } from './limits.ts';
import { OP } from '../wire/frames.ts';
import { decodeOpenAnswer, encodeOpenRequest } from '../wire/message-codec.ts';
import { IOCTL, type OpenAnswer } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import { HandleRelease, type Released } from './handle-release.ts';
import type { Request } from './requests/request.ts';
import { callSession } from './session-call.ts';
import type { Trunk } from './trunk.ts';

export interface OpenerEvents {
  /** The attachment is open, for the first time or again. `isNewIncarnation`: the storage may have lost unflushed writes. */
  opened(attachment: Attachment, again: boolean, isNewIncarnation: boolean): void;
  /**
   * The first OPEN was refused, another client has the volume now, or the volume was replaced by another one. The attachment is no longer
   * in the trunk, and its requests have been answered.
   */
  failed(attachment: Attachment, status: number, sentence: string): void;
  /** The attachment was open and no longer is: its I/O is stalled until it is opened again. */
  waits(attachment: Attachment, sentence: string): void;
}

/** State of an attachment while it is in the trunk. */
class Opening {
  /** When the last OPEN was sent. */
  askedMs = Number.NEGATIVE_INFINITY;
  retry: Timer | null = null;
  /** Number of consecutive handles that were revoked within REOPEN_RETRY_MS. */
  revokedInARow = 0;
  /** SETTLED and IDENTIFY requests in flight; at most one of each. */
  readonly ioctls = new Set<number>();
  /**
   * True if IDENTIFY must be sent again: it was requested while another one was in flight, whose answer may predate the reason for the
   * request.
   */
  mustVerifyAgain = false;
  /** An open handle that is not in use, because the volume now has another form. The handle keeps the hold. */
  spare: { readonly session: object | null; readonly handle: number } | null = null;
  /** The last reported reason for waiting. It prevents every retry, that is, one each second, from reporting the same reason. */
  reportedReason: string | null = null;
}

export class Opener {
  private readonly trunk: Trunk;
  private readonly clock: Clock;
  private readonly events: OpenerEvents;
  private readonly openings = new Map<Attachment, Opening>();
  /** Key: closed attachment with an OPEN or CLOSE in flight. Value: callback for the end of its hold. */
  private readonly leaving = new Map<Attachment, Released>();
  private readonly handles: HandleRelease;
  private renewedMs = Number.NEGATIVE_INFINITY;

  constructor(trunk: Trunk, clock: Clock, events: OpenerEvents) {
    this.trunk = trunk;
    this.clock = clock;
    this.events = events;
    this.handles = new HandleRelease(trunk, clock, () => void this.renew());
  }

  /** Adds a new attachment to the trunk and opens it. */
  add(attachment: Attachment): void {
    this.openings.set(attachment, new Opening());
    attachment.whenRevoked = () => this.revoked(attachment);
    attachment.whenReplayFailed = () => this.replayFailed(attachment);
    this.trunk.addAttachment(attachment);
    this.open(attachment);
  }

  /** A new session began. */
  openAll(): void {
    for (const attachment of this.trunk.attachments) this.open(attachment);
  }

  /**
   * Checks that the attachment's handle is still valid. Without I/O, the client would not receive the STALE that reports a revoked handle.
   */
  verify(attachment: Attachment): void {
    if (attachment.phase !== 'ready') return;
    const opening = this.openings.get(attachment);
    if (opening?.ioctls.has(IOCTL.IDENTIFY) === true) opening.mustVerifyAgain = true;
    else this.ioctl(attachment, IOCTL.IDENTIFY);
  }

  /**
   * Ends an attachment: its waiting requests fail, and the client closes the handle at the server if there may be a hold. Calls `closed` at
   * the end, with the problem at the server or null.
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
    // If the first OPEN is in flight, its handle is released when it is answered. The volume was never used, so no caller waits for that.
    const waits = volume !== null && !hasNoHold;
    if (!hasNoHold) this.leaving.set(attachment, waits ? closed : () => undefined);
    if (!waits) closed(null);
    if (hasNoHold || isAsked) {
      if (spare !== null) this.handles.drop(spare);
      return;
    }
    const left: Released = (problem) => this.left(attachment, problem);
    // The server refuses CLOSE while other requests of the handle are being executed, so wait until none is in flight. The hold must also
    // stay while an abandoned request may still be executed.
    const release = (): void => {
      if (spare !== null && this.trunk.session === session) this.handles.release(attachment, spare, left);
      else if (phase === 'opening' || phase === 'revoked' || this.trunk.session !== session)
        this.handles.reopenAndRelease(attachment, left);
      else this.handles.release(attachment, handle, left);
    };
    this.trunk.whenUnfenced(attachment, () => attachment.whenNothingInFlight(release));
  }

  /** Fails every attachment, because this client must not use its attachments any more. All their I/O is answered with `status`. */
  failAll(status: number, sentence: string): void {
    for (const attachment of [...this.trunk.attachments]) {
      const abandoned = this.trunk.abandon(attachment);
      for (const request of abandoned) request.events?.requestDone(request, status);
      this.fail(attachment, status, sentence);
    }
  }

  /** The trunk has ended: attachments whose first OPEN was never answered fail, and nothing is retried. */
  end(status: number, sentence: string): void {
    for (const attachment of [...this.trunk.attachments]) {
      this.openings.get(attachment)?.retry?.cancel();
      if (attachment.volume === null && attachment.phase === 'opening') this.fail(attachment, status, sentence);
    }
    // The in-flight requests of leaving attachments were answered when the trunk ended.
    for (const attachment of this.leaving.keys()) attachment.forgetInFlight();
  }

  private open(attachment: Attachment): void {
    if (attachment.phase !== 'opening' || attachment.isOpenRequested || this.trunk.session === null || this.isBehind(attachment)) return;
    const opening = this.openings.get(attachment);
    opening?.retry?.cancel();
    if (opening !== undefined) opening.askedMs = this.clock.monotonicMs();
    attachment.isOpenRequested = true;
    const session = this.trunk.session;
    const body = encodeOpenRequest(attachment.openRequest);
    callSession(this.trunk, { op: OP.OPEN, attachment: null, body }, ({ status, bodies, sentence }) => {
      // An answer from an older session is outdated: the current session sent its own OPEN when it began.
      if (this.trunk.session !== session) {
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
    });
  }

  private answered(attachment: Attachment, body: Buffer | undefined): void {
    let answer: OpenAnswer;
    try {
      answer = decodeOpenAnswer(body ?? Buffer.alloc(0), 0, body?.length ?? 0);
    } catch (error) {
      this.refused(attachment, STATUS.BAD_REQUEST, error instanceof Error ? error.message : String(error));
      return;
    }
    const before = attachment.volume;
    const unfit = attachment.whyUnfit(answer);
    // The identity also depends on whether the volume is shared. While the volume is shared, a changed identity does not prove that another
    // client has had it.
    if (before !== null && before.identity !== answer.identity && (unfit === null || !answer.shared)) {
      // A server without `resume` grants a volume again even if another client has had it in the meantime.
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
    // SETTLED is sent when all recovered requests have been answered. A SETTLED that is still waiting since the last handle also counts for
    // this one.
    if (before !== null) this.ioctl(attachment, IOCTL.SETTLED);
    this.trunk.wantPump();
    const isNewIncarnation = before !== null && before.life !== answer.life;
    // If handles are revoked every second, do not report every one.
    if (isNewIncarnation || (opening?.revokedInARow ?? 0) < 2) this.events.opened(attachment, before !== null, isNewIncarnation);
  }

  /** Opens the volume repeatedly until it has its old form, because the pending requests must not be sent to it in its present form. */
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

  /** Removes and returns the spare handle, if it belongs to the current session. The caller closes it. */
  private takeSpare(attachment: Attachment): number | null {
    const opening = this.openings.get(attachment);
    const spare = opening?.spare ?? null;
    if (opening !== undefined) opening.spare = null;
    return spare !== null && spare.session === this.trunk.session ? spare.handle : null;
  }

  /**
   * The handle numbers of this session are used up: starts a new session, which recovers requests in flight. Returns false if many handles
   * are open, because a new session would not help then, or if the last one was started a moment ago.
   */
  private renew(): boolean {
    const nowMs = this.clock.monotonicMs();
    if (this.trunk.attachments.length + this.leaving.size > HANDLES_FEW || nowMs - this.renewedMs < SESSION_RENEW_MS) return false;
    this.renewedMs = nowMs;
    this.trunk.renewSession('The handle numbers of the session are used up');
    return true;
  }

  /** Sends an internal request for the attachment's handle. The result is ignored, because an old server may not support the request. */
  private ioctl(attachment: Attachment, number: number): void {
    const opening = this.openings.get(attachment);
    if (opening === undefined || opening.ioctls.has(number)) return;
    opening.ioctls.add(number);
    callSession(this.trunk, { op: OP.IOCTL, attachment, aux: number }, () => {
      opening.ioctls.delete(number);
      if (number === IOCTL.IDENTIFY && opening.mustVerifyAgain) {
        opening.mustVerifyAgain = false;
        this.verify(attachment);
      }
    });
  }

  /** The attachment's handle was revoked, and none of its requests is in flight. */
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

  /**
   * Called when the replay of acknowledged writes has failed. Nothing else may be sent before these writes, so the client retries the
   * replay.
   */
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
      // The attachment is opened with the others when the new session begins.
      attachment.reason = 'The handle numbers of the session are used up: starting a new session';
      return;
    }
    if (attachment.volume === null || status === STATUS.TAKEN) {
      this.fail(attachment, status, sentence);
      return;
    }
    if (this.trunk.isEnded) return;
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

  /** True if an earlier attachment of the same volume is leaving. */
  private isBehind(attachment: Attachment): boolean {
    for (const other of this.leaving.keys()) if (isSameVolume(other, attachment)) return true;
    return false;
  }

  /** The attachment's hold has ended, or a problem has been found. None of the attachment's requests is in flight. */
  private left(attachment: Attachment, problem: string | null): void {
    const closed = this.leaving.get(attachment);
    this.leaving.delete(attachment);
    for (const next of this.trunk.attachments) if (isSameVolume(next, attachment)) this.open(next);
    closed?.(problem);
  }

  /** Removes the attachment from the trunk and returns its waiting requests. */
  private leave(attachment: Attachment): Request[] {
    this.openings.get(attachment)?.retry?.cancel();
    this.openings.delete(attachment);
    return this.trunk.removeAttachment(attachment);
  }
}

function isSameVolume(one: Attachment, other: Attachment): boolean {
  return one.name === other.name && one.universe === other.universe;
}
