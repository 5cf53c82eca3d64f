// Reads and writes the record of a backup. The record of the backup FILE is the file FILE.json beside it. Invariants: the id of the
// snapshot, not its name, identifies the content of a backup; the base is a plain file name in the same folder; an unusable record is an
// error and never counts as missing.

import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile } from '@rsio/common/files/durable-write';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { escapeControls } from '@rsio/common/lib/printable';
import { count, integer, misfit, number, object, type Of, optional, orNull, text, textThat, word } from '@rsio/common/lib/shape';
import { RECORD_MAX_BYTES } from '../limits.ts';

/** What the record of a backup says that `backup-run` makes. Only such backups, and their snapshots, may a later run remove. */
export interface RunMark {
  /** Id of the volume or mirror. */
  readonly volumeId: string;
  /** A later run of the same volume has a higher number. */
  readonly number: number;
  /** Time at which the snapshot was made. */
  readonly madeMs: number;
  /** Id of the request for the snapshot. The server answers a repeated request with the snapshot that it has made. */
  readonly request: string;
  /**
   * `asking`: the snapshot is being made, and its id is not known yet; `making`: the snapshot exists, and the file is being made;
   * `removing`: the file and the snapshot are being removed.
   */
  readonly state: (typeof STATES)[number];
}

export interface BackupRecord {
  /** Label of the snapshot, such as `osl:oracle@0@monday`. */
  readonly snapshot: string;
  /** Empty in the state `asking`. */
  readonly snapshotId: string;
  readonly sizeBytes: number;
  /** File name of the earlier backup on which this incremental backup is based; null for a full backup. */
  readonly base: string | null;
  /** Id of the snapshot in the base; null for a full backup, and in records of older releases. */
  readonly baseId: string | null;
  /** SHA-256 of the file, in hexadecimal; null if it was not computed. */
  readonly sha256: string | null;
  /** Null if `rsconfig backup` made the file. */
  readonly run: RunMark | null;
}

const STATES = ['asking', 'making', 'made', 'removing'] as const;

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

const RECORD = object({
  snapshot: text(),
  snapshotId: text(),
  sizeBytes: integer(),
  base: orNull(textThat(isPlainName, 'a plain name')),
  baseId: optional(orNull(text())),
  sha256: optional(orNull(text())),
  run: optional(orNull(object({ volumeId: text(), number: count(), madeMs: number(), request: text(), state: word(STATES) }))),
});

function recordOf(value: unknown): BackupRecord | null {
  if (misfit(RECORD, value) !== null) return null;
  const { snapshot, snapshotId, sizeBytes, base, baseId = null, sha256 = null, run = null } = value as Of<typeof RECORD>;
  return base === null && baseId !== null ? null : { snapshot, snapshotId, sizeBytes, base, baseId, sha256, run };
}
