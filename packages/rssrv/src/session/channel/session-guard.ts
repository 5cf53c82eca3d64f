// Checks that a session's message from a worker names only volumes of the session, and bounds the session's unanswered requests.
// channel.ts has already checked the form of the message. Invariant: a process can report on, stop or name only volumes that were
// granted to its sessions.

import { RsError } from '@rsio/base/lib/errors';
import { ADMIN_PER_SESSION_MAX, VOTES_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import { ALL_VOLUMES } from '../../volumes/throttle/throttle-messages.ts';
import type { FromSession, SessionRequest } from './channel.ts';
import { ASKS_MAX, GATE_RECORDS_PER_SESSION_MAX } from '../limits.ts';

type Kind = 'admin' | 'vote' | 'record' | 'other';

const MAXIMA: Readonly<Record<Kind, number>> = {
  admin: ADMIN_PER_SESSION_MAX,
  vote: 2 * VOTES_PER_SESSION_MAX,
  record: GATE_RECORDS_PER_SESSION_MAX,
  other: ASKS_MAX,
};

function kindOf({ what }: SessionRequest): Kind {
  if (what === 'admin-call' || what === 'admin-rest') return 'admin';
  if (what === 'record-read' || what === 'record-write' || what === 'nodes-seen') return 'record';
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
  private readonly unanswered: Record<Kind, number> = { admin: 0, vote: 0, record: 0, other: 0 };

  constructor(uses: GuardedUses) {
    this.uses = uses;
  }

  /**
   * Returns false if the caller must ignore the message, because the session has recently lost the volume that the message names. Throws
   * E_PROTOCOL for a message that the process may never send.
   */
  admits(message: FromSession): boolean {
    switch (message.type) {
      case 'ask':
        this.count(message.request);
        return true;
      case 'lost':
        // A sync may fail after the session has closed the volume, and this failure may still mean lost writes. The listener therefore
        // accepts one report about a volume that the session has closed.
        return this.isCurrent('lost', message.volumeId) || this.uses.losesFormer(message.volumeId);
      case 'cut':
        return this.isCurrent('cut', message.volumeId);
      case 'space':
        return this.isCurrent('space', message.volumeId) || !message.isWaiting;
      case 'throttled':
        for (const { volumeId } of message.report.what === 'used' ? message.report.volumes : [message.report])
          if (volumeId !== ALL_VOLUMES) this.isCurrent('throttled', volumeId);
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

  /**
   * Returns true if the session has the volume, and false if the session had the volume earlier. Throws E_PROTOCOL if the volume was never
   * granted to the session.
   */
  private isCurrent(what: string, volumeId: string): boolean {
    if (this.uses.has(volumeId)) return true;
    if (this.uses.wasGranted(volumeId)) return false;
    throw new RsError('E_PROTOCOL', `${what} names a volume that the session was never granted`);
  }
}
