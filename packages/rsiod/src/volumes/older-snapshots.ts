// Asks the server for the snapshots that are older than an attached snapshot. Invariant: the list stays complete while the snapshot is
// attached, because every snapshot that is made later is younger. If a listed snapshot is removed, the server refuses a later query for the
// changes since that snapshot.

import type { Clock } from '@rsio/base/lib/clock';
import type { Attachment } from '@rsio/protocol/client/attachment';
import { callSession, type SessionAnswer } from '@rsio/protocol/client/session-call';
import type { Trunk } from '@rsio/protocol/client/trunk';
import { OP } from '@rsio/protocol/wire/frames';
import { IOCTL, SnapshotsAnswer, SnapshotsRequest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { OlderSnapshot } from './frontend-volume.ts';
import { OLDER_SNAPSHOTS_MAX, OLDER_SNAPSHOTS_TRIES_MAX, OLDER_SNAPSHOTS_WAIT_MS } from './limits.ts';

/** Returns the older snapshots, youngest first. The list is empty if the server cannot list snapshots or does not answer in time. */
export async function olderSnapshots(trunk: Trunk, attachment: Attachment, clock: Clock): Promise<readonly OlderSnapshot[]> {
  for (let tries = 0; tries < OLDER_SNAPSHOTS_TRIES_MAX; tries++) {
    const found: OlderSnapshot[] = [];
    for (let hasMore = true; hasMore && found.length < OLDER_SNAPSHOTS_MAX; ) {
      const answer = await ask(trunk, attachment, clock, found.at(-1)?.id ?? null);
      const [body] = answer?.bodies ?? [];
      // The snapshot `after`, at which the previous part ended, may have been removed, so the list is read from the start again.
      if (answer?.status === STATUS.UNKNOWN_VOLUME) break;
      if (answer?.status !== STATUS.OK || body === undefined) return [];
      const part = SnapshotsAnswer.decode(body, 0, body.length);
      found.push(...part.snapshots);
      hasMore = part.hasMore && part.snapshots.length > 0;
      if (!hasMore) return found.slice(0, OLDER_SNAPSHOTS_MAX);
    }
    if (found.length >= OLDER_SNAPSHOTS_MAX) return found.slice(0, OLDER_SNAPSHOTS_MAX);
  }
  return [];
}

/** Asks the server for the part of the list after the snapshot `after`. Resolves with null if the server does not answer in time. */
function ask(trunk: Trunk, attachment: Attachment, clock: Clock, after: string | null): Promise<SessionAnswer | null> {
  return new Promise((resolve) => {
    const timer = clock.after(OLDER_SNAPSHOTS_WAIT_MS, () => resolve(null));
    const body = SnapshotsRequest.encode({ after });
    callSession(trunk, { op: OP.IOCTL, attachment, aux: IOCTL.SNAPSHOTS, body }, (answer) => {
      timer.cancel();
      resolve(answer);
    });
  });
}
