// The files that describe the snapshots of a volume: NAME.json describes one snapshot, and last-removal records the last removal. Pure.
// Invariants: `parse...` accepts every text that `print...` writes, with the same meaning. The name of a file contains the name of its
// snapshot, and shows whether the snapshot is finished.

import { join } from 'node:path';
import { flag, integer, object, type Of, optional, orNull, textThat } from '@rsio/base/lib/shape';
import { isSnapshotName } from '@rsio/base/lib/units';
import {
  blockSize,
  damagedFile,
  isSize,
  LAYOUT,
  mirrorId,
  nameOrNull,
  nameText,
  parseContent,
  printContent,
  readable,
  requestOrNull,
  stamp,
  time,
  uuid,
  volumeId,
} from '../disk/description-shapes.ts';
import { layoutMismatch, type Manifest } from '../disk/manifest.ts';

const snapshotName = textThat(isSnapshotName, 'the name of a snapshot');

/**
 * The group of a snapshot: the snapshots that were made at the same moment. All snapshots of a group exist once the snapshot of the
 * home is committed.
 */
const GROUP = object({
  id: uuid,
  /** Pool and volume of the home. The commit of the home's snapshot commits the whole group. */
  poolId: uuid,
  volumeId: uuid,
});

/** A moment of a mirror at which no change was in flight (M22). */
const MOMENT = {
  /** Id of the mirror. */
  mirror: mirrorId,
  /**
   * `term`: number of the holder's term. `number`: number of the moment within the term. A later moment has a higher term, or the same
   * term and a higher number.
   */
  term: integer(),
  number: integer(),
};

/** The moment of a snapshot of a replica. */
const REPLICA_MOMENT = object({
  ...MOMENT,
  /**
   * True once the holder has confirmed, after the moment, that its term is still promised. A proven snapshot counts as a snapshot of the
   * mirror.
   */
  isProven: flag(),
});
export type ReplicaMoment = Of<typeof REPLICA_MOMENT>;
export type MirrorMoment = Omit<ReplicaMoment, 'isProven'>;

/** The content of POOL/volumes/ID/snapshots/NAME.json. */
const SNAPSHOT = object({
  id: uuid,
  name: snapshotName,
  volumeId,
  sizeBytes: integer(),
  blockSizeBytes: blockSize,
  /**
   * The files of the snapshot if its volume has several files; absent if the volume has one file. The first file is NAME.data, and its
   * id is the id of the snapshot. The other files are parts in the pools of the volume's files.
   */
  layout: optional(LAYOUT),
  /**
   * Bytes that the files of the snapshot occupied when it was made, including shared blocks. `usedBytes` counts towards the limit of a
   * client. In a description of an earlier build, `usedBytes` is absent, and the size of the snapshot counts.
   */
  usedBytes: optional(integer()),
  /**
   * The place of the snapshot among those of its volume: it grows from snapshot to snapshot, also if the clock is set back. It is the time of
   * the snapshot, unless `shownMs` says otherwise.
   */
  createdMs: time,
  /** Time that the clock showed, or for a copy the clock of its source, if that is not `createdMs`. It decides nothing. */
  shownMs: optional(time),
  /** Client that made the snapshot; null if an administrator made it on the server. */
  creator: nameOrNull,
  group: GROUP,
  /**
   * A rollback makes a snapshot of the content before the rollback. In the description of this snapshot, `rollback` is the stamp of the new
   * data file. The snapshot exists once the manifest of the volume has this stamp. `rollback` is null for a snapshot that no rollback
   * makes.
   */
  rollback: orNull(stamp),
  /**
   * Label of the schedule's rule that made the snapshot. Absent if a command made the snapshot; a schedule does not remove a snapshot
   * without a label.
   */
  schedule: optional(nameText),
  /** The moment of the mirror, if the volume was a replica when the snapshot was made; else absent. */
  moment: optional(REPLICA_MOMENT),
  /** Id of the replication whose moment the snapshot belongs to; absent if it belongs to none. */
  replication: optional(uuid),
  /**
   * Only of a follower: the snapshot of the source whose content this is, and the group of that snapshot. `place`: if the source is a mirror,
   * term and number of the moment. `unknown`: group of the moment that was the newest one here, if the mirror did not know it (T4).
   */
  origin: optional(
    object({ snapshot: uuid, group: uuid, place: optional(object({ term: integer(), number: integer() })), unknown: optional(uuid) }),
  ),
  /** Stamp of the request that made the snapshot. If the request is repeated, it is not executed again. */
  request: requestOrNull,
});
export type SnapshotRecord = Of<typeof SNAPSHOT>;

/** The content of POOL/volumes/ID/snapshots/last-removal. The snapshot with this id counts as removed, even if its files still exist. */
const REMOVAL = object({ id: uuid, name: snapshotName, request: requestOrNull });
export type SnapshotRemoval = Of<typeof REMOVAL>;

/**
 * Format of a description if the volume of the snapshot has several files or is a replica. An older rssrv refuses this format.
 */
const LAYOUT_VERSION = 2;
/** Prefix of files of an unfinished snapshot. No name of a snapshot begins with a dot. */
const UNFINISHED = '.new-';
const FILE = /^(\.new-)?(.*)\.(json|data|json\.new)$/s;

/** The paths of the files of snapshots. `folder`: the folder of a volume. */
export const snapshotPaths = {
  folder: (folder: string): string => join(folder, 'snapshots'),
  removal: (folder: string): string => join(folder, 'snapshots', 'last-removal'),
  record: (folder: string, name: string): string => join(folder, 'snapshots', `${name}.json`),
  data: (folder: string, name: string): string => join(folder, 'snapshots', `${name}.data`),
  newRecord: (folder: string, name: string): string => join(folder, 'snapshots', `${UNFINISHED}${name}.json`),
  newData: (folder: string, name: string): string => join(folder, 'snapshots', `${UNFINISHED}${name}.data`),
} as const;

export interface SnapshotFileName {
  readonly name: string;
  readonly kind: 'json' | 'data' | 'json.new';
  readonly isUnfinished: boolean;
}

/** Parses the name of a file in the folder of snapshots. Returns null if the file belongs to no snapshot. */
export function snapshotFileOf(file: string): SnapshotFileName | null {
  const [, prefix, name = '', kind] = FILE.exec(file) ?? [];
  if (!isSnapshotName(name) || (kind !== 'json' && kind !== 'data' && kind !== 'json.new')) return null;
  const isUnfinished = prefix !== undefined;
  return kind === 'json.new' && !isUnfinished ? null : { name, kind, isUnfinished };
}

/** Throws E_USAGE, naming the field, if `parseSnapshot` would refuse the file. */
export function printSnapshot(record: SnapshotRecord): string {
  const isOld = record.layout === undefined && record.moment === undefined;
  return readable(printContent(record, isOld ? 1 : LAYOUT_VERSION), parseSnapshot);
}

/**
 * Returns the record with the pools in which its files are now. Each file of the snapshot is in the same pool as its original, the file of
 * the volume from which it was cloned.
 */
export function placedAs(record: SnapshotRecord, { layout: { kind, ...volume } }: Pick<Manifest, 'layout'>): SnapshotRecord {
  const { layout } = record;
  if (layout === undefined || layout.kind === 'simple' || kind === 'simple' || !('parts' in volume)) return record;
  const parts = layout.parts.map((part, index) => ({ ...part, poolId: volume.parts[index]?.poolId ?? part.poolId }));
  return { ...record, layout: { ...layout, parts } };
}

/** Returns the time at which the snapshot was made, as people read it. */
export function madeMs({ createdMs, shownMs }: Pick<SnapshotRecord, 'createdMs' | 'shownMs'>): number {
  return shownMs ?? createdMs;
}

/** Returns false for a snapshot of a replica that the mirror's holder has not proven (M22). */
export function isReadable({ moment }: Pick<SnapshotRecord, 'moment'>): boolean {
  return moment?.isProven ?? true;
}

export function unprovenText(snapshot: string): string {
  return `Snapshot ${snapshot} is of a replica, and its mirror did not confirm that it has all writes`;
}

export function filesOf({ layout, sizeBytes }: Pick<SnapshotRecord, 'layout' | 'sizeBytes'>): Pick<Manifest, 'layout' | 'sizeBytes'> {
  return { layout: layout ?? { kind: 'simple' }, sizeBytes };
}

/** Throws E_VOLUME, naming `file` and the field. */
export function parseSnapshot(file: string, text: string): SnapshotRecord {
  const { fields } = parseContent(file, text, SNAPSHOT, LAYOUT_VERSION);
  const { id, sizeBytes, blockSizeBytes, layout } = fields;
  if (!isSize(sizeBytes, blockSizeBytes)) throw damagedFile(file, 'sizeBytes is not a whole number of blocks');
  const mismatch = layout === undefined ? null : layoutMismatch({ id, sizeBytes, layout }, LAYOUT_VERSION);
  if (mismatch !== null) throw damagedFile(file, mismatch);
  return fields;
}

/** Throws E_USAGE, naming the field, if `parseSnapshotRemoval` would refuse the file. */
export function printSnapshotRemoval({ id, name, request }: SnapshotRemoval): string {
  return readable(printContent({ id, name, request }), parseSnapshotRemoval);
}

/** Throws E_VOLUME, naming `file`. */
export function parseSnapshotRemoval(file: string, text: string): SnapshotRemoval {
  return parseContent(file, text, REMOVAL).fields;
}
