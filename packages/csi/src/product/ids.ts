// The ids that orchestrators get, and the names that volumes and snapshots have on servers. Pure. An id consists of the kind and of
// ids from the servers, so that it stays valid if the volume is renamed or moves. Invariants: different names of CSI have different names
// on the servers, and a name that this program makes for its own use is never the name of a volume.

import { createHash } from 'node:crypto';
import { isName, isSnapshotName } from '@rsio/base/lib/units';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** The form of the ids of volumes and of mirrors, as the servers make them. */
const ID_FORMS = { volume: UUID, mirror: /^[0-9a-f]{32}$/ } as const;
/** A name with this beginning is made from a hash. */
const HASHED = 'csi-';
/** Beginning of the name of a volume that is not complete yet. */
const UNFINISHED = 'csi-new-';
const HASH_CHARS = 32;

/** The id of a volume on a server, or of a mirror. */
export interface VolumeId {
  readonly kind: 'volume' | 'mirror';
  readonly uuid: string;
}

/** The id of a snapshot. All servers of a mirror have its snapshot under one id, so that the id stays valid if replicas are replaced. */
export interface SnapshotId {
  readonly of: VolumeId;
  readonly snapshot: string;
}

/** First word of the id of a snapshot, for each kind of its source. */
const SNAPSHOT_WORDS = { volume: 'snapshot', mirror: 'mirror-snapshot' } as const;

export function hashOf(...words: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(words)).digest('hex').slice(0, HASH_CHARS);
}

export function printVolumeId({ kind, uuid }: VolumeId): string {
  return `${kind}.${uuid}`;
}

/** Returns null if no volume can have this id. */
export function parseVolumeId(text: string): VolumeId | null {
  const [kind, uuid = '', ...rest] = text.split('.');
  return (kind === 'volume' || kind === 'mirror') && ID_FORMS[kind].test(uuid) && rest.length === 0 ? { kind, uuid } : null;
}

export function printSnapshotId({ of, snapshot }: SnapshotId): string {
  return `${SNAPSHOT_WORDS[of.kind]}.${of.uuid}.${snapshot}`;
}

/** Returns null if no snapshot can have this id. */
export function parseSnapshotId(text: string): SnapshotId | null {
  const [word, uuid = '', snapshot = '', ...rest] = text.split('.');
  const kind = (['volume', 'mirror'] as const).find((one) => SNAPSHOT_WORDS[one] === word);
  return kind !== undefined && ID_FORMS[kind].test(uuid) && UUID.test(snapshot) && rest.length === 0
    ? { of: { kind, uuid }, snapshot }
    : null;
}

export function printGroupId(group: string): string {
  return `group.${group}`;
}

export function parseGroupId(text: string): string | null {
  const [, group = ''] = /^group\.(.+)$/.exec(text) ?? [];
  return UUID.test(group) ? group : null;
}

/** Returns the name on the server of a volume that the orchestrator calls `name`. */
export function volumeNameOf(name: string): string {
  return isName(name) && !name.startsWith(HASHED) ? name : `${HASHED}${hashOf('volume', name)}`;
}

/** Returns the name that a volume with content has until it is complete. */
export function unfinishedNameOf(name: string): string {
  return `${UNFINISHED}${hashOf('volume', name)}`;
}

export function isUnfinished(name: string): boolean {
  return name.startsWith(UNFINISHED);
}

export function snapshotNameOf(name: string): string {
  return isSnapshotName(name) && !name.startsWith(HASHED) ? name : `${HASHED}${hashOf('snapshot', name)}`;
}

/** Returns the name of the snapshots of a group. */
export function groupNameOf(name: string): string {
  return `${HASHED}${hashOf('group', name)}`;
}
