// Finishes or undoes a rollback or refresh that a stop of the server has interrupted. The manifest has the stamp of the right data file,
// and thus decides which file stays. If another image decides whether a refresh is committed, the new file stays until that image can be
// read (pools/repair/image-repair.ts). Invariant: if neither the current data file nor the new file has the stamp, both files stay, and the
// volume is not served.

import { rename, rm, stat } from 'node:fs/promises';
import { syncDirectory } from '@rsio/common/files/durable-write';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { isSameStamp, storageStamp } from '../../storage/files/storage-identity.ts';
import type { Manifest } from './manifest.ts';
import { poolPaths } from './pool-paths.ts';

/** Settles the rollback or refresh of one volume. Throws E_VOLUME if neither file has the stamp, or a system error. */
export async function settleRollback(folder: string, { stamps, image }: Pick<Manifest, 'stamps' | 'image'>): Promise<void> {
  const [present, next] = [poolPaths.data(folder), poolPaths.nextData(folder)];
  const nextStamp = await stampOf(next);
  if (nextStamp === undefined) return;
  if (image?.next?.stamp === nextStamp) return;
  const [wanted = null] = stamps;
  if (wanted !== null && nextStamp === wanted) {
    await rename(next, present);
  } else {
    // The manifest of a committed rollback has the stamp of the new file, but this manifest has another stamp, so the rollback was not
    // committed.
    const presentStamp = await stampOf(present);
    if (wanted !== null && (presentStamp === undefined || !isSameStamp(presentStamp, wanted)))
      throw new RsError(
        'E_VOLUME',
        `${next} was left by a rollback, and neither it nor ${present} has the stamp in the manifest, because the pool was copied or ` +
          'restored meanwhile: keep the file with the right content as data, and remove the other one',
        { file: next },
      );
    await rm(next);
  }
  await syncDirectory(folder);
}

/** Returns the stamp of a file; undefined if the file does not exist. */
async function stampOf(file: string): Promise<string | null | undefined> {
  try {
    return storageStamp(await stat(file, { bigint: true }), file);
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
