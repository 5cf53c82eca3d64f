// Implements `rsconfig mount`, which mounts a snapshot or a backup to read a file from it, and lists such mounts. mounts/ does the work.

import { list, object, orNull, text, whole, word } from '@rsio/base/lib/shape';
import { parseWhole } from '@rsio/base/lib/units';
import { parseVolumeName } from '@rsio/base/lib/volume-name';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { checkBackup, isBackupFile, Mounting } from '../../mounts/mounting.ts';
import { type MountRecord, MountRecords, withMounts } from '../../mounts/mount-records.ts';

const MOUNTED = object({
  directory: text(),
  source: text('Volume, snapshot or file of a backup'),
  type: text('Type of the file system'),
  partition: orNull(whole(1, null)),
  journal: text('clean; replayed, on an image that keeps the changes; or skipped, so that what was written last may be old or missing'),
  state: word(
    ['mounted', 'ended', 'unknown'],
    'ended: it was unmounted by other means, and rsconfig umount ends the rest; unknown: rsiod does not tell',
  ),
});

export const MOUNT = defineCommand({
  call: { by: 'words', words: 'mount' },
  synopsis: 'mount [NAME[@SNAPSHOT]|FILE DIRECTORY]\n[--partition N] [--unproven]',
  summary: 'mounts a snapshot or a backup read-only, to read files from it',
  details: `The command attaches the snapshot, finds its file system, and mounts it on an
empty directory, read-only, without devices and setuid programs. The volume
itself may be mounted meanwhile. The snapshot stays attached, also if rsiod
restarts, until rsconfig umount DIRECTORY. NAME may be a volume that is not
attached here for writing; then a client that writes to it changes what is read.

FILE is a backup that rsconfig backup has made, with a slash or .qcow2 in its
name. Its chain is checked as before a restore. A file is read and compared with
its checksum only if it has changed since the checksum was computed.

A snapshot of a mounted file system has a journal that must be replayed. The
command replays it on an image that keeps the changes in a temporary file. The
image needs nbdfuse (libnbd-bin) and qemu-nbd (qemu-utils). Without them, the
command mounts a snapshot without its journal, and says so: what was written
last may then be old or missing. A backup is always mounted through an image.

If there are several partitions with file systems, the command lists them, and
--partition chooses one. Without operands, the command lists what is mounted.`,
  options: {
    partition: { kind: 'text', value: 'N', help: 'mount partition number N' },
    unproven: {
      kind: 'flag',
      help: 'accept a description without the id of the backing\nfile, and a single file without a description',
    },
    json: JSON_OPTION,
  },
  json: object({ mounts: list(MOUNTED) }),
  operands: { min: 0, max: 2 },
  completes: 'files',
  run: async (context, { partition, unproven, json }, [source, directory]) => {
    if (source === undefined) return await showMounts(context, json);
    if (directory === undefined) throw usageError('rsconfig mount needs a directory: give NAME or FILE, and DIRECTORY');
    if (!isBackupFile(source) && parseVolumeName(source) === null)
      throw usageError(`${source} is not the name of a volume or snapshot: give NAME, such as oracle@monday, or the path of a backup`);
    const number = partition === null ? null : parseWhole(partition);
    if (number === undefined || number === 0) throw usageError(`Wrong --partition ${partition}: give a number, such as 1`);
    const wish = { source, directory, partition: number, isUnproven: unproven };
    // The check may read the whole backup, and no other command waits for it.
    if (isBackupFile(source)) await checkBackup(context, wish);
    const record = await withMounts(context, (records) => new Mounting(context, records).mount(wish));
    if (json) return printJson(context, { mounts: [shown(record, true)] });
    const part = record.partition === null ? '' : ` partition ${record.partition},`;
    context.out(toText([`${record.source} is mounted at ${record.directory}:${part} ${record.type}, journal ${record.journal}`]));
    return undefined;
  },
});

async function showMounts(context: CommandContext, json: boolean): Promise<undefined> {
  const records = new MountRecords(context.paths.mountsFile);
  const mounting = new Mounting(context, records);
  const mounts = [];
  for (const record of await records.load()) mounts.push(shown(record, await mounting.isMounted(record).catch(() => null)));
  if (json) return printJson(context, { mounts });
  if (mounts.length === 0) context.note('rsconfig has mounted nothing');
  else {
    const rows = mounts.map((one) => [one.directory, one.source, one.type, String(one.partition ?? '-'), one.journal, one.state]);
    context.out(toText(alignColumns(['DIRECTORY', 'SOURCE', 'TYPE', 'PARTITION', 'JOURNAL', 'STATE'], rows)));
  }
  return undefined;
}

function shown({ directory, source, type, partition, journal }: MountRecord, isMounted: boolean | null) {
  return { directory, source, type, partition, journal, state: isMounted === null ? 'unknown' : isMounted ? 'mounted' : 'ended' };
}
