// Makes, names and attaches the snapshots that the commands for backups read. Invariant: the snapshot of a backup is the one that the
// command has seen or made, by its id.

import type { AttachmentView } from '@rsio/api/rsiod/methods';
import type { SnapshotView } from '@rsio/api/views/views';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { parseVolumeName, servedNameParts } from '@rsio/base/lib/volume-name';
import type { VolumeTarget } from '@rsio/api/manage/volumes/door';
import { type Backup, type BackupRequest, backUp } from '../../backup/backup.ts';
import { fileVolume } from '../../backup/backup-files.ts';
import { type CommandContext, usageError } from '../../cli/context.ts';
import { withTriggers } from '../../freeze/client-triggers.ts';
import { findMirror } from '../server-volumes/find.ts';
import { placesWith } from '../server-volumes/mirror-target.ts';
import { whileAttached } from '../server-volumes/while-attached.ts';

/** Returns the name of a volume as in the names of its backups. `wanted`: what the person should give. Throws E_USAGE. */
export function volumeInFiles(name: string, wanted: string): string {
  const parts = parseVolumeName(name);
  if (parts === null || parts.snapshot !== null) throw usageError(`${name} is not the name of a volume: give ${wanted}`);
  return fileVolume({ name: parts.volume, universe: parts.universe ?? 0 });
}

/** Makes a snapshot of the volume; rsiod runs the triggers of this client. `request`: the id of the request. */
export async function makeSnapshot(context: CommandContext, at: VolumeTarget, snapshot: string, request: string): Promise<SnapshotView> {
  const { place, call, volume } = at;
  const triggered = withTriggers(context, String(place['namespace']), call);
  const { snapshots } = await triggered('volume-snapshot', { snapshots: [{ ...volume, snapshot }], request });
  const [made] = snapshots;
  if (made === undefined)
    throw new RsError('E_UNKNOWN_SNAPSHOT', `Snapshot ${snapshot} was made, and cannot be seen: back it up by its name`);
  return made;
}

/** Attaches the snapshot, backs it up, and reports this to rsiod. `id`: that of the snapshot; null if any snapshot of the name is meant. */
export async function backUpSnapshot(context: CommandContext, label: string, id: string | null, request: BackupRequest): Promise<Backup> {
  const server = request.since === null ? null : await serverWithBoth(context, label, request.since);
  return await whileAttached(context, label, { as: 'read', server, what: 'rsconfig backup' }, async (view) => {
    checkId(view, id, label);
    const made = await backUp(context, view, request);
    await note(context, view);
    return made;
  });
}

/** Throws E_UNKNOWN_SNAPSHOT if the attached snapshot is not the one with this id. */
export function checkId(view: AttachmentView, id: string | null, label: string): void {
  if (id !== null && view.id !== id)
    throw new RsError('E_UNKNOWN_SNAPSHOT', `Snapshot ${label} was replaced by another one meanwhile: try again`);
}

/**
 * Returns a server of a mirror that has both snapshots; null if the volume is not a mirror. Throws E_UNKNOWN_SNAPSHOT if no server has
 * both.
 */
async function serverWithBoth(context: CommandContext, label: string, since: string): Promise<string | null> {
  const { namespace, volume, universe, snapshot } = parseVolumeName(label) ?? {};
  if (volume === undefined || snapshot === undefined || snapshot === null) return null;
  const name = `${namespace === null || namespace === undefined ? '' : `${namespace}:`}${volume}@${universe ?? 0}`;
  const mirror = await findMirror(context, name);
  return mirror === null ? null : placesWith(mirror, name, [since, snapshot])[0].server;
}

/**
 * Reports the backup to rsiod, which remembers the time of each volume's last backup. Ignores an error, because the backup is already
 * complete.
 */
async function note(context: CommandContext, { namespace, name, universe }: AttachmentView): Promise<void> {
  const { volume, snapshot } = servedNameParts(name);
  try {
    if (snapshot !== null) await context.call('backup-done', { namespace, name: volume, universe, snapshot });
  } catch (thrown) {
    context.note(`rsiod does not know of the backup: ${toRsError(thrown).message}`);
  }
}
