// The identity of a replicated mirror, which all servers with a replica give alike. Pure. Invariant: a server that copies finds the same
// replication, the same source and the same moments at each of these servers, so that it can go on at another one.

import { createHash } from 'node:crypto';
import type { Manifest } from './disk/manifest.ts';
import type { SnapshotRecord } from './snapshots/snapshot-record.ts';

/** Returns the id of the replication of a mirror to a client: a UUID (version 8). */
export function mirrorReplicationId(mirror: string, to: string): string {
  const hex = createHash('sha256')
    .update(JSON.stringify(['replication of a mirror', mirror, to]))
    .digest('hex');
  return uuidOf(`${hex.slice(0, 12)}8${hex.slice(13, 16)}a${hex.slice(17, 32)}`);
}

/** Returns the id by which followers know the volume: for a replica, the 32 digits of its mirror as a UUID. */
export function sourceIdOf({ id, replica }: Pick<Manifest, 'id' | 'replica'>): string {
  return replica === undefined ? id : uuidOf(replica.mirror);
}

function uuidOf(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Returns the id of a moment. A follower has moments of its source. The snapshots of a mirror have one id on all servers (M22). */
export function momentIdOf({ id, group, origin, moment }: Pick<SnapshotRecord, 'id' | 'group' | 'origin' | 'moment'>): string {
  return origin?.group ?? (moment === undefined ? group.id : id);
}
