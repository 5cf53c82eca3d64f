// The record of a job in STATE/jobs.json. Pure: jobs.ts reads and writes the file. Invariant: the server accepts each record that it has
// written, with the same meaning.

import { isListOf, isRecord, isText, isWhole } from '@rsio/common/files/state-file';
import { RsError } from '@rsio/common/lib/errors';
import { JOBS_KEPT_MAX, JOBS_OPEN_MAX } from './limits.ts';

/** Progress of a move. A stamp identifies a file independently of its path. */
export interface MoveState {
  readonly copyStamp: string | null;
  readonly baseStamp: string | null;
  readonly nextStamp: string | null;
  /** The copy has all differences between `base` and `next` before this offset. */
  readonly positionBytes: number;
}

/** Target of a copy. */
export type CopyTarget =
  /** A new volume, in the pool of the record. */
  | { readonly kind: 'volume'; readonly id: string; readonly name: string; readonly universe: number }
  /** An image in another pool than its volume, new or refreshed. */
  | {
      readonly kind: 'image';
      readonly id: string;
      readonly name: string;
      readonly universe: number;
      readonly refresh: string;
      /** True if the job makes the image; false if it refreshes an existing one. */
      readonly isNew: boolean;
    }
  /** A volume that gets the content of its image in another pool. `keptId`: id of the snapshot that keeps its old content. */
  | { readonly kind: 'restore'; readonly id: string; readonly name: string; readonly universe: number; readonly keptId: string }
  | { readonly kind: 'file'; readonly path: string; readonly format: ImageFormat; readonly isForced: boolean }
  | { readonly kind: 'nbd'; readonly uri: string };

const FORMATS = ['raw', 'qcow2'] as const;
export type ImageFormat = (typeof FORMATS)[number];

/** Source of an import. A raw file may also be a block device. */
export type ImportedFrom =
  | { readonly kind: 'file'; readonly path: string; readonly format: ImageFormat }
  | { readonly kind: 'nbd'; readonly uri: string };

/** The volume that an import makes. Its id is the job's `volumeId`. */
export interface ImportState {
  readonly source: ImportedFrom;
  readonly name: string;
  readonly universe: number;
  readonly blockSizeBytes: 512 | 4096;
}

/** Progress of a copy. A stamp identifies a file independently of its path. */
export interface CopyState {
  readonly target: CopyTarget;
  /** Name of the copied snapshot. */
  readonly snapshot: string;
  /** Null until the snapshot is known to exist. */
  readonly snapshotId: string | null;
  /** True if the job makes the snapshot, and removes it at the end. */
  readonly isOwn: boolean;
  /** Stamp of the file that gets the copy: the data of the volume, or the file at `part`. */
  readonly copyStamp: string | null;
  /** Key of the content with which the copy began: that of an image at its last refresh; null or absent: zeros. */
  readonly base?: string | null;
  /** Offset before which the copy is complete and durable. */
  readonly positionBytes: number;
  /** Temporary path of the target file. */
  readonly part: string | null;
  /** Result of the copy, once only the clean-up is left. */
  readonly end: CopyEnd | null;
}

export type CopyEnd = { readonly kind: 'done' } | { readonly kind: 'cancelled' } | { readonly kind: 'failed'; readonly reason: string };

const STATES = ['waiting', 'running', 'cancelling', 'done', 'failed', 'cancelled'] as const;

/** `cancelling`: the job was cancelled, and undoes its work. */
export type JobState = (typeof STATES)[number];

export interface JobRecord {
  /** A small number as a text, never used again. */
  readonly id: string;
  readonly kind: 'move' | 'copy' | 'import';
  readonly volumeId: string;
  /** Name of the volume when the job began. */
  readonly name: string;
  readonly universe: number;
  /** Names and ids of the pools. If a copy makes no volume, `to` is the path or the URI, and `toId` is empty. */
  readonly from: string;
  readonly fromId: string;
  readonly to: string;
  readonly toId: string;
  /** Client that asked for the job; null for an administrator on the server. */
  readonly by: string | null;
  readonly createdMs: number;
  readonly endedMs: number | null;
  readonly state: JobState;
  /** Reason why the job waits or has failed. */
  readonly reason: string | null;
  readonly limitBytes: number | null;
  /** Number of rounds that a move has completed. */
  readonly rounds: number;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly move: MoveState | null;
  /** For a move of files of a volume over several pools: id of the volume's home. Absent: the whole volume moves. */
  readonly homeId?: string;
  /** Only in the records of copies. */
  readonly copy?: CopyState;
  /** Only in the records of imports. `from` is the path or the URI, and `fromId` is empty. */
  readonly import?: ImportState;
  /** Stamp of the request that began the job (C4); null or absent: unknown. */
  readonly request?: string | null;
}

export interface JobsContent {
  readonly lastId: number;
  readonly jobs: readonly JobRecord[];
}

export function isJobsContent(value: unknown): value is JobsContent {
  if (!isRecord(value)) return false;
  const { lastId, jobs } = value;
  return isWhole(lastId) && isListOf(jobs, isJob) && jobs.length <= JOBS_OPEN_MAX + JOBS_KEPT_MAX;
}

function isJob(value: unknown): value is JobRecord {
  if (!isRecord(value)) return false;
  const texts = ['id', 'volumeId', 'name', 'from', 'fromId', 'to', 'toId'].every((field) => isText(value[field]));
  const numbers = ['universe', 'createdMs', 'rounds', 'doneBytes', 'totalBytes'].every((field) => isWhole(value[field]));
  return (
    texts &&
    numbers &&
    isOfKind(value) &&
    STATES.some((state) => state === value['state']) &&
    isTextOrNull(value['by']) &&
    isTextOrNull(value['reason']) &&
    isWholeOrNull(value['endedMs']) &&
    isWholeOrNull(value['limitBytes']) &&
    (value['move'] === null || isMoveState(value['move'])) &&
    (value['homeId'] === undefined || isText(value['homeId'])) &&
    (value['request'] === undefined || isTextOrNull(value['request']))
  );
}

function isOfKind({ kind, copy, import: imported }: Record<string, unknown>): boolean {
  if (kind === 'import') return copy === undefined && isImportState(imported);
  return imported === undefined && (kind === 'move' ? copy === undefined : kind === 'copy' && isCopyState(copy));
}

function isImportState(value: unknown): value is ImportState {
  if (!isRecord(value)) return false;
  const { source, name, universe, blockSizeBytes } = value;
  return isText(name) && isWhole(universe) && (blockSizeBytes === 512 || blockSizeBytes === 4096) && isImportedFrom(source);
}

function isImportedFrom(value: unknown): value is ImportedFrom {
  if (!isRecord(value)) return false;
  if (value['kind'] === 'nbd') return isText(value['uri']);
  return value['kind'] === 'file' && isText(value['path']) && FORMATS.some((format) => format === value['format']);
}

/** Throws E_INTERNAL if the job is not an import. */
export function importOf({ id, import: imported }: JobRecord): ImportState {
  if (imported !== undefined) return imported;
  throw new RsError('E_INTERNAL', `Job ${id} is no import`);
}

function isMoveState(value: unknown): value is MoveState {
  if (!isRecord(value)) return false;
  return isWhole(value['positionBytes']) && ['copyStamp', 'baseStamp', 'nextStamp'].every((field) => isTextOrNull(value[field]));
}

function isCopyState(value: unknown): value is CopyState {
  if (!isRecord(value)) return false;
  return (
    isTarget(value['target']) &&
    isText(value['snapshot']) &&
    typeof value['isOwn'] === 'boolean' &&
    isWhole(value['positionBytes']) &&
    ['snapshotId', 'copyStamp', 'part'].every((field) => isTextOrNull(value[field])) &&
    (value['base'] === undefined || isTextOrNull(value['base'])) &&
    (value['end'] === null || isEnd(value['end']))
  );
}

function isTarget(value: unknown): value is CopyTarget {
  if (!isRecord(value)) return false;
  switch (value['kind']) {
    case 'image':
      return isNamed(value) && isText(value['refresh']) && typeof value['isNew'] === 'boolean';
    case 'volume':
      return isNamed(value);
    case 'restore':
      return isNamed(value) && isText(value['keptId']);
    case 'file':
      return isText(value['path']) && FORMATS.some((format) => format === value['format']) && typeof value['isForced'] === 'boolean';
    case 'nbd':
      return isText(value['uri']);
    default:
      return false;
  }
}

function isNamed(value: Record<string, unknown>): boolean {
  return isText(value['id']) && isText(value['name']) && isWhole(value['universe']);
}

function isEnd(value: unknown): value is CopyEnd {
  if (!isRecord(value)) return false;
  return value['kind'] === 'done' || value['kind'] === 'cancelled' || (value['kind'] === 'failed' && isText(value['reason']));
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value);
}

function isWholeOrNull(value: unknown): value is number | null {
  return value === null || isWhole(value);
}
