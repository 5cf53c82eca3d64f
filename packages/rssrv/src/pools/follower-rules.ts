// Refuses changes to a volume that follows a volume of another server. Pure. Invariant: only its replication changes the content and the
// snapshots of a follower. Once it is promoted, it is an ordinary volume.

import { RsError } from '@rsio/common/lib/errors';
import type { FollowerMark, Manifest } from './disk/manifest.ts';

type Marked = Pick<Manifest, 'name' | 'universe' | 'follower'>;

/** Returns the mark of a follower that is not promoted; null for any other volume. */
export function following({ follower }: Pick<Manifest, 'follower'>): FollowerMark | null {
  return follower === undefined || follower.promoted !== null ? null : follower;
}

/** Throws E_USAGE, naming the source, if the volume is a follower. `what`: the refused change, such as `be removed`. */
export function checkNoFollower(manifest: Marked, what: string): void {
  const mark = following(manifest);
  if (mark === null) return;
  const text = textOf(manifest);
  throw new RsError(
    'E_USAGE',
    `Volume ${text} follows volume ${mark.sourceName} of server ${mark.peer}, and cannot ${what}: rsadm volume promote ${text} makes it an ordinary volume`,
    { volume: text, peer: mark.peer },
  );
}

/** Returns why a client cannot open a follower. */
export function followsText(volume: string, peer: string): string {
  return `Volume ${volume} follows a volume of server ${peer}: attach one of its moments, ${volume}@MOMENT (volume show ${volume} lists them), or promote it`;
}

function textOf({ name, universe }: Pick<Manifest, 'name' | 'universe'>): string {
  return universe === 0 ? name : `${name}@${universe}`;
}
