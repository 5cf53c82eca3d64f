// Implements `backup`, which attaches a snapshot and writes it to a file. The code in backup/ does the work. Invariant: no run of
// `backup-run` works with the backups of the volume at the same time.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { object, text } from '@rsio/base/lib/shape';
import { parseVolumeName, volumeLabel } from '@rsio/base/lib/volume-name';
import { shownSize } from '@rsio/base/lib/units';
import { fileVolume } from '../../backup/backup-files.ts';
import { BACKUP_MADE } from '../../backup/backup.ts';
import { withBackups } from '../../backup/run-folder.ts';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { timeName } from '@rsio/base/lib/time-name';
import { findAnywhere } from '../server-volumes/find.ts';
import { backUpSnapshot, makeSnapshot } from './attached-snapshot.ts';

export const VERIFY_OPTION = { kind: 'flag', help: 'compare the whole backup with the snapshot or volume' } as const;

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
command attaches the snapshot, and detaches it again. rsconfig backup-run makes
full and incremental backups in turn, and removes old ones.`,
  options: {
    since: { kind: 'text', value: 'SNAPSHOT', help: 'copy only the changes since this snapshot,\nwhose backup is in DIRECTORY' },
    verify: VERIFY_OPTION,
    json: JSON_OPTION,
  },
  json: object({ snapshot: text(), ...BACKUP_MADE }),
  operands: { min: 2, max: 2 },
  run: async (context, { since, verify, json }, [name = '', directory = '']) => {
    if (directory === '') throw usageError('The directory is empty: name one');
    if (since === '') throw usageError('--since is empty: name a snapshot');
    const parts = parseVolumeName(name);
    if (parts === null) throw usageError(`${name} is not a name: give NAME@SNAPSHOT, such as oracle@monday, or NAME`);
    const named = fileVolume({ name: parts.volume, universe: parts.universe ?? 0 });
    const { label, done } = await withBackups(directory, named, false, async () => {
      const snapshot = parts.snapshot === null ? await newSnapshot(context, name) : name;
      return { label: snapshot, done: await backUpSnapshot(context, snapshot, null, { directory, since, verifies: verify, run: null }) };
    });
    if (json) return printJson(context, { snapshot: label, ...done });
    const what = done.readBytes === null ? shownSize(done.sizeBytes) : `${shownSize(done.readBytes)} changed since ${since ?? ''}`;
    context.out(`${label} is backed up as ${done.file}: ${what}\n`);
    return undefined;
  },
});

/** Makes a snapshot of the volume, and returns its name. */
async function newSnapshot(context: CommandContext, name: string): Promise<string> {
  const target = await findAnywhere(context, name, 'change');
  const { snapshot } = await makeSnapshot(context, target, `backup-${timeName(context.clock.wallMs())}`, context.newId());
  return `${volumeLabel({ namespace: String(target.place['namespace']), ...target.volume })}@${snapshot}`;
}
