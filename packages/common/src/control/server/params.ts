// The parameters that several methods of rssrv take. The tables of methods use them. Invariant: a parameter with one name has one meaning in
// all methods.

import { NAME_MAX_BYTES, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '../../lib/limits.ts';
import { OLDER_MAX_MS } from '../limits.ts';
import type { Param } from '../method-table.ts';
import { filledText, list, object, orNull, whole, word } from '../../lib/shape.ts';

const NAMES_OR_NULL = orNull(list(filledText()));

export const poolOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a pool or null', default: null };
/** The pools of the files of a volume that has several, in the order of the files. */
export const poolsOrNull: Param<readonly string[] | null | undefined> = {
  shape: NAMES_OR_NULL,
  what: 'a list of pool names or null',
  default: null,
};
/** Null: the files follow one another. Else chunks of this size go to the files in turn. */
export const chunkBytes: Param<number | null | undefined> = {
  shape: orNull(whole(1, VOLUME_MAX_BYTES)),
  what: 'a size in bytes or null',
  default: null,
};
/** The pool in which a volume over several pools goes on; null: where it ends. */
export const goesOnIn: Param<string | null | undefined> = {
  shape: orNull(filledText()),
  what: 'the name of a pool or null',
  default: null,
};
/** The mirror that grows its replica; null: a plain volume is grown. */
export const ofMirror: Param<string | null | undefined> = {
  shape: orNull(filledText()),
  what: 'the id of a mirror or null',
  default: null,
};
export const poolName: Param<string> = { shape: filledText(), what: 'the name of a pool' };
/** Where a copy goes that makes no volume. */
export const copyTarget: Param<string> = { shape: filledText(), what: 'an absolute path or an NBD URI' };
export const importSource: Param<string> = { shape: filledText(), what: 'an absolute path or an NBD URI' };
/** Null: as the suffix of the file says. */
export const imageFormat: Param<'raw' | 'qcow2' | null> = {
  shape: orNull(word(['raw', 'qcow2'])),
  what: 'raw, qcow2 or null',
  default: null,
};
export const jobId: Param<string> = { shape: filledText(), what: 'the id of a job' };
export const jobIdOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the id of a job or null', default: null };
/** Null: no limit. */
export const bytesPerSecond: Param<number | null> = {
  shape: orNull(whole(1, VOLUME_MAX_BYTES)),
  what: 'a number of bytes in a second or null',
  default: null,
};
export const volumeName: Param<string> = { shape: filledText(), what: `the name of a volume, at most ${NAME_MAX_BYTES} characters` };
/** Null: every removed volume. */
export const removedName: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a volume or null', default: null };
/** The id of one removed volume, because several may have one name. */
export const removedId: Param<string | null> = { shape: orNull(filledText()), what: 'the id of a removed volume or null', default: null };
/** Only volumes that were removed so long ago; 0: all. */
export const olderMs: Param<number> = { shape: whole(0, OLDER_MAX_MS), what: `a time in ms, at most ${OLDER_MAX_MS}`, default: 0 };
/** The name of a snapshot without that of its volume. */
export const snapshotName: Param<string> = { shape: filledText(), what: `the name of a snapshot, at most ${NAME_MAX_BYTES} characters` };
/** From it and the id of the mirror, all servers make the same id of the snapshot. */
export const snapshotId: Param<string> = { shape: filledText(), what: 'a UUID of the request' };
export const mirrorId: Param<string> = { shape: filledText(), what: 'the id of a mirror' };
/** Of a term, or of a moment in it. */
export const momentNumber: Param<number> = { shape: whole(1, Number.MAX_SAFE_INTEGER), what: 'a whole number above 0' };
/** Null: now. */
export const snapshotOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a snapshot or null', default: null };
/** Where a part of an answer begins. */
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
 * An id that the program makes for a change. If the program sends the request again with the same id, the server answers as before and does
 * not execute it twice.
 */
export const request: Param<string | null> = { shape: orNull(filledText()), what: 'an id of at most 64 characters or null', default: null };
export const clients: Param<readonly string[] | null> = { shape: NAMES_OR_NULL, what: 'a list of client names or null', default: null };
export const blockSize: Param<number> = { shape: whole(512, 4096), what: '512 or 4096', default: 512 };

export const settings: Param<readonly string[]> = { shape: list(filledText()), what: 'a list of KEY=VALUE' };
/** Limits of the I/O of a new volume. */
export const newSettings: Param<readonly string[] | undefined> = {
  shape: list(filledText()),
  what: 'a list of KEY=VALUE, KEY being iops, bandwidth or burst',
  default: [],
};
