// What the server remembers of a job, in STATE/jobs.json. Pure: jobs.ts reads and writes the file. Invariant: what the server writes, it
// reads again with the same meaning.

import { RsError } from '@rsio/common/lib/errors';
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
  text,
  variants,
  word,
} from '@rsio/common/lib/shape';
import { JOBS_KEPT_MAX, JOBS_OPEN_MAX } from './limits.ts';

const textOrNull = orNull(text());

/** What a move remembers of its files. A stamp names one file, whatever its path. */
const MOVE = object({
  copyStamp: textOrNull,
  baseStamp: textOrNull,
  nextStamp: textOrNull,
  /** Of what differs between `base` and `next`, the copy has everything before this offset. */
  positionBytes: integer(),
});
export type MoveState = Of<typeof MOVE>;

const format = word(['raw', 'qcow2']);
export type ImageFormat = Of<typeof format>;
const named = { id: text(), name: text(), universe: integer() };

/** Where a copy goes. */
const TARGET = variants('kind', {
  /** A new volume, in the pool of the record. */
  volume: named,
  /** An image in another pool than its volume, new or refreshed. */
  image: { ...named, refresh: text(), isNew: flag() },
  /** A volume that gets the content of its image in another pool. `keptId`: of the snapshot that its content before becomes. */
  restore: { ...named, keptId: text() },
  file: { path: text(), format, isForced: flag() },
  nbd: { uri: text() },
});
export type CopyTarget = Of<typeof TARGET>;

/** What is imported. A raw file may also be a block device. */
const SOURCE = variants('kind', { file: { path: text(), format }, nbd: { uri: text() } });
export type ImportedFrom = Of<typeof SOURCE>;

/** The volume that an import makes. Its id is that of the job's volume. */
const IMPORT = object({ source: SOURCE, name: text(), universe: integer(), blockSizeBytes: oneOf(512, 4096) });
export type ImportState = Of<typeof IMPORT>;

const END = variants('kind', { done: {}, cancelled: {}, failed: { reason: text() } });
export type CopyEnd = Of<typeof END>;

/** What a copy remembers. A stamp names one file, whatever its path. */
const COPY = object({
  target: TARGET,
  /** Name of the snapshot that it copies. */
  snapshot: text(),
  /** Null: the snapshot is not known to exist yet. */
  snapshotId: textOrNull,
  /** The job makes the snapshot, and removes it. */
  isOwn: flag(),
  /** The file with what is copied: of the new volume, or under its temporary name. */
  copyStamp: textOrNull,
  /** What the copy began as: the content of an image at its last refresh; null or absent: zeros. */
  base: optional(textOrNull),
  /** The new volume has everything before this offset, durably. */
  positionBytes: integer(),
  /** Temporary name of the file. */
  part: textOrNull,
  /** How the copy has ended. What is left then is to clean up. */
  end: orNull(END),
});
export type CopyState = Of<typeof COPY>;

/** `cancelling`: it is to end, and undoes what it has done. */
const state = word(['waiting', 'running', 'cancelling', 'done', 'failed', 'cancelled']);
export type JobState = Of<typeof state>;

const FIELDS = object({
  /** A small number as a text, used once. */
  id: text(),
  kind: word(['move', 'copy', 'import']),
  volumeId: text(),
  /** The volume as it was named when the job began. */
  name: text(),
  universe: integer(),
  /** Names and ids of the pools. Of a copy that makes no volume, `to` is the path or the URI, and `toId` is empty. */
  from: text(),
  fromId: text(),
  to: text(),
  toId: text(),
  /** Client that asked for it; null for an administrator on the server. */
  by: textOrNull,
  createdMs: integer(),
  endedMs: orNull(integer()),
  state,
  /** Why it waits or has failed. */
  reason: textOrNull,
  limitBytes: orNull(integer()),
  /** Number of times that it has copied what differs. */
  rounds: integer(),
  doneBytes: integer(),
  totalBytes: integer(),
  move: orNull(MOVE),
  /** Of a move of files of a volume over several pools: id of the pool that has its manifest. Absent: the volume moves. */
  homeId: optional(text()),
  /** Only in the records of copies. */
  copy: optional(COPY),
  /** Only in the records of imports. `from` is the path or the URI, and `fromId` is empty. */
  import: optional(IMPORT),
  /** Stamp of the request that began it (C4); null or absent: none is known. */
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

/** Throws E_INTERNAL unless it is the record of an import. */
export function importOf({ id, import: imported }: JobRecord): ImportState {
  if (imported !== undefined) return imported;
  throw new RsError('E_INTERNAL', `Job ${id} is no import`);
}
