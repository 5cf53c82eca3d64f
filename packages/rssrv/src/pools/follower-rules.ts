// Refuses changes to a volume that follows a volume of another server. Pure. Invariant: only its replication changes the content and the
// snapshots of a follower. Once it is promoted, it is an ordinary volume. Rules: T8.

import { RsError } from '@rsio/base/lib/errors';
import type { FollowerMark, Manifest } from './disk/manifest.ts';

type Marked = Pick<Manifest, 'name' | 'universe' | 'follower' | 'replication'>;

/** Returns the mark of a follower that is not promoted; null for any other volume. */
export function following({ follower }: Pick<Manifest, 'follower'>): FollowerMark | null {
  return follower === undefined || follower.promoted !== null ? null : follower;
}

/**
 * Throws E_USAGE, naming the source, if the volume is a follower, and E_BUSY if it is being handed over to another server. `what`: the
 * refused change, such as `be removed`.
 */
export function checkNoFollower(manifest: Marked, what: string): void {
  const volume = textOf(manifest);
  const server = manifest.replication?.handOver?.server;
  if (server !== undefined) throw new RsError('E_BUSY', handedOverText(manifest, what), { volume, peer: server });
  const mark = following(manifest);
  if (mark !== null) throw new RsError('E_USAGE', followsText(manifest, what), { volume, peer: mark.peer });
}

/** Throws E_USAGE if the volume has several files: a follower has one, and the first file alone is no content of the volume. */
export function checkOneFile(manifest: Marked & Pick<Manifest, 'layout'>, what: string): void {
  if (manifest.layout.kind === 'simple') return;
  const text = textOf(manifest);
  throw new RsError(
    'E_USAGE',
    `Volume ${text} has several files, and cannot ${what}, because a follower has one: volume copy first makes a volume of one file`,
    { volume: text },
  );
}

export function handedOverText(manifest: Marked, what: string): string {
  const server = manifest.replication?.handOver?.server ?? '';
  return `Volume ${textOf(manifest)} is being handed over to server ${server}, and cannot ${what}: wait for its end (volume replications)`;
}

export function followsText(manifest: Marked, what: string): string {
  const text = textOf(manifest);
  const { sourceName = '', peer = '' } = manifest.follower ?? {};
  return `Volume ${text} follows volume ${sourceName} of server ${peer}, and cannot ${what}: rsadm volume promote ${text} makes it an ordinary volume, and ends the replication here`;
}

/** Returns why no client can open the volume, and the server from which its content comes or to which it goes; null if clients can. */
export function closedFor(manifest: Marked): { readonly server: string; readonly why: string } | null {
  const text = textOf(manifest);
  const mark = following(manifest);
  if (mark !== null) {
    const why = `Volume ${text} follows a volume of server ${mark.peer}: attach one of its moments, ${text}@MOMENT (volume show ${text} lists them), or promote it`;
    return { server: mark.peer, why };
  }
  const handOver = manifest.replication?.handOver;
  if (handOver === undefined) return null;
  const { server } = handOver;
  const why = `Volume ${text} is being handed over to server ${server}, where it can be attached when that is done; if ${server} is lost for ever, rsadm volume replicate ${text} --end --force keeps it here`;
  return { server, why };
}

function textOf({ name, universe }: Pick<Manifest, 'name' | 'universe'>): string {
  return universe === 0 ? name : `${name}@${universe}`;
}
