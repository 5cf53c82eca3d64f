// The files by which a volume describes its snapshots: NAME.json describes one, and last-removal the one that was removed last. Pure.
// Invariants: what `print...` returns, `parse...` accepts with the same meaning; the name of a file of a snapshot tells the name of the
// snapshot, and whether it is finished.

import { join } from 'node:path';
import { flag, integer, object, type Of, optional, orNull, textThat } from '@rsio/common/lib/shape';
import { isSnapshotName } from '@rsio/common/lib/units';
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
} from '../disk/description-shapes.ts';
import { layoutMismatch, type Manifest } from '../disk/manifest.ts';

const snapshotName = textThat(isSnapshotName, 'the name of a snapshot');

/** Which snapshots were made at one moment. They exist, all of them, when the one of the home is committed. */
const GROUP = object({
  id: uuid,
  /** Pool and volume of the home. */
  poolId: uuid,
  volumeId: uuid,
});

/** A moment of a mirror at which nothing was under way (M22). */
const MOMENT = {
  /** Id of the mirror. */
  mirror: mirrorId,
  /** Number of the holder's term, and of the moment in it. A later moment has a higher term, or a higher number in the same term. */
  term: integer(),
  number: integer(),
};

/** Of a snapshot of a replica. */
const REPLICA_MOMENT = object({
  ...MOMENT,
  /** The holder has confirmed its term since, so that the snapshot is one of the mirror. */
  isProven: flag(),
});
export type ReplicaMoment = Of<typeof REPLICA_MOMENT>;
export type MirrorMoment = Omit<ReplicaMoment, 'isProven'>;

/** The content of POOL/volumes/ID/snapshots/NAME.json. */
const SNAPSHOT = object({
  id: uuid,
  name: snapshotName,
  volumeId: uuid,
  sizeBytes: integer(),
  blockSizeBytes: blockSize,
  /**
   * The files of a snapshot of a volume of several files; absent for one file. The first one is NAME.data, and has the id of the snapshot; the
   * others are parts in the pools of the volume's files.
   */
  layout: optional(LAYOUT),
  /**
   * Bytes that its files took when it was made, shared ones included. They count towards the limit of a client. Absent in descriptions of
   * earlier builds, and then its size counts.
   */
  usedBytes: optional(integer()),
  createdMs: time,
  /** Client that made it; null if an administrator made it on the server. */
  creator: nameOrNull,
  group: GROUP,
  /**
   * Stamp of the data file that a rollback puts in the place of the one in this snapshot: the snapshot exists once the manifest of the
   * volume has the stamp. Null if no rollback made it.
   */
  rollback: orNull(stamp),
  /** Label of the rule of the schedule that made it; absent if a command made it, and then no schedule removes it. */
  schedule: optional(nameText),
  /** Absent if the volume was no replica. */
  moment: optional(REPLICA_MOMENT),
  /** Id of the request that made it. If the request is repeated, it is not executed again. */
  request: requestOrNull,
});
export type SnapshotRecord = Of<typeof SNAPSHOT>;

/** The content of POOL/volumes/ID/snapshots/last-removal. A snapshot with this id is removed, whatever is left of it. */
const REMOVAL = object({ id: uuid, name: snapshotName, request: requestOrNull });
export type SnapshotRemoval = Of<typeof REMOVAL>;

/** Format of a snapshot of several files, or of a replica, which an older rssrv refuses. */
const LAYOUT_VERSION = 2;
/** Prefix of files of a snapshot that is not finished. No name of a snapshot begins with a dot. */
const UNFINISHED = '.new-';
const FILE = /^(\.new-)?(.*)\.(json|data|json\.new)$/s;

/** `folder`: the folder of a volume. */
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

/** Returns what a file in the folder of the snapshots is, or null if it belongs to no snapshot. */
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

/** A snapshot as the manifest places it: each of its files is in the pool of the file that it is a clone of (ADR 0049). */
export function placedAs(record: SnapshotRecord, { layout: { kind, ...volume } }: Pick<Manifest, 'layout'>): SnapshotRecord {
  const { layout } = record;
  if (layout === undefined || layout.kind === 'simple' || kind === 'simple' || !('parts' in volume)) return record;
  const parts = layout.parts.map((part, index) => ({ ...part, poolId: volume.parts[index]?.poolId ?? part.poolId }));
  return { ...record, layout: { ...layout, parts } };
}

/** False for a snapshot of a replica that its mirror's holder has not proven (M22). */
export function isReadable({ moment }: Pick<SnapshotRecord, 'moment'>): boolean {
  return moment?.isProven ?? true;
}

export function unprovenText(snapshot: string): string {
  return `Snapshot ${snapshot} is of a replica, and its mirror did not confirm that it has all writes`;
}

/** The files of a snapshot. */
export function filesOf({ layout, sizeBytes }: Pick<SnapshotRecord, 'layout' | 'sizeBytes'>): Pick<Manifest, 'layout' | 'sizeBytes'> {
  return { layout: layout ?? { kind: 'simple' }, sizeBytes };
}

/** Throws E_VOLUME naming `file` and the field. */
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

/** Throws E_VOLUME naming `file`. */
export function parseSnapshotRemoval(file: string, text: string): SnapshotRemoval {
  return parseContent(file, text, REMOVAL).fields;
}
