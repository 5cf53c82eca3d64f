// Implements `backup`, which attaches a snapshot, and `restore`, which attaches a volume. The code in backup/ does the work, and the
// command then detaches what it has attached. Invariant: `restore` writes to a volume only after the user has confirmed, and only if the
// volume was not attached here before.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import type { AttachmentView } from '@rsio/common/control/methods';
import { count, object, orNull, text } from '@rsio/common/lib/shape';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { isSnapshot, parseVolumeName, servedNameParts, volumeLabel } from '@rsio/common/lib/volume-name';
import { shownSize } from '@rsio/common/manage/server-tables';
import { readChain } from '../backup/backup-chain.ts';
import { backUp, writeBack } from '../backup/backup.ts';
import { type CommandContext, defineCommand, usageError } from '../cli/context.ts';
import { withTriggers } from '../freeze/client-triggers.ts';
import { timeName } from '@rsio/common/lib/time-name';
import { findMirror, findVolume } from './server-volumes/find.ts';
import { placesWith } from './server-volumes/mirror-target.ts';
import { whileAttached } from './server-volumes/while-attached.ts';

const VERIFY_OPTION = { kind: 'flag', help: 'compare the whole backup with the snapshot or volume' } as const;

export const BACKUP = defineCommand({
  call: { by: 'words', words: 'backup' },
  synopsis: 'backup NAME[@SNAPSHOT] DIRECTORY [--since SNAPSHOT] [--verify]',
  summary: 'copies a snapshot to a qcow2 file',
  details: `The file is DIRECTORY/NAME@SNAPSHOT.qcow2, with a description file beside it.
Without @SNAPSHOT, the command first makes a snapshot backup-DATE-TIME, which is
kept. Without --since, the whole snapshot is copied, apart from holes. With
--since, only the changes since that older snapshot are copied. DIRECTORY must
contain the backup of the older snapshot, which becomes the backing file of the
new file. The older snapshot must still exist. qemu-img checks each backup
before the file gets its name, and --verify compares it with the snapshot. The
command attaches the snapshot, and detaches it again.`,
  options: {
    since: { kind: 'text', value: 'SNAPSHOT', help: 'copy only the changes since this snapshot,\nwhose backup is in DIRECTORY' },
    verify: VERIFY_OPTION,
    json: JSON_OPTION,
  },
  json: object({
    snapshot: text(),
    file: text(),
    sizeBytes: count('Size of the volume in the snapshot'),
    readBytes: orNull(count('Bytes that have changed and were read; null: all of it was copied')),
    base: orNull(text(), 'Name of the file on which it stands; null: none'),
  }),
  operands: { min: 2, max: 2 },
  run: async (context, { since, verify, json }, [name = '', directory = '']) => {
    if (directory === '') throw usageError('The directory is empty: name one');
    if (since === '') throw usageError('--since is empty: name a snapshot');
    const label = await snapshotOf(context, name);
    const server = since === null ? null : await serverWithBoth(context, label, since);
    const done = await whileAttached(context, label, { isReadonly: true, server }, async (view) => {
      const made = await backUp(context, view, { directory, since, verifies: verify });
      await note(context, view);
      return made;
    });
    if (json) return printJson(context, { snapshot: label, ...done });
    const what = done.readBytes === null ? shownSize(done.sizeBytes) : `${shownSize(done.readBytes)} changed since ${since ?? ''}`;
    context.out(`${label} is backed up as ${done.file}: ${what}\n`);
    return undefined;
  },
});

export const RESTORE = defineCommand({
  call: { by: 'words', words: 'restore' },
  synopsis: 'restore FILE NAME [--yes] [--verify] [--unproven]',
  summary: 'writes a backup to a volume',
  details: `FILE is a file that rsconfig backup has made; its backing files must be in the
same directory. The description of each file names its snapshot and its backing
file. A file that does not agree with its description is refused. The old
content of the volume is lost. The volume must not be attached here, no client
may hold it, and it must not be shared. The volume may be larger than the
backup; the rest of the volume becomes zeros. The command attaches the volume,
and detaches it at the end. rsconfig volume restore is another command: it
brings back a removed volume, or gives a volume the content of its image.`,
  options: {
    yes: { kind: 'flag', help: 'do not ask' },
    unproven: {
      kind: 'flag',
      help: 'accept a description without the id of the backing\nfile, and a single file without a description',
    },
    verify: VERIFY_OPTION,
    json: JSON_OPTION,
  },
  json: object({ volume: text(), file: text(), sizeBytes: count('Size of the backup') }),
  operands: { min: 2, max: 2 },
  run: async (context, { yes, verify, unproven, json }, [file = '', name = '']) => {
    const parts = parseVolumeName(name);
    if (parts === null || parts.snapshot !== null)
      throw usageError(`${name} is not the name of a volume: give NAME, such as oracle or osl:oracle@0`);
    const chain = await readChain(file, unproven);
    if (!yes) await confirm(context, file, name);
    const result = await whileAttached(context, name, { isReadonly: false, server: null }, async (view) => {
      if (isSnapshot(view.name) || view.readonly) throw readonlyVolume(volumeLabel(view));
      if (view.shared) throw sharedVolume(volumeLabel(view));
      return { volume: volumeLabel(view), file, sizeBytes: await writeBack(context, chain, view, verify) };
    });
    if (json) return printJson(context, result);
    context.out(`${result.volume} is restored from ${file}: ${shownSize(result.sizeBytes)}\n`);
    return undefined;
  },
});

function readonlyVolume(label: string): RsError {
  const remedy = `rsconfig volume set ${label} readonly=no, or remove readonly = yes from its section in rscltcfg`;
  return new RsError('E_USAGE', `${label} is read-only: ${remedy}, and restore it then`);
}

/**
 * Makes the error for a restore to a shared volume. During the restore, other clients could write to the volume, or read a mixture of old
 * and new data.
 */
function sharedVolume(label: string): RsError {
  const remedy = `rsconfig volume set ${label} shared=no, restore it, and set shared=yes again`;
  return new RsError('E_USAGE', `${label} is shared, so that other clients may use it meanwhile: ${remedy}`);
}

async function confirm(context: CommandContext, file: string, name: string): Promise<void> {
  if (context.ask === null) throw usageError(`Restoring ${file} overwrites ${name}: add --yes`);
  const answer = await context.ask(`Overwrite all of ${name} with ${file}? [y/N] `);
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new RsError('E_USAGE', 'Nothing was changed');
}

/** Returns the name of the snapshot to back up. If `name` is the name of a volume, the function first makes a snapshot of the volume. */
async function snapshotOf(context: CommandContext, name: string): Promise<string> {
  const parts = parseVolumeName(name);
  if (parts === null) throw usageError(`${name} is not a name: give NAME@SNAPSHOT, such as oracle@monday, or NAME`);
  if (parts.snapshot !== null) return name;
  const target = await findVolume(context, name, { server: null, namespace: null }, 'change');
  const snapshot = `backup-${timeName(context.clock.wallMs())}`;
  const call = withTriggers(context, String(target.place['namespace']), target.call);
  await call('volume-snapshot', { snapshots: [{ ...target.volume, snapshot }], request: context.newId() });
  return `${volumeLabel({ namespace: String(target.place['namespace']), ...target.volume })}@${snapshot}`;
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
