// Closes handles at the server, so that the hold on a detached volume ends. Sends CLOSE as often as needed, even if sessions are lost or
// handles are revoked. Which attachments are leaving is the opener's job. Invariants: a caller that waits for the end of a hold is notified
// once, and success is reported only if the server has confirmed it; the number of a handle is used only in its own session.

import type { Clock } from '@rsio/common/lib/clock';
import { CLOSE_TRIES_MAX, REOPEN_RETRY_MS } from './limits.ts';
import { OP } from '../wire/frames.ts';
import { decodeOpenAnswer, encodeOpenRequest } from '../wire/message-codec.ts';
import { TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import { callSession } from './session-call.ts';
import type { Trunk } from './trunk.ts';

/** `problem`: why the server may still have the hold or may have lost writes, as text for people; null on success. */
export type Released = (problem: string | null) => void;

/** Statuses with which the server confirms that this client has no hold. */
const NOT_OURS: readonly number[] = [STATUS.TAKEN, STATUS.UNKNOWN_VOLUME, STATUS.NO_RIGHTS];

export class HandleRelease {
  private readonly trunk: Trunk;
  private readonly clock: Clock;
  /** Called when the session has used up its handle numbers. */
  private readonly handlesUsedUp: () => void;

  constructor(trunk: Trunk, clock: Clock, usedUp: () => void) {
    this.trunk = trunk;
    this.clock = clock;
    this.handlesUsedUp = usedUp;
  }

  /** Closes a handle of the current session. */
  release(attachment: Attachment, handle: number, released: Released, tries = 1): void {
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

  /** Closes a handle while another one of the same volume stays open. The answer does not matter, because the hold stays in either case. */
  drop(handle: number): void {
    callSession(this.trunk, { op: OP.CLOSE, attachment: null, handle }, () => undefined);
  }

  /**
   * The hold of a closed attachment may still exist, because its session was lost before CLOSE or OPEN was answered, or because its handle
   * was revoked. Only OPEN names a volume, so this opens the volume once more, which the client's own hold permits, and closes it.
   */
  reopenAndRelease(attachment: Attachment, released: Released, tries = 1): void {
    const { session } = this.trunk;
    const body = encodeOpenRequest({ ...attachment.openRequest, take: TAKE.NO });
    callSession(this.trunk, { op: OP.OPEN, attachment: null, body }, ({ status, bodies, sentence }) => {
      if (this.trunk.session !== session) this.reopenAndRelease(attachment, released);
      else if (status === STATUS.OK) this.releaseOpened(attachment, bodies[0], released, tries);
      else this.refused(attachment, status, sentence, released, tries);
    });
  }

  /** An OPEN that was sent only to end the hold has been refused. */
  refused(attachment: Attachment, status: number, sentence: string, released: Released, tries = 1): void {
    if (NOT_OURS.includes(status)) {
      released(null);
      return;
    }
    // The server can answer HELD although the client resumes its own hold: another client's new hold may still fail, or the server is an
    // old one.
    const isHeld = status === STATUS.HELD;
    if (isHeld && attachment.volume === null) {
      released(null);
      return;
    }
    if (status === STATUS.TOO_MANY_HANDLES) this.handlesUsedUp();
    this.later(tries, REOPEN_RETRY_MS, isHeld ? null : sentence, released, () => this.reopenAndRelease(attachment, released, tries + 1));
  }

  /** OPEN was granted after the client had closed the attachment. */
  releaseOpened(attachment: Attachment, body: Buffer | undefined, released: Released, tries = 1): void {
    let handle: number;
    try {
      ({ handle } = decodeOpenAnswer(body ?? Buffer.alloc(0), 0, body?.length ?? 0));
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
