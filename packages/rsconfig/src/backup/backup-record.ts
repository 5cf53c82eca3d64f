// Reads and writes the record of a backup. The record of the backup FILE is the file FILE.json beside it. A qcow2 file names its base by a
// file name, which another backup may get. Invariants: the id of the snapshot, not its name, identifies the content of a backup; the base
// is a plain file name in the same folder; an unusable record is an error and never counts as missing.

import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile } from '@rsio/base/files/durable-write';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { accepts, count, integer, number, object, type Of, optional, orNull, text, textThat, word } from '@rsio/base/lib/shape';
import { RECORD_MAX_BYTES } from '../limits.ts';

const RUN = object({
  /** Id of the volume or mirror. A later volume of the same name has another id. */
  volumeId: text(),
  /** A later run has a higher number, whatever the clock says. */
  number: count(),
  /** Time at which the snapshot was made. */
  madeMs: number(),
  /** Id of the request for the snapshot. The server answers a repeated request with the snapshot that it has made. */
  request: text(),
  /**
   * `asking`: the snapshot is being made, and its id is not known yet; `making`: the snapshot exists, and the file is being made;
   * `removing`: the file and the snapshot are being removed.
   */
  state: word(['asking', 'making', 'made', 'removing']),
});

/** What the record of a backup says that `backup-run` makes. Only such backups, and their snapshots, may a later run remove. */
export type RunMark = Of<typeof RUN>;

const RECORD = object({
  /** Label of the snapshot, such as `osl:oracle@0@monday`. */
  snapshot: text(),
  /** Empty in the state `asking`. */
  snapshotId: text(),
  sizeBytes: integer(),
  /** File name of the earlier backup on which this incremental backup is based; null for a full backup. */
  base: orNull(textThat(isPlainName, 'a plain name')),
  /** Id of the snapshot in the base; null for a full backup, and in records of older releases. */
  baseId: optional(orNull(text())),
  /** Length and SHA-256 (in hexadecimal) of the file when it was made; null in records of older releases. */
  fileBytes: optional(orNull(integer())),
  sha256: optional(orNull(text())),
  /** Stamp of the file when its checksum was computed (link-check.ts); null in records of older releases. */
  stamp: optional(orNull(text())),
  /** Null if `rsconfig backup` made the file. */
  run: optional(orNull(RUN)),
});

export type BackupRecord = Required<Of<typeof RECORD>>;

export function recordFile(file: string): string {
  return `${file}.json`;
}

/** Replaces the record of the backup durably. */
export async function writeRecord(file: string, record: BackupRecord): Promise<void> {
  await replaceFile(recordFile(file), `${JSON.stringify(record, null, 2)}\n`);
}

/** Resolves with null if the backup has no record. Throws E_USAGE if the record is unusable. */
export async function readRecord(file: string): Promise<BackupRecord | null> {
  const place = recordFile(file);
  try {
    // A symbolic link could lead to a device from which reading never ends.
    const found = await lstat(place);
    const record = !found.isFile() || found.size > RECORD_MAX_BYTES ? null : recordOf(JSON.parse(await readFile(place, 'utf8')));
    if (record !== null) return record;
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return null;
    if (!(thrown instanceof SyntaxError)) throw thrown;
  }
  throw new RsError('E_USAGE', `${place} does not describe a backup: bring the former one back, or make a full backup`);
}

/** A name with a colon is refused, because qemu would interpret it as a protocol and an address. */
function isPlainName(base: string): boolean {
  return path.basename(base) === base && !base.includes(':') && escapeControls(base) === base;
}

function recordOf(value: unknown): BackupRecord | null {
  // A state that only a later release knows must not count as one in which a run was interrupted.
  if (!accepts(RECORD)(value)) return null;
  const { snapshot, snapshotId, sizeBytes, base, baseId = null, fileBytes = null, sha256 = null, stamp = null, run = null } = value;
  return base === null && baseId !== null ? null : { snapshot, snapshotId, sizeBytes, base, baseId, fileBytes, sha256, stamp, run };
}
