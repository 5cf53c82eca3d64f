// The description of a backup, in FILE.json beside the file. Invariants: the id of a snapshot, not its name, tells of what a backup is; a base is a
// plain name in the same folder; a description that cannot be used is an error, and never taken for a missing one.

import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { escapeControls } from '@rsio/common/lib/printable';
import { integer, misfit, object, type Of, optional, orNull, text, textThat } from '@rsio/common/lib/shape';
import { RECORD_MAX_BYTES } from './limits.ts';

/** What is known of a backup. */
export interface BackupRecord {
  /** Such as `osl:oracle@0@monday`. */
  readonly snapshot: string;
  readonly snapshotId: string;
  readonly sizeBytes: number;
  /** Name of the file of the backup before, on which this one stands; null for a full backup. */
  readonly base: string | null;
  /** Id of the snapshot of which the base is a backup; null for a full backup, and if an rsconfig that did not note it made the backup. */
  readonly baseId: string | null;
}

export function recordFile(file: string): string {
  return `${file}.json`;
}

/** Resolves with null if the backup has no description. Throws E_USAGE if it has a wrong one. */
export async function readRecord(file: string): Promise<BackupRecord | null> {
  const place = recordFile(file);
  try {
    // A link could lead to a device that never ends.
    const found = await lstat(place);
    const record = !found.isFile() || found.size > RECORD_MAX_BYTES ? null : recordOf(JSON.parse(await readFile(place, 'utf8')));
    if (record !== null) return record;
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return null;
    if (!(thrown instanceof SyntaxError)) throw thrown;
  }
  throw new RsError('E_USAGE', `${place} does not describe a backup: bring the former one back, or make a full backup`);
}

/** For qemu, a colon begins the rest of an address. */
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
