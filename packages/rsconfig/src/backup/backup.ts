// Makes a full or an incremental backup of a snapshot, and restores a backup to a volume. The snapshot is read from rsiod over NBD; qemu's
// programs write and read the backup files. Invariants: a backup gets its final name only after qemu-img has checked it. A volume is
// written to only while no program uses it, and is flushed before the command reports success.

import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { AttachmentView } from '@rsio/common/control/methods';
import { sha256Of } from '@rsio/common/files/sha256';
import { RsError } from '@rsio/common/lib/errors';
import { count, orNull, text, type ValuesOf } from '@rsio/common/lib/shape';
import { exportName, servedNameParts, volumeLabel } from '@rsio/common/lib/volume-name';
import type { CommandContext } from '../cli/context.ts';
import { type BackupChain, chainUri, readChain } from './backup-chain.ts';
import { backupFile, beginBackup, endBackup, fileVolume } from './backup-files.ts';
import type { RunMark } from './backup-record.ts';
import { copyChanges } from './copy-changes.ts';
import { PIECE_BYTES } from '../limits.ts';
import { NbdClient } from './nbd-client.ts';
import { exportUri, qemuImg, qemuImgIn, withImage } from './qemu-tools.ts';

export interface BackupRequest {
  readonly directory: string;
  /** Name of the snapshot in the base of an incremental backup; null for a full backup. */
  readonly since: string | null;
  /** True if the finished backup must be compared with the snapshot. */
  readonly verifies: boolean;
  /** Null unless `backup-run` makes the backup. */
  readonly run: RunMark | null;
}

/** What the commands print about a backup. */
export const BACKUP_MADE = {
  file: text(),
  sizeBytes: count('Size of the volume in the snapshot'),
  readBytes: orNull(count('Bytes that have changed and were read; null: all of it was copied')),
  base: orNull(text(), 'Name of the file on which it stands; null: none'),
};

export type Backup = ValuesOf<typeof BACKUP_MADE>;

type Context = Pick<CommandContext, 'call' | 'clock' | 'paths' | 'note'>;

/** Backs up an attached snapshot. Throws E_EXISTS, E_SYSTEM, E_USAGE and E_UNKNOWN_SNAPSHOT. */
export async function backUp(context: Context, snapshot: AttachmentView, request: BackupRequest): Promise<Backup> {
  const { volume, snapshot: ownName } = servedNameParts(snapshot.name);
  if (ownName === null) throw new RsError('E_USAGE', `${volumeLabel(snapshot)} is a volume, not a snapshot`);
  const named = fileVolume({ name: volume, universe: snapshot.universe });
  const file = backupFile(request.directory, named, ownName);
  const sizeBytes = snapshot.blocks * snapshot.blockSizeBytes;
  const baseFile = request.since === null ? null : backupFile(request.directory, named, request.since);
  const baseId = baseFile === null ? null : ((await readChain(baseFile, false)).record?.snapshotId ?? null);
  const base = baseFile === null ? null : path.basename(baseFile);
  const uri = exportUri(context.paths.nbdSocket, exportName(snapshot));
  const part = await beginBackup(file, snapshot.id, context.note);
  try {
    let readBytes: number | null = null;
    if (base === null || baseId === null) await qemuImg('convert', '-q', '-f', 'raw', '-O', 'qcow2', uri, part);
    else {
      // extended_l2 divides each cluster into subclusters of 2 KiB. Without subclusters, a small change would copy 64 KiB from the base.
      const options = 'cluster_size=64k,extended_l2=on';
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, '-b', base, '-F', 'qcow2', part, String(sizeBytes));
      readBytes = await addChanges(context, snapshot, baseId, part);
    }
    await qemuImg('check', '-q', '-f', 'qcow2', part);
    if (request.verifies) await qemuImg('compare', '-f', 'qcow2', '-F', 'raw', part, uri);
    const sha256 = request.verifies || request.run !== null ? await sha256Of(part) : null;
    const about = { snapshot: volumeLabel(snapshot), snapshotId: snapshot.id, sizeBytes, base, baseId };
    await endBackup(part, file, { ...about, sha256, run: request.run });
    return { file, sizeBytes, readBytes, base };
  } catch (thrown) {
    await rm(part, { force: true });
    throw thrown;
  }
}

/** Writes the changes since the older snapshot into the backup file. Returns the number of bytes that were read. */
async function addChanges({ clock, paths }: Context, snapshot: AttachmentView, sinceId: string, part: string): Promise<number> {
  const source = await NbdClient.open(paths.nbdSocket, exportName(snapshot), `rsio:changed-since:${sinceId}`);
  try {
    return await withImage(part, clock, (image) => copyChanges(source, image));
  } finally {
    source.close();
  }
}

/** Compares a backup, read through its chain as a restore reads it, with the attached snapshot. Throws E_SYSTEM if they differ. */
export async function compareWith({ paths }: Pick<Context, 'paths'>, chain: BackupChain, snapshot: AttachmentView): Promise<void> {
  await qemuImgIn(chain.folder, 'compare', '-F', 'raw', chainUri(chain), exportUri(paths.nbdSocket, exportName(snapshot)));
}

/** Writes a backup to an attached volume. Throws E_USAGE if the volume is too small, and E_SYSTEM. */
export async function writeBack(context: Context, chain: BackupChain, volume: AttachmentView, verifies: boolean): Promise<number> {
  const { folder, sizeBytes: imageBytes } = chain;
  const sizeBytes = volume.blocks * volume.blockSizeBytes;
  if (sizeBytes < imageBytes)
    throw new RsError('E_USAGE', `${volumeLabel(volume)} has ${sizeBytes} bytes, and the backup has ${imageBytes}: grow the volume first`);
  const uri = exportUri(context.paths.nbdSocket, exportName(volume));
  const source = chainUri(chain);
  await qemuImgIn(folder, 'check', '-q', source);
  await qemuImgIn(folder, 'convert', '-q', '-n', '-O', 'raw', source, uri);
  const target = await NbdClient.open(context.paths.nbdSocket, exportName(volume), null);
  try {
    // If the volume is larger than the backup, the rest becomes zeros, because the old content must not remain.
    for (let at = imageBytes; at < sizeBytes; at += PIECE_BYTES) await target.writeZeros(at, Math.min(PIECE_BYTES, sizeBytes - at));
    await target.flush();
  } finally {
    target.close();
  }
  if (verifies) await qemuImgIn(folder, 'compare', '-F', 'raw', source, uri);
  return imageBytes;
}
