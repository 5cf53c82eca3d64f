// Implements `rsconfig umount`, which undoes `rsconfig mount`.

import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { defineCommand, usageError } from '../../cli/context.ts';
import { Mounting } from '../../mounts/mounting.ts';
import { withMounts } from '../../mounts/mount-records.ts';

export const UMOUNT = defineCommand({
  call: { by: 'words', words: 'umount' },
  synopsis: 'umount DIRECTORY',
  summary: 'undoes rsconfig mount',
  details: `The command unmounts the file system, ends the image, and detaches the snapshot
unless it is attached for others too. If a step fails, for example because a
process uses a file, the command can be repeated. No other mount is ever ended.`,
  options: {},
  operands: { min: 1, max: 1 },
  completes: `"\${ask[@]}" mount | awk 'NR > 1 { print $1 }'`,
  run: async (context, _, [given = '']) => {
    await withMounts(context, async (records) => {
      const directory = await realpath(given).catch(() => path.resolve(given));
      const record = records.of(directory);
      if (record === undefined)
        throw usageError(`Nothing at ${directory} is of rsconfig mount: see the list of rsconfig mount, or use umount(8)`);
      const wasMounted = await new Mounting(context, records).undo(record);
      context.note(wasMounted ? `${record.source} is unmounted from ${directory}` : `${record.source} was not mounted any more`);
    });
    return undefined;
  },
});
