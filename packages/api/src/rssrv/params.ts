// The parameters that several methods of rssrv share.
// Invariant: a parameter with the same name has the same meaning in all methods.

import { NAME_MAX_BYTES, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { OLDER_MAX_MS } from '@rsio/common/control/limits';
import type { Param } from '@rsio/common/control/method-table';
import { filledText, list, object, orNull, whole, word } from '@rsio/base/lib/shape';

const NAMES_OR_NULL = orNull(list(filledText()));

export const poolOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a pool or null', default: null };
/** For a volume of several files: the pool of each file, in the order of the files. */
export const poolsOrNull: Param<readonly string[] | null | undefined> = {
  shape: NAMES_OR_NULL,
  what: 'a list of pool names or null',
  default: null,
};
/** For a striped volume, the size of its chunks, which are distributed over the files round robin; null if the files are concatenated. */
export const chunkBytes: Param<number | null | undefined> = {
  shape: orNull(whole(1, VOLUME_MAX_BYTES)),
  what: 'a size in bytes or null',
  default: null,
};
/** For the growth of a volume over several pools: the pool of the new part; null for the pool of the last file. */
export const goesOnIn: Param<string | null | undefined> = {
  shape: orNull(filledText()),
  what: 'the name of a pool or null',
  default: null,
};
/** Id of the mirror whose replica is grown; null if the volume is not a replica. */
export const ofMirror: Param<string | null | undefined> = {
  shape: orNull(filledText()),
  what: 'the id of a mirror or null',
  default: null,
};
export const poolName: Param<string> = { shape: filledText(), what: 'the name of a pool' };
/** A volume that a list is narrowed to; null for all. */
export const volumeOrNull: Param<{ readonly name: string; readonly universe: number } | null> = {
  shape: orNull(object({ name: filledText(), universe: whole(0, UNIVERSE_MAX) })),
  what: 'an object with name and universe, or null',
  default: null,
};
/** Destination of an export. */
export const copyTarget: Param<string> = { shape: filledText(), what: 'an absolute path or an NBD URI' };
export const importSource: Param<string> = { shape: filledText(), what: 'an absolute path or an NBD URI' };
/** Format of an image file. If the format is null, the suffix of the file name determines the format. */
export const imageFormat: Param<'raw' | 'qcow2' | null> = {
  shape: orNull(word(['raw', 'qcow2'])),
  what: 'raw, qcow2 or null',
  default: null,
};
export const jobId: Param<string> = { shape: filledText(), what: 'the id of a job' };
export const jobIdOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the id of a job or null', default: null };
/** Limit on the rate of a job, in bytes per second; null for no limit. */
export const bytesPerSecond: Param<number | null> = {
  shape: orNull(whole(1, VOLUME_MAX_BYTES)),
  what: 'a number of bytes in a second or null',
  default: null,
};
export const volumeName: Param<string> = { shape: filledText(), what: `the name of a volume, at most ${NAME_MAX_BYTES} characters` };
/** Name of a removed volume; null for all removed volumes. */
export const removedName: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a volume or null', default: null };
/** The id of one removed volume. A name is not enough, because several removed volumes may have the same name. */
export const removedId: Param<string | null> = { shape: orNull(filledText()), what: 'the id of a removed volume or null', default: null };
/** Selects volumes that were removed at least this long ago; 0 selects all removed volumes. */
export const olderMs: Param<number> = { shape: whole(0, OLDER_MAX_MS), what: `a time in ms, at most ${OLDER_MAX_MS}`, default: 0 };
/** The name of a snapshot without the name of its volume. */
export const snapshotName: Param<string> = { shape: filledText(), what: `the name of a snapshot, at most ${NAME_MAX_BYTES} characters` };
/** A UUID. Each server derives the id of the snapshot from this UUID and the id of the mirror, so that all servers get the same id. */
export const snapshotId: Param<string> = { shape: filledText(), what: 'a UUID of the request' };
/** The id of the only snapshot that a request may remove. A name is not enough, because a later snapshot may have the same name. */
export const onlyId: Param<string | null | undefined> = {
  shape: orNull(filledText()),
  what: 'the id of a snapshot or null',
  default: null,
};
export const mirrorId: Param<string> = { shape: filledText(), what: 'the id of a mirror' };
/** Number of a term, or of a moment within a term. */
export const momentNumber: Param<number> = { shape: whole(1, Number.MAX_SAFE_INTEGER), what: 'a whole number above 0' };
/** Name of a snapshot; null for the current content of the volume. */
export const snapshotOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a snapshot or null', default: null };
/** Offset in bytes of the requested part of an answer. */
export const offsetBytes: Param<number> = { shape: whole(0, VOLUME_MAX_BYTES), what: 'a number of bytes', default: 0 };
/** Snapshots to make, with their volumes. */
export const newSnapshots: Param<readonly { readonly name: string; readonly universe: number; readonly snapshot: string }[]> = {
  shape: list(object({ name: filledText(), universe: whole(0, UNIVERSE_MAX), snapshot: filledText() })),
  what: 'a list of objects with name, universe and snapshot',
};
export const volumeNames: Param<readonly { readonly name: string; readonly universe: number }[]> = {
  shape: list(object({ name: filledText(), universe: whole(0, UNIVERSE_MAX) })),
  what: 'a list of objects with name and universe',
};
export const universe: Param<number> = { shape: whole(0, UNIVERSE_MAX), what: `a whole number from 0 to ${UNIVERSE_MAX}`, default: 0 };
export const sizeBytes: Param<number> = { shape: whole(1, VOLUME_MAX_BYTES), what: 'a size in bytes' };
/**
 * Id that the calling program makes for a change. If a request with the same id arrives again, the server repeats its answer and executes
 * nothing.
 */
export const request: Param<string | null> = { shape: orNull(filledText()), what: 'an id of at most 64 characters or null', default: null };
export const clients: Param<readonly string[] | null> = { shape: NAMES_OR_NULL, what: 'a list of client names or null', default: null };
export const blockSize: Param<number> = { shape: whole(512, 4096), what: '512 or 4096', default: 512 };

export const settings: Param<readonly string[]> = { shape: list(filledText()), what: 'a list of KEY=VALUE' };
/** I/O limits of a new volume. */
export const newSettings: Param<readonly string[] | undefined> = {
  shape: list(filledText()),
  what: 'a list of KEY=VALUE, KEY being iops, bandwidth or burst',
  default: [],
};
