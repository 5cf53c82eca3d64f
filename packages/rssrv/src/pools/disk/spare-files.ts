// Keeps space in a pool for the small files that are needed on a full file system. The files in POOL/spare occupy this space. The removal
// of a volume or a snapshot writes a small file first, and would otherwise fail exactly when space is needed. Invariants: a spare file is
// overwritten in place and then renamed to the file that needed its space, so that no other program can take the space. No file in the
// folder of spare files is the only copy of any data.

import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile, syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName } from '@rsio/base/lib/errors';
import { SPARE_BYTES, SPARE_FILES } from '../limits.ts';

/** Name of the folder in the pool. */
export const SPARE_FOLDER = 'spare';
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const FULL: readonly (string | undefined)[] = ['ENOSPC', 'EDQUOT'];

export class SpareFiles {
  private readonly folder: string;
  /** True if spare files may be missing, and `fill` should be called. */
  isWanted = true;

  constructor(pool: string) {
    this.folder = join(pool, SPARE_FOLDER);
  }

  /** Durably replaces `file`, even on a full file system if a spare file is left. Throws system errors. */
  async replaceFile(file: string, text: string): Promise<void> {
    try {
      await replaceFile(file, text);
    } catch (thrown) {
      if (!FULL.includes(errnoName(thrown)) || !(await this.spend(file, text))) throw thrown;
    }
  }

  /** Deletes a spare file if `thrown` says that the file system is full. Returns false if it has deleted no file. */
  private async give(thrown: unknown): Promise<boolean> {
    const [name] = FULL.includes(errnoName(thrown)) ? await namesIn(this.folder) : [];
    if (name === undefined) return false;
    this.isWanted = true;
    await rm(join(this.folder, name));
    return true;
  }

  /** Executes `work`, and executes it again with the space of one more spare file as long as the file system is full. */
  async despiteFull<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (thrown) {
        if (!(await this.give(thrown))) throw thrown;
      }
    }
  }

  /** Makes the missing spare files. Returns without an error if the file system is full. */
  async fill(): Promise<void> {
    try {
      await mkdir(this.folder, { recursive: true, mode: FOLDER_MODE });
      for (let number = 0; number < SPARE_FILES; number++) await fillOne(this.folder, String(number));
      await syncDirectory(this.folder);
      this.isWanted = false;
    } catch (thrown) {
      if (FULL.includes(errnoName(thrown))) return;
      // Do not try again: further attempts would fail until the administrator removes the cause.
      this.isWanted = false;
      throw thrown;
    }
  }

  /**
   * Writes the text with the space of a spare file. Returns false if no spare file is left, or if the text is longer than a spare
   * file.
   */
  private async spend(file: string, text: string): Promise<boolean> {
    if (Buffer.byteLength(text) > SPARE_BYTES) return false;
    this.isWanted = true;
    const temporary = `${file}.new`;
    for (const name of await namesIn(this.folder)) {
      // The spare file leaves the folder here, and a later `fill` makes a new spare file in its place.
      await rename(join(this.folder, name), temporary);
      if (await overwrite(temporary, text)) {
        await rename(temporary, file);
        await syncDirectory(dirname(file));
        return true;
      }
      // Some file systems never overwrite in place, so the deletion of the spare file provides the free space.
      await rm(temporary, { force: true });
      try {
        await replaceFile(file, text);
        return true;
      } catch (thrown) {
        if (!FULL.includes(errnoName(thrown))) throw thrown;
      }
    }
    return false;
  }
}

async function fillOne(folder: string, name: string): Promise<void> {
  const file = join(folder, name);
  if ((await stat(file).catch(() => null))?.size === SPARE_BYTES) return;
  const temporary = join(folder, `.${name}`);
  try {
    const handle = await open(temporary, 'w', FILE_MODE);
    try {
      // The file has random bytes, because a file system that compresses would keep no space for zeros.
      await handle.writeFile(randomBytes(SPARE_BYTES));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
}

/** Returns the names of the spare files that have their full size. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.')).toSorted();
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

/** Returns false if the file system needs new space even to overwrite a file. */
async function overwrite(file: string, text: string): Promise<boolean> {
  const handle = await open(file, 'r+');
  try {
    const bytes = Buffer.from(text);
    const { bytesWritten } = await handle.write(bytes, 0, bytes.length, 0);
    if (bytesWritten < bytes.length) return false;
    await handle.truncate(bytes.length);
    await handle.sync();
    return true;
  } catch (thrown) {
    if (FULL.includes(errnoName(thrown))) return false;
    throw thrown;
  } finally {
    await handle.close();
  }
}
