// Copies the differences between two files to a third file, for jobs that move and copy volumes. Keeps the bandwidth limit of the job,
// reports its progress, and saves positions from which the job continues after a restart. Invariant: before a position is saved, the copy
// is durable up to this position.

import type { FileHandle } from 'node:fs/promises';
import type { RunningJob } from '../jobs.ts';
import { type ChangedData, type CopyRange, RangeCopy } from './changed-data.ts';
import { SAVE_EVERY_BYTES } from '../limits.ts';
import { contentRanges, type VolumeContent } from './volume-content.ts';

export interface CopyPorts {
  /** Compares the extents of files; null if this machine cannot compare extents. */
  readonly changedData: ChangedData;
  readonly punch: (descriptor: number, offsetBytes: number, lengthBytes: number) => Promise<boolean>;
}

export interface CopyFiles {
  /** Content that the copy already has; null if the copy is a new, empty file. */
  readonly base: VolumeContent | null;
  readonly next: VolumeContent;
  readonly copy: FileHandle;
}

/**
 * Copies the differences between `base` and `next` in this range, and makes the copy durable. Calls `save` with each position up to which
 * the copy has become durable. Returns the number of copied bytes.
 */
export async function copyRanges(
  { changedData, punch }: CopyPorts,
  job: RunningJob,
  { base, next, copy }: CopyFiles,
  { fromBytes, toBytes }: { readonly fromBytes: number; readonly toBytes: number },
  save: (positionBytes: number) => Promise<void>,
): Promise<number> {
  const ranges = (): AsyncGenerator<CopyRange> => contentRanges(changedData, base, next, fromBytes, toBytes);
  let totalBytes = 0;
  for await (const { lengthBytes, isHole } of ranges()) if (!isHole) totalBytes += lengthBytes;
  job.note({ totalBytes: job.record.doneBytes + totalBytes });
  const copier = new RangeCopy(next, copy, punch);
  let [bytes, unsavedBytes] = [0, 0];
  let position = fromBytes;
  const before = async (size: number): Promise<void> => {
    if (unsavedBytes >= SAVE_EVERY_BYTES) {
      await copy.sync();
      await save(position);
      unsavedBytes = 0;
    }
    await job.beforePiece(size);
    bytes += size;
    unsavedBytes += size;
  };
  for await (const range of ranges()) {
    // A new, empty file already has a hole in this range.
    if (range.isHole && base === null) continue;
    await copier.copy(range, before, (end) => {
      if (!range.isHole) job.note({ doneBytes: job.record.doneBytes + (end - Math.max(position, range.offsetBytes)) });
      position = end;
    });
  }
  // A truncated file has a hole where its data was. The size shows this only afterwards.
  await next.checkLength(toBytes);
  await copy.sync();
  return bytes;
}
