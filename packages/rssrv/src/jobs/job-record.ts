// The record of a job in STATE/jobs.json. This module is pure, and jobs.ts reads and writes the file. Invariant: the server accepts every
// record that it has written, and gives the record the same meaning.

import { RsError } from '@rsio/base/lib/errors';
import {
  atMost,
  checked,
  flag,
  integer,
  list,
  object,
  type Of,
  oneOf,
  optional,
  orNull,
  type Shape,
  text,
  variants,
  word,
} from '@rsio/base/lib/shape';
import type { PoolId, VolumeId } from '../pools/disk/ids.ts';
import { JOBS_KEPT_MAX, JOBS_OPEN_MAX } from './limits.ts';

const textOrNull = orNull(text());

/** Progress of a move. A stamp identifies a file independently of its path. */
const MOVE = object({
  copyStamp: textOrNull,
  baseStamp: textOrNull,
  nextStamp: textOrNull,
  /** Before this offset, all differences between `base` and `next` are in the copy. */
  positionBytes: integer(),
});
export type MoveState = Of<typeof MOVE>;

const format = word(['raw', 'qcow2']);
export type ImageFormat = Of<typeof format>;
const volumeId = text() as Shape<VolumeId>;
const poolId = text() as Shape<PoolId | ''>;
const named = { id: volumeId, name: text(), universe: integer() };

/** Target of a copy. */
const TARGET = variants('kind', {
  /** A new volume, in the pool of the record. */
  volume: named,
  /** An image that is not in the pool of its volume. The job makes the image (`isNew`) or refreshes it. */
  image: { ...named, refresh: text(), isNew: flag() },
  /**
   * A volume that gets the content of its image in another pool. `keptId` is the id of the snapshot that keeps the volume's old content.
   */
  restore: { ...named, keptId: text() },
  file: { path: text(), format, isForced: flag() },
  nbd: { uri: text() },
});
export type CopyTarget = Of<typeof TARGET>;

/** Source of an import. The kind `file` with the format raw may also be a block device. */
const SOURCE = variants('kind', { file: { path: text(), format }, nbd: { uri: text() } });
export type ImportedFrom = Of<typeof SOURCE>;

/** The volume that an import makes. The id of this volume is the job's `volumeId`. */
const IMPORT = object({ source: SOURCE, name: text(), universe: integer(), blockSizeBytes: oneOf(512, 4096) });
export type ImportState = Of<typeof IMPORT>;

const END = variants('kind', { done: {}, cancelled: {}, failed: { reason: text() } });
export type CopyEnd = Of<typeof END>;

/** Progress of a copy. A stamp identifies a file independently of its path. */
const COPY = object({
  target: TARGET,
  /** Name of the copied snapshot. */
  snapshot: text(),
  /** Null until the snapshot is known to exist. */
  snapshotId: textOrNull,
  /** True if the job makes the snapshot, and removes it at the end. */
  isOwn: flag(),
  /** Stamp of the file that gets the copy: the data of the volume, or the file at `part`. */
  copyStamp: textOrNull,
  /**
   * Key of the content with which the copy began. An image had this content at its last refresh. Null or absent if the copy began with
   * zeros.
   */
  base: optional(textOrNull),
  /** Before this offset, the copy is complete and durable. */
  positionBytes: integer(),
  /** Temporary path of the target file. */
  part: textOrNull,
  /** Result of the copy. Null until the copy has ended and the job only has to clean up. */
  end: orNull(END),
});
export type CopyState = Of<typeof COPY>;

/** State of a job. `cancelling` means that the job was cancelled and still has to undo its work. */
const state = word(['waiting', 'running', 'cancelling', 'done', 'failed', 'cancelled']);
export type JobState = Of<typeof state>;

const FIELDS = object({
  /** Id of the job: a small number as a text. The id of a job is never used again. */
  id: text(),
  kind: word(['move', 'copy', 'import']),
  volumeId,
  /** Name of the volume when the job began. */
  name: text(),
  universe: integer(),
  /**
   * Names and ids of the source pool (`from`) and of the target pool (`to`). If a copy makes no volume, `to` is the path or the URI of the
   * target, and `toId` is empty.
   */
  from: text(),
  fromId: poolId,
  to: text(),
  toId: poolId,
  /** Client that asked for the job; null for an administrator on the server. */
  by: textOrNull,
  createdMs: integer(),
  endedMs: orNull(integer()),
  state,
  /** Reason why the job waits or has failed. */
  reason: textOrNull,
  limitBytes: orNull(integer()),
  /** Number of rounds that a move has completed. */
  rounds: integer(),
  doneBytes: integer(),
  totalBytes: integer(),
  move: orNull(MOVE),
  /** Id of the volume's home pool, if the job moves only files of a volume over several pools. Absent if the whole volume moves. */
  homeId: optional(poolId),
  /** Progress of a copy. Only the records of copies have this field. */
  copy: optional(COPY),
  /** Only the records of imports have this field. In these records, `from` is the path or the URI of the source, and `fromId` is empty. */
  import: optional(IMPORT),
  /** Stamp of the request that began the job (C4); null or absent if the stamp is not known. */
  request: optional(textOrNull),
});
export type JobRecord = Of<typeof FIELDS>;

const JOB = checked(FIELDS, ({ kind, copy, import: imported }) =>
  (copy !== undefined) === (kind === 'copy') && (imported !== undefined) === (kind === 'import')
    ? null
    : `does not say what the ${kind} does`,
);

export const JOBS_CONTENT = object({ lastId: integer(), jobs: atMost(JOBS_OPEN_MAX + JOBS_KEPT_MAX, list(JOB)) });
export type JobsContent = Of<typeof JOBS_CONTENT>;

/** Throws E_INTERNAL if the job is not an import. */
export function importOf({ id, import: imported }: JobRecord): ImportState {
  if (imported !== undefined) return imported;
  throw new RsError('E_INTERNAL', `Job ${id} is no import`);
}
