// Reads the files and folders of a pool when it is opened. Invariant: an error names the file or folder, and what to do.

import { open, readdir } from 'node:fs/promises';
import { errnoName, errnoRemedy, RsError } from '@rsio/base/lib/errors';
import { MANIFEST_MAX_BYTES } from '../limits.ts';

export async function readNames(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).toSorted();
  } catch (thrown) {
    throw readError(folder, thrown);
  }
}

export async function readText(file: string): Promise<string> {
  try {
    return await readBounded(file);
  } catch (thrown) {
    throw readError(file, thrown);
  }
}

/** Reads a file of a pool. Throws system errors, and E_VOLUME if the file is too long. */
export async function readBounded(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    if (size > MANIFEST_MAX_BYTES) return tooLong(file, size);
    // FileHandle.readFile would ask for the size again, and takes twice as long.
    const content = Buffer.allocUnsafe(size);
    let length = 0;
    while (length < size) {
      const { bytesRead } = await handle.read(content, length, size - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return content.toString('utf8', 0, length);
  } finally {
    await handle.close();
  }
}

function tooLong(file: string, size: number): never {
  throw new RsError('E_VOLUME', `${file} has ${size} bytes, allowed are ${MANIFEST_MAX_BYTES}: restore it from a backup of the pool`, {
    file,
  });
}

export function readError(file: string, thrown: unknown): RsError {
  if (thrown instanceof RsError) return thrown;
  const errno = errnoName(thrown);
  return new RsError(
    'E_VOLUME',
    `${file} cannot be read (${errno ?? String(thrown)}): ${errnoRemedy(errno) ?? 'check the file system of the pool'}`,
    { file, errno },
    thrown,
  );
}
