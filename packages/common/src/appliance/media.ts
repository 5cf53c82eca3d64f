// Files on a removable disk, which is mounted only while a command uses it. Invariant: after the command, the disk is not mounted, and what was
// written is on it.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { RsError } from '../lib/errors.ts';
import { storageNow } from './arrays.ts';
import { type ApplianceMachine, appliancePaths } from './machine.ts';

/**
 * Calls `work` with the path of `file`. `disk`: the partition or disk that has the file; null: the file is in a folder of the appliance. Throws
 * E_USAGE if the disk has no file system for files, or if the name would leave it.
 */
export async function onMedia<T>(
  machine: ApplianceMachine,
  { disk, file, isWritten }: { readonly disk: string | null; readonly file: string; readonly isWritten: boolean },
  work: (path: string) => Promise<T>,
): Promise<T> {
  if (disk === null) return work(file);
  const { run, root } = machine;
  const { media } = await storageNow(machine);
  if (!media.includes(disk))
    throw new RsError('E_USAGE', `No removable file system ${JSON.stringify(disk)}: there are ${media.join(', ') || 'none'}`);
  if (file === '' || file.split('/').includes('..'))
    throw new RsError('E_USAGE', `Wrong name ${JSON.stringify(file)}: give the name of a file on ${disk}`);
  const folder = appliancePaths(root).media;
  mkdirSync(folder, { recursive: true });
  await run('mount', ['-o', `${isWritten ? 'rw' : 'ro'},nosuid,nodev,noexec`, `/dev/${disk}`, folder]);
  try {
    return await work(join(folder, file));
  } finally {
    await run('umount', [folder]);
  }
}
