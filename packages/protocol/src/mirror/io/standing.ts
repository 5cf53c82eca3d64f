// Derives whether a mirror can serve its user, and what it waits for, from the view and the sessions of the replicas. Pure. While a replica
// that counts is away, all changes wait, so the mirror is `halted` until the replica answers or is removed.

import type { Standing } from '../../client/attachment.ts';
import type { IoView, Member } from './members.ts';

export function standingOf(view: IoView | null, members: readonly Member[], hasEnded: boolean): Standing {
  if (hasEnded) return 'over';
  if (view === null || !view.isServing) return 'halted';
  let isRecovering = false;
  for (const { counts, isLost, replica } of members) {
    if (!counts) continue;
    const standing = replica === null || replica.isGivenUp || isLost ? 'over' : replica.attachment.standing;
    if (standing === 'halted' || standing === 'over') return 'halted';
    if (standing === 'recovering') isRecovering = true;
  }
  return isRecovering ? 'recovering' : 'ready';
}

export function reasonOf(view: IoView | null, members: readonly Member[]): string {
  if (view === null || !view.isServing) return view?.waitsFor ?? 'The mirror is not claimed yet';
  const waiting = members.find(({ counts, isReady }) => counts && !isReady);
  if (waiting === undefined) return '';
  const { replica, isLost } = waiting;
  if (replica === null || replica.isGivenUp || isLost) return view.waitsFor ?? 'A replica is being removed from those in sync';
  return `The replica on server ${replica.server} does not answer: ${replica.attachment.reason || 'no path to the server is up'}`;
}
