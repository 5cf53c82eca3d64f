// Checks that what a server process says about volumes, and how much it asks, belongs to the session for which it says so. The messages have
// the right form already (worker-guards.ts). Invariant: a process can stop, fail or name only volumes that its sessions were granted.

import { RsError } from '@rsio/common/lib/errors';
import { ADMIN_PER_SESSION_MAX, VOTES_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import type { FromSession, SessionRequest } from './channel.ts';
import { ASKS_MAX } from './limits.ts';

type Kind = 'admin' | 'vote' | 'other';

const MAXIMA: Readonly<Record<Kind, number>> = { admin: ADMIN_PER_SESSION_MAX, vote: 2 * VOTES_PER_SESSION_MAX, other: ASKS_MAX };

function kindOf({ what }: SessionRequest): Kind {
  if (what === 'admin-call' || what === 'admin-rest') return 'admin';
  return what === 'vote' ? 'vote' : 'other';
}

/** The volumes of the session (volumes/holds/volume-uses.ts). */
interface GuardedUses {
  has(volumeId: string): boolean;
  wasGranted(volumeId: string): boolean;
  losesFormer(volumeId: string): boolean;
}

export class SessionGuard {
  private readonly uses: GuardedUses;
  private readonly unanswered = { admin: 0, vote: 0, other: 0 };

  constructor(uses: GuardedUses) {
    this.uses = uses;
  }

  /**
   * Returns false for a message that is out of date, because the session had the volume until lately: it is to be ignored. Throws E_PROTOCOL
   * for a message that the process may never send.
   */
  admits(message: FromSession): boolean {
    switch (message.type) {
      case 'ask':
        this.count(message.request);
        return true;
      case 'lost':
        // A sync may fail after the volume was closed, and what it says is true. It is believed once.
        return this.isCurrent('lost', message.volumeId) || this.uses.losesFormer(message.volumeId);
      case 'cut':
        return this.isCurrent('cut', message.volumeId);
      case 'space':
        return this.isCurrent('space', message.volumeId) || !message.isWaiting;
      case 'throttled':
        if (message.report.what === 'used') for (const { volumeId } of message.report.volumes) this.isCurrent('throttled', volumeId);
        else this.isCurrent('throttled', message.report.volumeId);
        return true;
      case 'figures':
        for (const { volumeId } of message.figures.volumes) this.isCurrent('figures', volumeId);
        return true;
      default:
        return true;
    }
  }

  answered(request: SessionRequest): void {
    this.unanswered[kindOf(request)]--;
  }

  private count(request: SessionRequest): void {
    const kind = kindOf(request);
    if (++this.unanswered[kind] > MAXIMA[kind])
      throw new RsError('E_PROTOCOL', `${request.what}: more than ${MAXIMA[kind]} requests without an answer`);
  }

  /** False if the session had the volume, and has it no more. */
  private isCurrent(what: string, volumeId: string): boolean {
    if (this.uses.has(volumeId)) return true;
    if (this.uses.wasGranted(volumeId)) return false;
    throw new RsError('E_PROTOCOL', `${what} names a volume that the session was never granted`);
  }
}
