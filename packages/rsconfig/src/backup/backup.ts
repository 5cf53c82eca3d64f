// Makes a full or an incremental backup of a snapshot, and restores a backup to a volume. The snapshot is read from rsiod over NBD; qemu's
// programs write and read the backup files. The format is qcow2, and qemu's programs write it, so that a backup can be read without RSIO.
// Invariants: a backup gets its final name only after qemu-img has checked it. A volume is written to only while no program uses it, and is
// flushed before the command reports success. Until all other blocks of the backup are durable, the volume begins with a mark, so that no
// program takes a part of a backup for the whole one, or the volume for an empty one.

import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { AttachmentView } from '@rsio/api/rsiod/methods';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { count, orNull, text, type ValuesOf } from '@rsio/base/lib/shape';
import { RESTORE_MARK_BYTES, restoreMark } from '@rsio/base/lib/restore-mark';
import { exportName, servedNameParts, volumeLabel } from '@rsio/base/lib/volume-name';
import { type CommandWork, withWork } from '../cli/command-work.ts';
import type { CommandContext } from '../cli/context.ts';
import { type BackupChain, chainNode, chainUri, readChain } from './backup-chain.ts';
import { backupFile, beginBackup, endBackup, fileVolume } from './backup-files.ts';
import type { RunMark } from './backup-record.ts';
import { copyChanges } from './copy-changes.ts';
import { LinkCheck, uncomparedIn } from './link-check.ts';
import { PIECE_BYTES } from '../limits.ts';
import { NbdClient } from './nbd-client.ts';
import { exportOptions, exportUri, qemuImg, qemuImgIn, qemuImgShown, withImage } from './qemu-tools.ts';

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

type Context = Pick<CommandContext, 'call' | 'clock' | 'paths' | 'note' | 'waiting' | 'newId'>;

/** Backs up an attached snapshot. Throws E_EXISTS, E_SYSTEM, E_USAGE and E_UNKNOWN_SNAPSHOT. */
export async function backUp(context: Context, snapshot: AttachmentView, request: BackupRequest): Promise<Backup> {
  const said = { kind: 'backup' as const, name: volumeLabel(snapshot), about: `to ${request.directory}` };
  return await withWork(context, said, (work) => backUpTo(context, snapshot, request, work));
}

async function backUpTo(context: Context, snapshot: AttachmentView, request: BackupRequest, work: CommandWork): Promise<Backup> {
  const { volume, snapshot: ownName } = servedNameParts(snapshot.name);
  if (ownName === null) throw new RsError('E_USAGE', `${volumeLabel(snapshot)} is a volume, not a snapshot`);
  const named = fileVolume({ name: volume, universe: snapshot.universe });
  const file = backupFile(request.directory, named, ownName);
  const sizeBytes = snapshot.blocks * snapshot.blockSizeBytes;
  const baseFile = request.since === null ? null : backupFile(request.directory, named, request.since);
  if (baseFile === null) work.plan(sizeBytes);
  if (request.verifies) work.plan(sizeBytes);
  const below = baseFile === null ? null : await readChain(baseFile, false);
  if (below !== null) await checkBase(context, below, request);
  const baseId = below?.records[0]?.snapshotId ?? null;
  const base = baseFile === null ? null : path.basename(baseFile);
  const uri = exportUri(context.paths.nbdSocket, exportName(snapshot));
  const part = await beginBackup(file, snapshot.id, context.note);
  try {
    let readBytes: number | null = null;
    if (base === null || baseId === null) await qemuImgShown(null, work.share(sizeBytes), 'convert', '-f', 'raw', '-O', 'qcow2', uri, part);
    else {
      // extended_l2 divides each cluster into subclusters of 2 KiB. Without subclusters, a small change would copy 64 KiB from the base.
      const options = 'cluster_size=64k,extended_l2=on';
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, '-b', base, '-F', 'qcow2', part, String(sizeBytes));
      readBytes = await addChanges(context, snapshot, baseId, part, work);
    }
    await qemuImg('check', '-q', '-f', 'qcow2', part);
    if (request.verifies) await qemuImgShown(null, work.share(sizeBytes), 'compare', '-f', 'qcow2', '-F', 'raw', part, uri);
    const about = { snapshot: volumeLabel(snapshot), snapshotId: snapshot.id, sizeBytes, base, baseId };
    await endBackup(part, file, { ...about, run: request.run });
    return { file, sizeBytes, readBytes, base };
  } catch (thrown) {
    await rm(part, { force: true });
    throw thrown;
  }
}

/**
 * Throws E_SYSTEM if a file of the chain on which an increment will stand is damaged. Files whose stamps are those of their records are read
 * only with --verify: otherwise, each increment would read the whole backup. `backup-run` has compared them before.
 */
async function checkBase({ note }: Context, below: BackupChain, { verifies, run }: BackupRequest): Promise<void> {
  if (run !== null) return;
  await new LinkCheck(!verifies).check(below);
  noteUncompared(note, below);
}

/** Says which files of the chain could not be compared with what they were when they were made. */
export function noteUncompared(note: (sentence: string) => void, chain: BackupChain): void {
  const names = uncomparedIn(chain);
  if (names.length === 0) return;
  const why = 'no description of a present rsconfig has their checksums';
  note(`${names.join(', ')} could not be compared with what was backed up, because ${why}: damage in their data would not be noticed`);
}

/** Writes the changes since the older snapshot into the backup file. Returns the number of bytes that were read. */
async function addChanges(
  { clock, paths }: Context,
  snapshot: AttachmentView,
  sinceId: string,
  part: string,
  work: CommandWork,
): Promise<number> {
  const source = await NbdClient.open(paths.nbdSocket, exportName(snapshot), `rsio:changed-since:${sinceId}`);
  try {
    return await withImage(part, clock, (image) => copyChanges(source, image, work));
  } finally {
    source.close();
  }
}

/** Compares a backup, read through its chain as a restore reads it, with the attached snapshot. Throws E_SYSTEM if they differ. */
export async function compareWith(
  { paths }: Pick<Context, 'paths'>,
  chain: BackupChain,
  snapshot: AttachmentView,
  work: CommandWork,
): Promise<void> {
  await qemuImgShown(
    chain.folder,
    work.share(chain.sizeBytes),
    'compare',
    '-F',
    'raw',
    chainUri(chain),
    exportUri(paths.nbdSocket, exportName(snapshot)),
  );
}

/**
 * Writes a backup to an attached volume. Throws E_USAGE if the volume is too small, and E_SYSTEM. The caller has compared the files of the
 * chain with their checksums.
 */
export async function writeBack(
  context: Context,
  chain: BackupChain,
  volume: AttachmentView,
  verifies: boolean,
  work: CommandWork,
): Promise<number> {
  const { folder, names, sizeBytes: imageBytes } = chain;
  const sizeBytes = volume.blocks * volume.blockSizeBytes;
  if (sizeBytes < imageBytes)
    throw new RsError('E_USAGE', `${volumeLabel(volume)} has ${sizeBytes} bytes, and the backup has ${imageBytes}: grow the volume first`);
  // Each file of the chain, because qemu-img checks only the first one of a chain.
  for (const name of names) await qemuImgIn(folder, 'check', '-q', chainUri({ names: [name] }));
  const { nbdSocket } = context.paths;
  const target = await NbdClient.open(nbdSocket, exportName(volume), null);
  try {
    const headBytes = Math.min(PIECE_BYTES, imageBytes);
    const markBytes = Math.min(RESTORE_MARK_BYTES, imageBytes);
    // The mark is durable before anything else of the old content is overwritten, and until all of the new content is durable.
    await target.write(0, restoreMark().subarray(0, markBytes));
    await target.flush();
    if (headBytes > markBytes) await target.writeZeros(markBytes, headBytes - markBytes);
    await target.flush();
    const copy = (fromBytes: number, toBytes: number): Promise<void> =>
      copyBack(chain, nbdSocket, exportName(volume), [fromBytes, toBytes], work);
    await copy(headBytes, imageBytes);
    // If the volume is larger than the backup, the rest becomes zeros, because the old content must not remain.
    for (let at = imageBytes; at < sizeBytes; at += PIECE_BYTES) await target.writeZeros(at, Math.min(PIECE_BYTES, sizeBytes - at));
    await target.flush();
    await copy(markBytes, headBytes);
    await target.flush();
    await copy(0, markBytes);
    await target.flush();
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    throw new RsError(code, `${message}; ${volumeLabel(volume)} has only a part of the backup: restore it again`, {}, thrown);
  } finally {
    target.close();
  }
  const uri = exportUri(nbdSocket, exportName(volume));
  if (verifies) await qemuImgShown(folder, work.share(imageBytes), 'compare', '-F', 'raw', chainUri(chain), uri);
  return imageBytes;
}

/** Copies one range of a backup to the same range of an export. */
async function copyBack(
  chain: BackupChain,
  socket: string,
  name: string,
  [fromBytes, toBytes]: readonly [number, number],
  work: CommandWork,
): Promise<void> {
  if (fromBytes === toBytes) return;
  const range = { driver: 'raw', offset: fromBytes, size: toBytes - fromBytes };
  const source = `json:${JSON.stringify({ ...range, file: chainNode(chain) })}`;
  const target = exportOptions(range, socket, name);
  await qemuImgShown(chain.folder, work.share(toBytes - fromBytes), 'convert', '-n', '--target-image-opts', source, target);
}
