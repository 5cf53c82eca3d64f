// The files that describe the snapshots of a volume: NAME.json describes one snapshot, and last-removal records the last removal. Pure.
// Invariants: `parse...` accepts every text of `print...` with the same meaning. The name of a file contains the name of its snapshot, and
// shows whether the snapshot is finished.

import { join } from 'node:path';
import { isRecord, isText, isWhole } from '@rsio/common/files/state-file';
import { STORAGE_STAMP_MAX_CHARS } from '@rsio/common/config/schema/limits';
import { isSnapshotName } from '@rsio/common/lib/units';
import {
  damagedFile,
  isBlockSize,
  isLayout,
  isMirrorId,
  isNameOrNull,
  isNameText,
  isRequestOrNull,
  isSize,
  isTime,
  isUuid,
  type Layout,
  layoutMismatch,
  type Manifest,
  parseContent,
  printContent,
  readable,
} from '../disk/manifest.ts';

/** Snapshots that were made at one moment. All of them exist once the snapshot of the home is committed. */
export interface SnapshotGroup {
  readonly id: string;
  /** Pool and volume of the home, the snapshot whose commit decides. */
  readonly poolId: string;
  readonly volumeId: string;
}

/** A moment of a mirror at which no change was in flight (M22). */
export interface MirrorMoment {
  /** Id of the mirror. */
  readonly mirror: string;
  /** Number of the holder's term, and of the moment within it. A later moment has a higher term, or the same term and a higher number. */
  readonly term: number;
  readonly number: number;
}

/** The moment of a snapshot of a replica. */
export interface ReplicaMoment extends MirrorMoment {
  /** True once the holder has confirmed its term after the moment, so that the snapshot is one of the mirror. */
  readonly isProven: boolean;
}

/** The content of POOL/volumes/ID/snapshots/NAME.json. */
export interface SnapshotRecord {
  readonly id: string;
  readonly name: string;
  readonly volumeId: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
  /**
   * The files of a snapshot of a volume of several files; absent for one file. The first file is NAME.data, with the id of the snapshot;
   * the other files are parts in the pools of the volume's files.
   */
  readonly layout?: Layout;
  /**
   * Bytes that its files occupied when it was made, including shared blocks. They count towards the limit of a client. Absent in
   * descriptions of earlier builds; then the size counts.
   */
  readonly usedBytes?: number;
  readonly createdMs: number;
  /** Client that made it; null if an administrator made it on the server. */
  readonly creator: string | null;
  readonly group: SnapshotGroup;
  /**
   * For a snapshot that a rollback makes of the content before: stamp of the new data file. The snapshot exists once the manifest of the
   * volume has the stamp. Null for other snapshots.
   */
  readonly rollback: string | null;
  /** Label of the schedule's rule that made it; absent if a command made it, so that no schedule removes it. */
  readonly schedule?: string;
  /** Absent if the volume was no replica. */
  readonly moment?: ReplicaMoment;
  /** Id of the request that made it. If the request is repeated, it is not executed again. */
  readonly request: string | null;
}

/** The content of POOL/volumes/ID/snapshots/last-removal. The snapshot with this id counts as removed, even if its files still exist. */
export interface SnapshotRemoval {
  readonly id: string;
  readonly name: string;
  readonly request: string | null;
}

/** Format of a snapshot of several files or of a replica, so that an older rssrv refuses it. */
const LAYOUT_VERSION = 2;
/** Prefix of files of an unfinished snapshot. No name of a snapshot begins with a dot. */
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

/** Returns the record with the present pools of its files: each is in the pool of the volume's file that it is a clone of (ADR 0049). */
export function placedAs(record: SnapshotRecord, { layout: { kind, ...volume } }: Pick<Manifest, 'layout'>): SnapshotRecord {
  const { layout } = record;
  if (layout === undefined || layout.kind === 'simple' || kind === 'simple' || !('parts' in volume)) return record;
  const parts = layout.parts.map((part, index) => ({ ...part, poolId: volume.parts[index]?.poolId ?? part.poolId }));
  return { ...record, layout: { ...layout, parts } };
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
  const fields = parseContent(file, text, LAYOUT_VERSION);
  const { id, name, volumeId, sizeBytes, blockSizeBytes, layout, usedBytes } = fields;
  const { createdMs, creator, group, rollback, schedule, moment, request } = fields;
  if (!isUuid(id)) throw damagedFile(file, 'id is not a UUID');
  if (!isText(name) || !isSnapshotName(name)) throw damagedFile(file, 'name is not the name of a snapshot');
  if (!isUuid(volumeId)) throw damagedFile(file, 'volumeId is not a UUID');
  if (!isBlockSize(blockSizeBytes)) throw damagedFile(file, 'blockSizeBytes is not 512 or 4096');
  if (!isSize(sizeBytes, blockSizeBytes)) throw damagedFile(file, 'sizeBytes is not a whole number of blocks');
  if (layout !== undefined && !isLayout(layout)) throw damagedFile(file, 'layout is not a layout');
  const mismatch = layout === undefined ? null : layoutMismatch({ id, sizeBytes, layout }, LAYOUT_VERSION);
  if (mismatch !== null) throw damagedFile(file, mismatch);
  if (usedBytes !== undefined && !isWhole(usedBytes)) throw damagedFile(file, 'usedBytes is not a number of bytes');
  if (!isTime(createdMs)) throw damagedFile(file, 'createdMs is not a time');
  if (!isNameOrNull(creator)) throw damagedFile(file, 'creator is not a name or null');
  if (!isGroup(group)) throw damagedFile(file, 'group is not a group');
  if (rollback !== null && !(isText(rollback) && rollback.length <= STORAGE_STAMP_MAX_CHARS))
    throw damagedFile(file, 'rollback is not a stamp or null');
  if (schedule !== undefined && !isNameText(schedule)) throw damagedFile(file, 'schedule is not the label of a rule');
  if (moment !== undefined && !isMoment(moment)) throw damagedFile(file, 'moment is not a moment of a mirror');
  if (!isRequestOrNull(request)) throw damagedFile(file, 'request is not a request id or null');
  const made = { ...(schedule === undefined ? {} : { schedule }), ...(moment === undefined ? {} : { moment }) };
  const files = { ...(layout === undefined ? {} : { layout }), ...(usedBytes === undefined ? {} : { usedBytes }) };
  return { id, name, volumeId, sizeBytes, blockSizeBytes, ...files, createdMs, creator, group, rollback, ...made, request };
}

function isMoment(value: unknown): value is ReplicaMoment {
  return (
    isRecord(value) &&
    isMirrorId(value['mirror']) &&
    isWhole(value['term']) &&
    isWhole(value['number']) &&
    typeof value['isProven'] === 'boolean'
  );
}

function isGroup(value: unknown): value is SnapshotGroup {
  return isRecord(value) && isUuid(value['id']) && isUuid(value['poolId']) && isUuid(value['volumeId']);
}

/** Throws E_USAGE, naming the field, if `parseSnapshotRemoval` would refuse the file. */
export function printSnapshotRemoval({ id, name, request }: SnapshotRemoval): string {
  return readable(printContent({ id, name, request }), parseSnapshotRemoval);
}

/** Throws E_VOLUME, naming `file`. */
export function parseSnapshotRemoval(file: string, text: string): SnapshotRemoval {
  const { id, name, request } = parseContent(file, text);
  if (!isUuid(id)) throw damagedFile(file, 'id is not a UUID');
  if (!isText(name) || !isSnapshotName(name)) throw damagedFile(file, 'name is not the name of a snapshot');
  if (!isRequestOrNull(request)) throw damagedFile(file, 'request is not a request id or null');
  return { id, name, request };
}
