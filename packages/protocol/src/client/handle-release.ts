// Closes handles at the server, so that the hold on a detached volume ends. If the session is lost or the handle is revoked, the client
// opens the volume again and repeats CLOSE. Invariants: each waiting caller is notified once. Success is reported only after the server has
// confirmed the end of the hold. A handle number is used only in its own session. Rules: R4.

import type { Clock } from '@rsio/base/lib/clock';
import { CLOSE_TRIES_MAX, REOPEN_RETRY_MS } from './limits.ts';
import { OP } from '../wire/frames.ts';
import { OpenAnswer, OpenRequest, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import { callSession } from './session-call.ts';
import type { Trunk } from './trunk.ts';

/** `problem`: text that tells the user why the hold may still exist, or why writes may have been lost; null on success. */
export type Released = (problem: string | null) => void;

/** Statuses with which the server confirms that this client has no hold. */
const NOT_OURS: readonly number[] = [STATUS.TAKEN, STATUS.REPLICA, STATUS.UNKNOWN_VOLUME, STATUS.NO_RIGHTS];

export class HandleRelease {
  private readonly trunk: Trunk;
  private readonly clock: Clock;
  private readonly handlesUsedUp: () => void;
  /** Closed attachments whose hold stays, because the client now has that hold through another server. */
  private readonly kept = new WeakSet<Attachment>();

  constructor(trunk: Trunk, clock: Clock, usedUp: () => void) {
    this.trunk = trunk;
    this.clock = clock;
    this.handlesUsedUp = usedUp;
  }

  /** From now on, the client sends nothing that could end the attachment's hold. */
  keep(attachment: Attachment): void {
    this.kept.add(attachment);
  }

  release(attachment: Attachment, handle: number, released: Released, tries = 1): void {
    if (this.kept.has(attachment)) {
      this.trunk.revokeLeft(attachment, handle);
      released(null);
      return;
    }
    const { session } = this.trunk;
    callSession(this.trunk, { op: OP.CLOSE, attachment: null, handle }, ({ status, sentence }) => {
      const reopen = (): void => this.reopenAndRelease(attachment, released, tries + 1);
      // While the server is still executing a request of the handle, it refuses CLOSE and leaves the handle open.
      const again = (): void => {
        if (this.trunk.session === session) this.release(attachment, handle, released, tries + 1);
        else this.reopenAndRelease(attachment, released);
      };
      if (status === STATUS.OK) released(null);
      else if (status === STATUS.STALE && this.trunk.session !== session) this.reopenAndRelease(attachment, released);
      else if (status === STATUS.STALE) this.later(tries, tries === 1 ? 0 : REOPEN_RETRY_MS, sentence, released, reopen);
      else if (status === STATUS.BAD_REQUEST) this.later(tries, REOPEN_RETRY_MS, sentence, released, again);
      else released(sentence);
    });
  }

  /** Closes a handle that is no longer needed, and ignores the answer. */
  drop(handle: number): void {
    callSession(this.trunk, { op: OP.CLOSE, attachment: null, handle }, () => undefined);
  }

  /**
   * Ends a closed attachment's hold. The hold may still exist if the session was lost before CLOSE or OPEN was answered, or if the handle
   * was revoked. CLOSE names only a handle, so the client opens the volume once more, under its own hold, and closes the new handle.
   */
  reopenAndRelease(attachment: Attachment, released: Released, tries = 1): void {
    if (this.kept.has(attachment)) {
      released(null);
      return;
    }
    const { session } = this.trunk;
    const body = OpenRequest.encode({ ...attachment.openRequest, take: TAKE.NO });
    callSession(this.trunk, { op: OP.OPEN, attachment: null, body }, ({ status, bodies, sentence }) => {
      if (this.trunk.session !== session) this.reopenAndRelease(attachment, released);
      else if (status === STATUS.OK) this.releaseOpened(attachment, bodies[0], released, tries);
      else this.refused(attachment, status, sentence, released, tries);
    });
  }

  /** Called when the server has refused an OPEN that was sent only to end the hold. */
  refused(attachment: Attachment, status: number, sentence: string, released: Released, tries = 1): void {
    if (NOT_OURS.includes(status)) {
      released(null);
      return;
    }
    // The server can answer HELD although this client resumes its own hold. Old servers answer HELD in this case, and every server does so
    // while another client's take-over of the volume may still fail. BESIDE: another data process of this client uses the volume, and has
    // the same hold. A CLOSE of this process could end that hold later, so this process must not try again.
    const isHeld = status === STATUS.HELD;
    if (status === STATUS.BESIDE || (isHeld && attachment.volume === null)) {
      released(null);
      return;
    }
    if (status === STATUS.TOO_MANY_HANDLES) this.handlesUsedUp();
    this.later(tries, REOPEN_RETRY_MS, isHeld ? null : sentence, released, () => this.reopenAndRelease(attachment, released, tries + 1));
  }

  /** Called when the server granted OPEN after the client had closed the attachment. */
  releaseOpened(attachment: Attachment, body: Buffer | undefined, released: Released, tries = 1): void {
    let handle: number;
    try {
      ({ handle } = OpenAnswer.decode(body ?? Buffer.alloc(0), 0, body?.length ?? 0));
    } catch (thrown) {
      released(`Its server sent an invalid answer to OPEN: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      return;
    }
    this.release(attachment, handle, released, tries);
  }

  private later(tries: number, delayMs: number, problem: string | null, released: Released, then: () => void): void {
    if (tries >= CLOSE_TRIES_MAX || this.trunk.isEnded) released(problem);
    else this.clock.after(delayMs, then);
  }
}
