// Removes a test's folder while a write that the test did not wait for may still add a file to it. A plain rmSync then fails with ENOTEMPTY,
// and so does its retry, which does not look for new files. Invariant: the folder is gone, or this throws after FOLDER_TRIES tries.

import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoName } from '../lib/errors.ts';

const FOLDER_TRIES = 100;
const FOLDER_WAIT_MS = 20;

/** Removes the folder with everything in it. A folder that does not exist is no error. Throws the last error of `rm`. */
export async function removeFolder(folder: string): Promise<void> {
  for (let left = FOLDER_TRIES; ; left--) {
    try {
      return await rm(folder, { recursive: true, force: true });
    } catch (thrown) {
      if (errnoName(thrown) !== 'ENOTEMPTY' || left <= 1) throw thrown;
      await sleep(FOLDER_WAIT_MS);
    }
  }
}
