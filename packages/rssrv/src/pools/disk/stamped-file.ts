// Finds the file of a volume by the file's stamp. If a volume has several files, an administrator can therefore confirm the content of
// one of them by the stamp alone. Invariant: a file that cannot be inspected has no stamp.

import { stat } from 'node:fs/promises';
import { storageStamp } from '../../storage/files/storage-identity.ts';

/** Returns the index of the first of these files that has the stamp, or null. */
export async function stampedFile(paths: readonly (string | null)[], stamp: string): Promise<number | null> {
  for (const [index, path] of paths.entries()) {
    if (path === null) continue;
    const stats = await stat(path, { bigint: true }).catch(() => null);
    if (stats !== null && storageStamp(stats, path) === stamp) return index;
  }
  return null;
}
