// Reads and writes the record of a backup. The record of the backup FILE is the file FILE.json beside it. Invariants: the id of the
// snapshot, not its name, identifies the content of a backup; the base is a plain file name in the same folder; an unusable record is an
// error and never counts as missing.

import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { escapeControls } from '@rsio/common/lib/printable';
import { integer, misfit, object, type Of, optional, orNull, text, textThat } from '@rsio/common/lib/shape';
import { RECORD_MAX_BYTES } from '../limits.ts';

export interface BackupRecord {
  /** Label of the snapshot, such as `osl:oracle@0@monday`. */
  readonly snapshot: string;
  readonly snapshotId: string;
  readonly sizeBytes: number;
  /** File name of the earlier backup on which this incremental backup is based; null for a full backup. */
  readonly base: string | null;
  /** Id of the snapshot in the base; null for a full backup, and in records of older releases. */
  readonly baseId: string | null;
}

export function recordFile(file: string): string {
  return `${file}.json`;
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
});

function recordOf(value: unknown): BackupRecord | null {
  if (misfit(RECORD, value) !== null) return null;
  const { snapshot, snapshotId, sizeBytes, base, baseId = null } = value as Of<typeof RECORD>;
  return base === null && baseId !== null ? null : { snapshot, snapshotId, sizeBytes, base, baseId };
}
