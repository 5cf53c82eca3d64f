// Copies the file of a volume while clients may write to it. A file with few extents is cloned in one piece. Other files are cloned in
// chunks, so that no write waits long. The class `Moments` decides when to clone a chunk. Invariants: the copy has exactly the size of the
// volume, and no clone succeeds if the file was truncated or replaced before it ended. Each chunk is cloned at most once.

import { constants, type Stats } from 'node:fs';
import { chmod, type FileHandle, open, rm, stat } from 'node:fs/promises';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { storageStamp } from '../../storage/files/storage-identity.ts';
import type { RangeCalls, Reflink } from '../disk/data-file.ts';
import {
  CHUNK_EXTENTS_MAX,
  CHUNK_MAX_BYTES,
  CHUNK_MIN_BYTES,
  CHUNKS_MAX,
  COUNT_EXTENTS_MAX,
  COUNT_MAX_BYTES,
  SMALL_CHUNK_EXTENTS_MAX,
  WHOLE_EXTENTS_MAX,
} from '../limits.ts';
import type { ChunkedCopy } from './moment.ts';
import { isWithoutReflink } from './reflink.ts';

const { O_WRONLY, O_CREAT, O_EXCL } = constants;
const DATA_MODE = 0o600;
const SECTOR_OF_STAT_BYTES = 512;
export const SNAPSHOT_MODE = 0o400;
/** Assumed size of the smallest extent. Few file systems have blocks that are smaller. */
const EXTENT_MIN_BYTES = 4_096;

/** A file that is cloned, and the size of its content. */
export interface CloneSource {
  readonly from: string;
  readonly fromBytes: number;
}

export class FileCopy implements ChunkedCopy {
  readonly volumeId: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunks: number;
  private readonly work: (index: number) => Promise<void>;
  private readonly source: FileHandle;
  private readonly from: string;
  private readonly target: FileHandle | null;
  private readonly running = new Set<Promise<void>>();
  private isClosed = false;

  private constructor(
    { volumeId, sizeBytes, chunkBytes }: Pick<ChunkedCopy, 'volumeId' | 'sizeBytes' | 'chunkBytes'>,
    work: (index: number) => Promise<void>,
    source: FileHandle,
    from: string,
    target: FileHandle | null = null,
  ) {
    this.volumeId = volumeId;
    this.sizeBytes = sizeBytes;
    this.chunkBytes = chunkBytes;
    this.chunks = Math.ceil(sizeBytes / chunkBytes);
    this.work = work;
    this.source = source;
    this.from = from;
    this.target = target;
  }

  /**
   * Prepares a copy of `from` in the new file `to`. Syncs `from` first, so that the clone need not write much dirty data back while writes
   * to the volume are held. The caller must close the copy.
   */
  static async begin(reflink: Reflink, volumeId: string, sizeBytes: number, from: string, to: string): Promise<FileCopy> {
    const source = await open(from, 'r');
    let target: FileHandle | null = null;
    try {
      await source.datasync();
      const { ranges } = reflink;
      const chunkBytes = await chunkBytesFor(ranges, source.fd, sizeBytes).catch(wholeIfUncounted(sizeBytes));
      if (chunkBytes >= sizeBytes) {
        return new FileCopy({ volumeId, sizeBytes, chunkBytes: sizeBytes }, () => reflink.cloneFile(from, to), source, from);
      }
      target = await open(to, O_WRONLY | O_CREAT | O_EXCL, DATA_MODE);
      const [fromFd, toFd, last] = [source.fd, target.fd, Math.ceil(sizeBytes / chunkBytes) - 1];
      // The file may end within a block of the file system. The last clone must therefore have length 0, which means up to the end of the
      // file.
      const work = (index: number): Promise<void> => ranges.cloneRange(fromFd, toFd, index * chunkBytes, index === last ? 0 : chunkBytes);
      return new FileCopy({ volumeId, sizeBytes, chunkBytes }, work, source, from, target);
    } catch (thrown) {
      await source.close();
      await target?.close();
      throw thrown;
    }
  }

  clone(index: number): Promise<void> {
    // Refuse a clone after the close, because the number of a closed descriptor may already belong to another file.
    if (this.isClosed) return Promise.reject(new RsError('E_INTERNAL', `The copy of volume id ${this.volumeId} is closed`));
    const work = this.work(index).then(() => this.checkSource());
    const ended = work.then(
      () => void this.running.delete(ended),
      () => void this.running.delete(ended),
    );
    this.running.add(ended);
    return work;
  }

  /** Throws E_VOLUME if the file has been truncated, or another file has taken its place, so that a clone may lack data. */
  private async checkSource(): Promise<void> {
    const stats = await checkSource(this.from, this.sizeBytes);
    const { ino, dev } = await this.source.stat();
    if (stats.ino === ino && stats.dev === dev) return;
    throw new RsError('E_VOLUME', `${this.from} was replaced by another file while it was copied: restore the original, then reload`, {
      file: this.from,
    });
  }

  /** Writes the dirty data of the volume back once more, so that little is left to write while changes are held. */
  sync(): Promise<void> {
    return this.source.datasync();
  }

  /** Closes the files after all running clones have ended. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.running);
    await this.source.close();
    await this.target?.close();
  }
}

/** Some file systems can clone a file, but cannot report its extents, so the file counts as one chunk. */
function wholeIfUncounted(sizeBytes: number): (thrown: unknown) => number {
  return (thrown) => {
    if (isWithoutReflink(errnoName(thrown))) return sizeBytes;
    throw thrown;
  };
}

/** Clones all chunks of a file, one after the other. If the file changes while this runs, the chunks are not of one moment. */
export async function cloneAll(copy: ChunkedCopy): Promise<void> {
  for (let index = 0; index < copy.chunks; index++) await copy.clone(index);
}

/**
 * Gives a finished copy its size and mode, and syncs the file, but not its folder. `contentBytes`: what the copy must have of its source.
 * Throws E_VOLUME if it has less, because zeros would take the place of what the source has lost. Returns the bytes that the file occupies.
 */
export async function finishCopy(file: string, sizeBytes: number, mode: number, contentBytes = sizeBytes): Promise<number> {
  // A file that was cloned as a whole has the mode of its original. If the original belongs to a snapshot, this mode is read-only.
  await chmod(file, DATA_MODE);
  const handle = await open(file, 'r+');
  try {
    const { size } = await handle.stat();
    if (size < Math.min(contentBytes, sizeBytes))
      throw new RsError('E_VOLUME', `${file} got ${size} of ${contentBytes} bytes: its source was truncated; restore it, then try again`, {
        file,
      });
    if (size !== sizeBytes) await handle.truncate(sizeBytes);
    await handle.chmod(mode);
    await handle.sync();
    return (await handle.stat()).blocks * SECTOR_OF_STAT_BYTES;
  } finally {
    await handle.close();
  }
}

/** Throws E_VOLUME if the file of a volume is shorter than the volume. Returns the state of the file. */
export async function checkSource(file: string, sizeBytes: number): Promise<Stats> {
  const stats = await stat(file);
  if (stats.size < sizeBytes)
    throw new RsError('E_VOLUME', `${file} has ${stats.size} bytes, but the volume has ${sizeBytes}: restore its content, then reload`, {
      file,
    });
  return stats;
}

/**
 * Makes a new data file as a clone of `from`, extended with zeros. Syncs the file, but not its folder. Returns the stamp of the new
 * file. `fromBytes`: size of the content of `from`. `pool`: the directory of the pool, which the error E_NO_REFLINK names. Throws E_VOLUME
 * if `from` was truncated.
 */
export async function cloneAsData(
  reflink: Reflink,
  { from, fromBytes }: CloneSource,
  to: string,
  sizeBytes: number,
  pool: string,
): Promise<string | null> {
  await reflink.cloneFile(from, to).catch(refusal(pool));
  await finishCopy(to, sizeBytes, DATA_MODE, fromBytes);
  return storageStamp(await stat(to, { bigint: true }), to);
}

/**
 * Clones a small file as a test, so that writes are not held for a snapshot that would fail. If the file system cannot clone, throws
 * E_NO_REFLINK, which names the directory of the pool.
 */
export async function checkReflink(reflink: Reflink, small: string, probe: string, pool: string): Promise<void> {
  await reflink.cloneFile(small, probe).catch(refusal(pool));
  await rm(probe, { force: true });
}

/**
 * Returns true if a small file can be cloned to `probe`, false if the file system cannot clone, and null if an error makes the result
 * unknown. Deletes `probe` again.
 */
export async function canClone(reflink: Reflink, small: string, probe: string): Promise<boolean | null> {
  try {
    await rm(probe, { force: true });
    await reflink.cloneFile(small, probe);
    await rm(probe, { force: true });
    return true;
  } catch (thrown) {
    return isWithoutReflink(errnoName(thrown)) ? false : null;
  }
}

function refusal(pool: string): (thrown: unknown) => never {
  return (thrown) => {
    if (!isWithoutReflink(errnoName(thrown))) throw thrown;
    throw new RsError(
      'E_NO_REFLINK',
      `The file system of ${pool} has no reflink, which snapshots and clones need: use a pool on a file system that ` +
        'mkfs.xfs -m reflink=1 or mkfs.btrfs has made',
      { path: pool },
      thrown,
    );
  };
}

/** Returns the size of the chunks in which a file is cloned. If the file has few extents, the result is the size of the file. */
export async function chunkBytesFor(ranges: RangeCalls, descriptor: number, sizeBytes: number): Promise<number> {
  let [total, offsetBytes, pieceBytes, chunkBytes] = [0, 0, CHUNK_MAX_BYTES, CHUNK_MAX_BYTES];
  while (offsetBytes < sizeBytes && (total <= WHOLE_EXTENTS_MAX || chunkBytes > CHUNK_MIN_BYTES)) {
    const lengthBytes = Math.min(pieceBytes, sizeBytes - offsetBytes);
    const count = await ranges.countExtents(descriptor, offsetBytes, lengthBytes);
    if (count > CHUNK_EXTENTS_MAX && pieceBytes > CHUNK_MAX_BYTES) {
      // The extents of this piece may be close together, so count them again in smaller pieces.
      pieceBytes = CHUNK_MAX_BYTES;
      continue;
    }
    total += count;
    offsetBytes += lengthBytes;
    if (count > CHUNK_EXTENTS_MAX)
      while (chunkBytes > CHUNK_MIN_BYTES && Math.min(count, chunkBytes / EXTENT_MIN_BYTES) > SMALL_CHUNK_EXTENTS_MAX) chunkBytes /= 2;
    if (count > COUNT_EXTENTS_MAX) pieceBytes = Math.max(CHUNK_MIN_BYTES, pieceBytes / 2);
    else if (count < COUNT_EXTENTS_MAX / 4) pieceBytes = Math.min(COUNT_MAX_BYTES, pieceBytes * 2);
  }
  if (total <= WHOLE_EXTENTS_MAX) return sizeBytes;
  while (sizeBytes / chunkBytes > CHUNKS_MAX) chunkBytes *= 2;
  return chunkBytes;
}
