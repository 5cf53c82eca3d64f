// Replaces a small state file atomically: after a crash, the file has either its old or its new content. The caller must ensure that no two
// processes write the same file.

import { constants } from 'node:fs';
import { type FileHandle, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { errnoName } from '../lib/errors.ts';
import { PAGE_BYTES } from './limits.ts';
import { withFile } from './with-file.ts';

/** Makes changes to a directory durable, such as a new or renamed file. Throws system errors. */
export async function syncDirectory(directory: string): Promise<void> {
  await withFile(directory, constants.O_RDONLY | constants.O_DIRECTORY, (handle) => handle.sync());
}

/**
 * Durably replaces `file` (mode 0600) with `text`. Creates missing directories. Throws system errors. After an error, the file has its old
 * content, unless only the final sync of the directory failed.
 */
export async function replaceFile(file: string, text: string | Uint8Array): Promise<void> {
  const directory = path.dirname(file);
  await mkdir(directory, { recursive: true });
  const temporary = `${file}.new`;
  try {
    const write = async (handle: FileHandle): Promise<void> => {
      await handle.writeFile(text);
      await handle.sync();
    };
    await withFile(temporary, 'w', write, 0o600);
    await rename(temporary, file);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  await syncDirectory(directory);
}

/**
 * As replaceFile. On a full file system, writes a text that needs no more blocks than the old one in place, in one call, so that the file
 * is never torn by the end of this process. Only for files that need not survive a crash of the machine. Throws system errors.
 */
export async function replaceVolatileFile(file: string, bytes: Buffer): Promise<void> {
  try {
    await replaceFile(file, bytes);
  } catch (thrown) {
    if (errnoName(thrown) !== 'ENOSPC' || !(await wasOverwritten(file, bytes).catch(() => false))) throw thrown;
  }
}

/** A shorter text is padded with spaces, which JSON permits at its end. */
async function wasOverwritten(file: string, bytes: Buffer): Promise<boolean> {
  return withFile(file, constants.O_RDWR, async (handle) => {
    const { size } = await handle.stat();
    if (bytes.length > Math.ceil(size / PAGE_BYTES) * PAGE_BYTES) return false;
    const whole = Buffer.concat([bytes, Buffer.alloc(Math.max(0, size - bytes.length), ' ')]);
    return (await handle.write(whole, 0, whole.length, 0)).bytesWritten === whole.length;
  });
}
