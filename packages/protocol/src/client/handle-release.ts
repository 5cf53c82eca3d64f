// Gives handles back to the server, so that the hold of a volume that is detached ends: CLOSE, over lost sessions and revoked handles, as
// often as it takes. Leaves which attachments are leaving to the opener. Invariants: whoever waits for the end of a hold is told once, and
// told that all is well only when the server has said so; a handle's number is spoken of in its own session only.

import type { Clock } from '@rsio/common/lib/clock';
import { CLOSE_TRIES_MAX, REOPEN_RETRY_MS } from './limits.ts';
import { OP } from '../wire/frames.ts';
import { decodeOpenAnswer, encodeOpenRequest } from '../wire/message-codec.ts';
import { TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import { callSession } from './session-call.ts';
import type { Trunk } from './trunk.ts';

/** `problem`: why the server may have kept the hold, or lost what was written, for people; null: all is well. */
export type Released = (problem: string | null) => void;

/** There is no hold of ours. */
const NOT_OURS: readonly number[] = [STATUS.TAKEN, STATUS.UNKNOWN_VOLUME, STATUS.NO_RIGHTS];

export class HandleRelease {
  private readonly trunk: Trunk;
  private readonly clock: Clock;
  /** The session has no handle left to give. */
  private readonly handlesUsedUp: () => void;

  constructor(trunk: Trunk, clock: Clock, usedUp: () => void) {
    this.trunk = trunk;
    this.clock = clock;
    this.handlesUsedUp = usedUp;
  }

  /** Tells the server that a handle of the present session is not needed any more. */
  release(attachment: Attachment, handle: number, released: Released, tries = 1): void {
    const { session } = this.trunk;
    callSession(this.trunk, { op: OP.CLOSE, attachment: null, handle }, ({ status, sentence }) => {
      const anew = (): void => this.reopenAndRelease(attachment, released, tries + 1);
      // A server that still executes something of it says so, and has closed nothing.
      const again = (): void => {
        if (this.trunk.session === session) this.release(attachment, handle, released, tries + 1);
        else this.reopenAndRelease(attachment, released);
      };
      if (status === STATUS.OK) released(null);
      else if (status === STATUS.STALE && this.trunk.session !== session) this.reopenAndRelease(attachment, released);
      else if (status === STATUS.STALE) this.later(tries, tries === 1 ? 0 : REOPEN_RETRY_MS, sentence, released, anew);
      else if (status === STATUS.BAD_REQUEST) this.later(tries, REOPEN_RETRY_MS, sentence, released, again);
      else released(sentence);
    });
  }

  /** A handle beside which another one of the same volume stays open: nothing depends on what is said to it. */
  drop(handle: number): void {
    callSession(this.trunk, { op: OP.CLOSE, attachment: null, handle }, () => undefined);
  }

  /**
   * CLOSE or OPEN of a closed attachment was not answered before its session was lost, or its handle was revoked: the hold may be there
   * still. A volume is named only by OPEN: so it is opened once more, which our own hold allows, and closed.
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

  /** An OPEN by which the hold was to end was not granted. */
  refused(attachment: Attachment, status: number, sentence: string, released: Released, tries = 1): void {
    if (NOT_OURS.includes(status)) {
      released(null);
      return;
    }
    // Whoever has had it resumes a hold: another client's is just beginning, and may come to nothing, or the server is an old one.
    const isHeld = status === STATUS.HELD;
    if (isHeld && attachment.volume === null) {
      released(null);
      return;
    }
    if (status === STATUS.TOO_MANY_HANDLES) this.handlesUsedUp();
    this.later(tries, REOPEN_RETRY_MS, isHeld ? null : sentence, released, () => this.reopenAndRelease(attachment, released, tries + 1));
  }

  /** It was opened after it had been closed here. */
  releaseOpened(attachment: Attachment, body: Buffer | undefined, released: Released, tries = 1): void {
    let handle: number;
    try {
      ({ handle } = decodeOpenAnswer(body ?? Buffer.alloc(0), 0, body?.length ?? 0));
    } catch (thrown) {
      released(`Its server's answer to OPEN cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      return;
    }
    this.release(attachment, handle, released, tries);
  }

  private later(tries: number, delayMs: number, problem: string | null, released: Released, then: () => void): void {
    if (tries >= CLOSE_TRIES_MAX || this.trunk.isEnded) released(problem);
    else this.clock.after(delayMs, then);
  }
}
