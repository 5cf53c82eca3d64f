// Opens the files or the device of a volume. If a worker may not open paths, the listener opens the files by their paths, and passes the
// descriptors to the process. Invariants: each caller gets its own open files, because the kernel reports a write-back error once to each
// open file. The two descriptors of a FileDescriptors belong to the same file.

import fs from 'node:fs';
import { promisify } from 'node:util';
import { RsError } from '@rsio/base/lib/errors';

/**
 * The descriptors of one file. `synced` was opened with O_DSYNC, for FUA writes; null if the volume is read-only, or in memory, where no
 * write needs a sync.
 */
export interface FileDescriptors {
  readonly descriptor: number;
  readonly synced: number | null;
}

export interface FileWish {
  readonly path: string;
  readonly readonly: boolean;
  /** True for a file in memory, which needs no sync. */
  readonly isVolatile: boolean;
}

export interface VolumeFiles {
  /** Opens the next file of the volume. Throws the system error, or an RsError. The caller must close the descriptors. */
  open(wish: FileWish): Promise<FileDescriptors>;
}

const { O_RDONLY, O_RDWR, O_DSYNC } = fs.constants;
const open = promisify(fs.open);
const close = promisify(fs.close);

/** Returns true if the file needs a second descriptor, with O_DSYNC. */
function isSynced({ readonly, isVolatile }: FileWish): boolean {
  return !readonly && !isVolatile;
}

export const filesByPath: VolumeFiles = {
  open: async (wish) => {
    const descriptor = await open(wish.path, wish.readonly ? O_RDONLY : O_RDWR);
    if (!isSynced(wish)) return { descriptor, synced: null };
    try {
      return { descriptor, synced: await open(wish.path, O_RDWR | O_DSYNC) };
    } catch (thrown) {
      await close(descriptor);
      throw thrown;
    }
  },
};

/** The files of one volume that the listener has opened, in their order. */
export class PassedFiles implements VolumeFiles {
  private readonly left: number[];

  constructor(descriptors: readonly number[]) {
    this.left = [...descriptors];
  }

  open(wish: FileWish): Promise<FileDescriptors> {
    const descriptor = this.left.shift();
    const synced = isSynced(wish) ? this.left.shift() : null;
    if (descriptor !== undefined && synced !== undefined) return Promise.resolve({ descriptor, synced });
    if (descriptor !== undefined) this.left.unshift(descriptor);
    return Promise.reject(new RsError('E_INTERNAL', `The listener has not passed ${wish.path}`));
  }

  /** Returns the descriptors that no backend has taken, and that the caller must close. */
  rest(): readonly number[] {
    return this.left.splice(0);
  }
}
