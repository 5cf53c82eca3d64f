// Creates and extends data files, which have the content of a volume or a part. Invariant: a file that is shorter than its volume is never
// extended, because the missing content would then read as zeros.

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { RsError } from '@rsio/base/lib/errors';
import { storageStamp } from '../../storage/files/storage-identity.ts';

const { O_RDWR, O_CREAT, O_EXCL } = constants;
const DATA_MODE = 0o600;

/** Allocates the bytes from `fromBytes` to `toBytes` of a file without changing its content. Throws a system error. */
export type Allocate = (file: string, fromBytes: number, toBytes: number) => Promise<void>;

/** The calls that clone files (snapshots/reflink.ts). */
export interface Reflink {
  /** Clones a whole file to a new file. Throws a system error; after an error, no new file remains. */
  cloneFile(from: string, to: string): Promise<void>;
  /** The calls that work on ranges of files. */
  readonly ranges: RangeCalls;
}

export interface RangeCalls {
  /** Clones a range to the same offset of another open file. A length of 0 stands for the rest of the file. Throws a system error. */
  cloneRange(from: number, to: number, offsetBytes: number, lengthBytes: number): Promise<void>;
  /** Returns the number of extents in a range of an open file. Throws a system error. */
  countExtents(descriptor: number, offsetBytes: number, lengthBytes: number): Promise<number>;
  /**
   * Returns the first `max` extents in a range of an open file. Makes the file system allocate all earlier writes first. Throws a
   * system error.
   */
  mapExtents(descriptor: number, offsetBytes: number, lengthBytes: number, max: number): Promise<readonly MappedExtent[]>;
}

/** An extent as the file system reports it. The extent may begin before the requested range and end after it. */
export interface MappedExtent {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Address of the extent on the storage of the file system, in bytes. */
  readonly physicalBytes: number;
  /** Flags of the extent: the bits FIEMAP_EXTENT_... of linux/fiemap.h. */
  readonly flags: number;
}

export interface PoolFilesPorts {
  readonly allocate: Allocate;
  /** Clones files. If undefined, the system calls are used. */
  readonly reflink?: Reflink | undefined;
  /** Called after each step on disk, so that tests can stop the process at that step. */
  readonly reached?: ((step: string) => void) | undefined;
}

/**
 * Creates a file of zeros and syncs it, but not its folder. `verb`: the first word of the name of the step. Returns the stamp of the
 * file.
 */
export async function createData(
  ports: PoolFilesPorts,
  verb: string,
  file: string,
  sizeBytes: number,
  thick: boolean,
): Promise<string | null> {
  const handle = await open(file, O_RDWR | O_CREAT | O_EXCL, DATA_MODE);
  try {
    await handle.truncate(sizeBytes);
    if (thick) await ports.allocate(file, 0, sizeBytes);
    ports.reached?.(`${verb}: data`);
    await handle.sync();
    return storageStamp(await handle.stat({ bigint: true }), file);
  } finally {
    await handle.close();
  }
}

/**
 * Extends a file to `sizeBytes`. Throws E_VOLUME if the file is shorter than `fromBytes`, the size in the manifest. If the space
 * cannot be allocated, the file keeps its size. A file may already be longer than `fromBytes`; the bytes beyond `fromBytes` are zeros,
 * because they were never served.
 */
export async function extendData(ports: PoolFilesPorts, file: string, fromBytes: number, sizeBytes: number, thick: boolean): Promise<void> {
  const handle = await open(file, O_RDWR);
  try {
    const { size } = await handle.stat();
    if (size < fromBytes)
      throw new RsError(
        'E_VOLUME',
        `${file} has ${size} bytes, but the volume has ${fromBytes}: restore its content; if zeros are correct, make it ${fromBytes} bytes long with truncate(1), then reload`,
        { file },
      );
    if (thick) {
      try {
        await ports.allocate(file, fromBytes, sizeBytes);
      } catch (thrown) {
        // After a failure, this truncation frees the blocks that were allocated beyond the end of the file.
        await handle.truncate(size).catch(() => undefined);
        throw thrown;
      }
    }
    if (size < sizeBytes) await handle.truncate(sizeBytes);
    ports.reached?.('grow: data');
    await handle.sync();
  } finally {
    await handle.close();
  }
  ports.reached?.('grow: durable data');
}

/** Writes a new file and syncs it, but not its folder. */
export async function writeNew(file: string, text: string): Promise<void> {
  const handle = await open(file, O_RDWR | O_CREAT | O_EXCL, DATA_MODE);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
