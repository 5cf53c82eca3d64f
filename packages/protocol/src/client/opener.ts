// Opens the attachments of a trunk, and opens them again in every new session and when a handle was revoked. A first OPEN that is refused
// fails the attachment; one that had been open waits and is tried again, because its I/O waits too, unless another client has taken it.
// Invariants (R1): when the volume is not the same any more (another identity), nothing of the attachment is sent again; two OPENs of it in
// one session are REOPEN_RETRY_MS apart. A volume that comes back as another kind of thing is waited for, with one handle of it open, so that
// its hold stays. And no attachment is opened while an earlier one of its volume is leaving: that one's CLOSE may end the hold of both.

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
  /** It is open, for the first time or again. `newLife`: the storage cannot vouch for what was not flushed. */
  opened(attachment: Attachment, again: boolean, newLife: boolean): void;
  /**
   * The first OPEN was refused, or the volume is another client's now, or another one: the attachment is out of the trunk, its requests are
   * answered.
   */
  failed(attachment: Attachment, status: number, sentence: string): void;
  /** It was open and is not now: it waits, and is opened again. */
  waits(attachment: Attachment, sentence: string): void;
}

/** What is known of an attachment while it is in the trunk. */
class Opening {
  /** When the last OPEN was sent. */
  askedMs = Number.NEGATIVE_INFINITY;
  retry: Timer | null = null;
  /** Handles revoked one after the other, each of which lasted less than REOPEN_RETRY_MS. */
  revokedInARow = 0;
  /** SETTLED and IDENTIFY that are not answered; each is asked once at a time. */
  readonly ioctls = new Set<number>();
  /** IDENTIFY was to be asked while it was out: what is answered to that may be older than the reason to ask. */
  mustVerifyAgain = false;
  /** An open handle of which nothing is made, because the volume is not what was attached; the hold would end with it. */
  spare: { readonly session: object | null; readonly handle: number } | null = null;
  /** What it waits for, as it was said last: a wait that is tried anew every second, for hours, is not said every second. */
  reportedReason: string | null = null;
}

export class Opener {
  private readonly trunk: Trunk;
  private readonly clock: Clock;
  private readonly events: OpenerEvents;
  private readonly openings = new Map<Attachment, Opening>();
  /** Attachments that are over, of which an OPEN or CLOSE is still out, and who waits for the end of that. */
  private readonly leaving = new Map<Attachment, Released>();
  private readonly handles: HandleRelease;
  private renewedMs = Number.NEGATIVE_INFINITY;

  constructor(trunk: Trunk, clock: Clock, events: OpenerEvents) {
    this.trunk = trunk;
    this.clock = clock;
    this.events = events;
    this.handles = new HandleRelease(trunk, clock, () => void this.renew());
  }

  /** Takes a new attachment into the trunk. */
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

  /** Asks its handle whether it is still good: STALE says to an idle client what others hear by their I/O. */
  verify(attachment: Attachment): void {
    if (attachment.phase !== 'ready') return;
    const opening = this.openings.get(attachment);
    if (opening?.ioctls.has(IOCTL.IDENTIFY) === true) opening.mustVerifyAgain = true;
    else this.ioctl(attachment, IOCTL.IDENTIFY);
  }

  /**
   * Ends an attachment: what waits in it fails, and the server is told, if it may have a hold. `closed` is called when that is over, with
   * what may be wrong at the server.
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
    // When the first OPEN that is out is answered, what it gave is given back; nobody has had anything of it yet, who would wait for that.
    const waits = volume !== null && !hasNoHold;
    if (!hasNoHold) this.leaving.set(attachment, waits ? closed : () => undefined);
    if (!waits) closed(null);
    if (hasNoHold || isAsked) {
      if (spare !== null) this.handles.drop(spare);
      return;
    }
    const left: Released = (problem) => this.left(attachment, problem);
    // A CLOSE is refused while other requests of its handle are executing: those that were sent, by whomever, are waited for. And while any that
    // was given up may still run, the hold must stay.
    const release = (): void => {
      if (spare !== null && this.trunk.session === session) this.handles.release(attachment, spare, left);
      else if (phase === 'opening' || phase === 'revoked' || this.trunk.session !== session)
        this.handles.reopenAndRelease(attachment, left);
      else this.handles.release(attachment, handle, left);
    };
    this.trunk.whenUnfenced(attachment, () => attachment.whenNothingInFlight(release));
  }

  /** Ends every attachment: this client may not have them any more. All their I/O is answered with `status`. */
  failAll(status: number, sentence: string): void {
    for (const attachment of [...this.trunk.attachments]) {
      const given = this.trunk.abandon(attachment);
      for (const request of given) request.events?.requestDone(request, status);
      this.fail(attachment, status, sentence);
    }
  }

  /** The trunk has ended: who waits for a first OPEN that was never sent hears of it, and nothing is tried again. */
  end(status: number, sentence: string): void {
    for (const attachment of [...this.trunk.attachments]) {
      this.openings.get(attachment)?.retry?.cancel();
      if (attachment.volume === null && attachment.phase === 'opening') this.fail(attachment, status, sentence);
    }
    // What of them was out has been answered with the trunk's end.
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
      // The answer of an older session says nothing about this one: it was asked anew when the session began.
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
    // That a volume is shared is in its identity, too: as long as it is so, nothing can be said of who had it meanwhile.
    if (before !== null && before.identity !== answer.identity && (unfit === null || !answer.shared)) {
      // A server that knows no `resume` grants anew what another client has had meanwhile.
      this.leaving.set(attachment, () => undefined);
      this.handles.release(attachment, answer.handle, (problem) => this.left(attachment, problem));
      this.fail(
        attachment,
        STATUS.TAKEN,
        `Volume ${attachment.name} was given to another client meanwhile: nothing is sent again; attach it anew`,
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
    // It leaves when all that had to be sent again is answered; one that is still here from the last handle does for this one.
    if (before !== null) this.ioctl(attachment, IOCTL.SETTLED);
    this.trunk.wantPump();
    const isNewLife = before !== null && before.life !== answer.life;
    // What goes on every second is not said every second.
    if (isNewLife || (opening?.revokedInARow ?? 0) < 2) this.events.opened(attachment, before !== null, isNewLife);
  }

  /** What the attachment has must not meet what the volume is now: it is opened again until it is what it was. */
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

  /** The handle that is kept of a volume that is waited for, if it is of the present session. It is the caller's to close. */
  private takeSpare(attachment: Attachment): number | null {
    const opening = this.openings.get(attachment);
    const spare = opening?.spare ?? null;
    if (opening !== undefined) opening.spare = null;
    return spare !== null && spare.session === this.trunk.session ? spare.handle : null;
  }

  /**
   * The server has no handle number left for this session, which nobody gets back but by a new one: what is out is taken up there. False:
   * many are open, so that a new session would be no better, or the last was begun a moment ago.
   */
  private renew(): boolean {
    const nowMs = this.clock.monotonicMs();
    if (this.trunk.attachments.length + this.leaving.size > HANDLES_FEW || nowMs - this.renewedMs < SESSION_RENEW_MS) return false;
    this.renewedMs = nowMs;
    this.trunk.renewSession('The session is left, because its handle numbers are used up');
    return true;
  }

  /** A request of the attachment's handle, asked for ourselves: its result is of no interest, a server may not know it. */
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

  /** Nothing of its old handle is out any more. */
  private revoked(attachment: Attachment): void {
    const opening = this.openings.get(attachment);
    if (opening === undefined) return;
    const sinceMs = this.clock.monotonicMs() - opening.askedMs;
    opening.revokedInARow = sinceMs < REOPEN_RETRY_MS ? opening.revokedInARow + 1 : 1;
    if (opening.revokedInARow >= 2) {
      attachment.reason = `Its server revokes each handle as soon as it has opened it: it is tried again every ${REOPEN_RETRY_MS / 1000} s`;
    }
    if (opening.revokedInARow <= 2) this.events.waits(attachment, attachment.reason);
    this.openAfter(attachment, Math.max(0, REOPEN_RETRY_MS - sinceMs));
  }

  /** The server takes what it had answered, but not what is sent of it again: nothing else may be sent before, so that is tried anew. */
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
      // It is opened with the others when the new session begins.
      attachment.reason = 'The session has used up its handle numbers: a new one is begun';
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

  /** An earlier attachment of its volume is leaving. */
  private isBehind(attachment: Attachment): boolean {
    for (const other of this.leaving.keys()) if (isSameVolume(other, attachment)) return true;
    return false;
  }

  /** Nothing of it is out any more. */
  private left(attachment: Attachment, problem: string | null): void {
    const closed = this.leaving.get(attachment);
    this.leaving.delete(attachment);
    for (const next of this.trunk.attachments) if (isSameVolume(next, attachment)) this.open(next);
    closed?.(problem);
  }

  /** Takes it out of the trunk; gives what waited in it. */
  private leave(attachment: Attachment): Request[] {
    this.openings.get(attachment)?.retry?.cancel();
    this.openings.delete(attachment);
    return this.trunk.removeAttachment(attachment);
  }
}

function isSameVolume(one: Attachment, other: Attachment): boolean {
  return one.name === other.name && one.universe === other.universe;
}
