// Files on a removable disk, which is mounted only while a command uses it. Invariants: after the command, the disk is not mounted, and what was
// written is on it; a link on the disk never leads to a file of the appliance.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoName, errnoRemedy, RsError } from '@rsio/base/lib/errors';
import { storageNow } from './arrays.ts';
import { type ApplianceMachine, appliancePaths, exclusively, unmountLeft, whileMounted } from './machine.ts';

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
  return exclusively(machine, 'media', async () => {
    const folder = appliancePaths(machine.root).media;
    // Otherwise the disk would count as one that is in use.
    await unmountLeft(machine, folder);
    const { media } = await storageNow(machine);
    if (!media.includes(disk))
      throw new RsError('E_USAGE', `No removable file system ${JSON.stringify(disk)}: there are ${media.join(', ') || 'none'}`);
    if (file === '' || file.split('/').includes('..'))
      throw new RsError('E_USAGE', `Wrong name ${JSON.stringify(file)}: give the name of a file on ${disk}`);
    const options = `${isWritten ? 'rw' : 'ro'},nosuid,nodev,noexec,nosymfollow`;
    return whileMounted(machine, ['-o', options, `/dev/${disk}`], folder, async () => {
      const path = join(folder, file);
      // A named pipe would never end.
      if (!isWritten && statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
        throw new RsError('E_USAGE', `There is no file ${JSON.stringify(file)} on ${disk}: give the name of a file on it`);
      return work(path).catch((thrown: unknown) => {
        const errno = errnoName(thrown);
        if (errno === undefined || thrown instanceof RsError) throw thrown;
        const remedy = errnoRemedy(errno) ?? 'put the disk in again, or use another one';
        throw new RsError('E_SYSTEM', `${file} on ${disk} cannot be used (${errno}): ${remedy}`, { errno }, thrown);
      });
    });
  });
}
