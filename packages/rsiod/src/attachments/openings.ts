// Lets attach requests wait for the first OPEN of an attachment. Invariant: each wait ends exactly once, with the server's answer or with
// E_TIMEOUT. After a timeout, the attachment is closed.

import type { Clock } from '@rsio/base/lib/clock';
import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import type { Attachment } from '@rsio/protocol/client/attachment';
import { TAKE_OVER_WAIT_MS } from '@rsio/protocol/link/limits';
import { TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Server } from '../network/server.ts';
import { ATTACH_WAIT_MS } from './limits.ts';
import type { Origins } from './volume-origins.ts';

interface PendingOpen {
  resolve(): void;
  reject(error: RsError): void;
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  [STATUS.HELD]: 'E_HELD',
  [STATUS.UNKNOWN_VOLUME]: 'E_UNKNOWN_VOLUME',
  [STATUS.NO_RIGHTS]: 'E_RIGHTS',
  [STATUS.TAKEN]: 'E_TAKEN',
  [STATUS.BESIDE]: 'E_BUSY',
  [STATUS.MOVED]: 'E_MOVED',
};

export class Openings {
  /** The servers from which volumes were attached. */
  readonly origins: Origins;
  private readonly clock: Clock;
  private readonly pending = new Map<Attachment, PendingOpen>();

  constructor(clock: Clock, origins: Origins) {
    this.clock = clock;
    this.origins = origins;
  }

  /** Resolves when the server has opened the volume. Throws the error of the server, or E_TIMEOUT. */
  open(from: Server, attachment: Attachment, label: string): Promise<void> {
    const { take } = attachment;
    return new Promise((resolve, reject) => {
      const waitMs = take === TAKE.NO ? ATTACH_WAIT_MS : TAKE_OVER_WAIT_MS;
      const timer = this.clock.after(waitMs, () => {
        this.pending.delete(attachment);
        from.opener.close(attachment, () => undefined);
        reject(
          new RsError(
            'E_TIMEOUT',
            `Server ${from.name} did not open ${label} within ${waitMs / 1000} s: rsconfig -m status -v shows what is slow${take === TAKE.NO ? '' : '; a later take-over is returned, so try again'}`,
          ),
        );
      });
      const settle = (then: () => void): void => {
        timer.cancel();
        then();
      };
      this.pending.set(attachment, { resolve: () => settle(resolve), reject: (error) => settle(() => reject(error)) });
      from.opener.add(attachment);
    });
  }

  opened(attachment: Attachment): void {
    this.pending.get(attachment)?.resolve();
    this.pending.delete(attachment);
  }

  failed(attachment: Attachment, status: number, sentence: string): void {
    const pending = this.pending.get(attachment);
    this.pending.delete(attachment);
    pending?.reject(new RsError(CODES[status] ?? 'E_VOLUME', sentence, { status }));
  }
}
