// Opens the attachments of a trunk, and opens them again in every new session. A first OPEN that is refused fails the attachment; one that
// had been open waits and is tried again, because its I/O waits too. Invariant (R1): when the volume is not the same any more (another
// identity), nothing of the attachment is sent again. A CLOSE that was lost with its session is said in the next one: the hold would stay.

import type { Clock } from '../lib/clock.ts';
import { REOPEN_RETRY_MS } from '../limits.ts';
import { OP } from '../wire/frames.ts';
import { decodeOpenAnswer, encodeOpenRequest } from '../wire/message-codec.ts';
import type { OpenAnswer } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import { callSession } from './session-call.ts';
import type { Trunk } from './trunk.ts';

export interface OpenerEvents {
  /** It is open, for the first time or again. `newLife`: the storage cannot vouch for what was not flushed. */
  opened(attachment: Attachment, again: boolean, newLife: boolean): void;
  /** The first OPEN was refused, or the volume is another one now: the attachment is out of the trunk, its requests are answered. */
  failed(attachment: Attachment, status: number, sentence: string): void;
  /** It was open and cannot be opened again now: it waits, and is tried again. */
  waits(attachment: Attachment, sentence: string): void;
}

export class Opener {
  private readonly trunk: Trunk;
  private readonly clock: Clock;
  private readonly events: OpenerEvents;

  constructor(trunk: Trunk, clock: Clock, events: OpenerEvents) {
    this.trunk = trunk;
    this.clock = clock;
    this.events = events;
  }

  /** Takes a new attachment into the trunk. */
  add(attachment: Attachment): void {
    this.trunk.addAttachment(attachment);
    this.open(attachment);
  }

  /** A new session began. */
  openAll(): void {
    for (const attachment of this.trunk.attachments) this.open(attachment);
  }

  /** Ends an attachment: what waits in it fails, and the server is told, if it is open. `closed` is called when the server has answered. */
  close(attachment: Attachment, closed: () => void): void {
    const { phase, handle } = attachment;
    const left = this.trunk.removeAttachment(attachment);
    attachment.moveTo('closed', 'Detached');
    for (const request of left) request.owner?.requestDone(request, STATUS.IO_ERROR);
    if (phase === 'ready' || phase === 'resending') this.release(attachment, handle, closed);
    else closed();
  }

  private open(attachment: Attachment): void {
    if (attachment.phase !== 'opening' || attachment.openAsked || this.trunk.session === null) return;
    attachment.openAsked = true;
    const session = this.trunk.session;
    const body = openRequestOf(attachment);
    callSession(this.trunk, { op: OP.OPEN, attachment: null, body }, ({ status, bodies, sentence }) => {
      // The answer of an older session says nothing about this one: it was asked anew when the session began.
      if (this.trunk.session !== session) {
        if (attachment.phase === 'closed') this.releaseAnew(attachment, () => undefined);
        return;
      }
      if (attachment.phase !== 'opening') {
        if (status === STATUS.OK) this.giveBack(attachment, bodies[0], () => undefined);
        return;
      }
      attachment.openAsked = false;
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
    if (before !== null && before.identity !== answer.identity) {
      this.fail(
        attachment,
        STATUS.TAKEN,
        `Volume ${attachment.name} was given to another client meanwhile: nothing is sent again; attach it anew`,
      );
      return;
    }
    attachment.opened(answer);
    this.trunk.wantPump();
    this.events.opened(attachment, before !== null, before !== null && before.life !== answer.life);
  }

  /** Tells the server that a closed attachment's handle is not needed any more, so that the hold ends. */
  private release(attachment: Attachment, handle: number, closed: () => void): void {
    const { session } = this.trunk;
    callSession(this.trunk, { op: OP.CLOSE, attachment: null, handle }, ({ status }) => {
      if (status === STATUS.STALE && this.trunk.session !== session) this.releaseAnew(attachment, closed);
      else closed();
    });
  }

  /**
   * The session was lost before CLOSE or OPEN of a closed attachment was answered: the hold may be there still, and handles of the old
   * session are gone. A volume is named only by OPEN: so it is opened once more, which a hold of this node allows, and closed.
   */
  private releaseAnew(attachment: Attachment, closed: () => void): void {
    const { session } = this.trunk;
    callSession(this.trunk, { op: OP.OPEN, attachment: null, body: openRequestOf(attachment) }, ({ status, bodies }) => {
      if (this.trunk.session !== session) this.releaseAnew(attachment, closed);
      else if (status === STATUS.OK) this.giveBack(attachment, bodies[0], closed);
      else closed();
    });
  }

  /** It was opened after it had been closed here. */
  private giveBack(attachment: Attachment, body: Buffer | undefined, closed: () => void): void {
    if (body === undefined) {
      closed();
      return;
    }
    const { handle } = decodeOpenAnswer(body, 0, body.length);
    this.release(attachment, handle, closed);
  }

  private refused(attachment: Attachment, status: number, sentence: string): void {
    if (attachment.volume === null) {
      this.fail(attachment, status, sentence);
      return;
    }
    if (this.trunk.isEnded) return;
    attachment.reason = sentence;
    this.events.waits(attachment, sentence);
    this.clock.after(REOPEN_RETRY_MS, () => this.open(attachment));
  }

  private fail(attachment: Attachment, status: number, sentence: string): void {
    attachment.moveTo('failed', sentence);
    for (const request of this.trunk.removeAttachment(attachment)) request.owner?.requestDone(request, status);
    this.events.failed(attachment, status, sentence);
  }
}

function openRequestOf({ name, universe, readonly }: Attachment): Buffer {
  return encodeOpenRequest({ name, universe, readonly });
}
