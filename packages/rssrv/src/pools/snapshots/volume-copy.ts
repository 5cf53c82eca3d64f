// Combines the copies of the files of a volume into one copy of the volume, so that the changes of the volume are held and guarded
// together. Invariants: a chunk of the volume counts as cloned once every chunk of a file that contains a byte of this chunk is cloned.
// Each chunk of a file is cloned at most once. For one chunk of the volume, the chunks of a file are cloned one after another.

import { assert } from '@rsio/base/lib/assert';
import { LayoutMap } from '../../storage/files/layout-map.ts';
import type { Layout } from '../disk/manifest.ts';
import type { FileCopy } from './file-copy.ts';
import { CHUNKS_MAX } from '../limits.ts';
import type { ChunkedCopy } from './moment.ts';

/** An open copy of a volume, which its owner must close. */
export interface VolumeCopy extends ChunkedCopy {
  close(): Promise<void>;
}

/** Returns the copy of a volume. `files`: the copies of its files, in the order of the layout. */
export function copyOfVolume(layout: Layout, sizeBytes: number, files: readonly FileCopy[]): VolumeCopy {
  const [first] = files;
  assert(first !== undefined, 'A volume has no file');
  return layout.kind === 'simple' ? first : new LayoutCopy(layout, sizeBytes, files);
}

class LayoutCopy implements VolumeCopy {
  readonly volumeId: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunks: number;
  private readonly files: readonly FileCopy[];
  private readonly map: LayoutMap;
  /** For each file: maps a chunk to its clone, if this clone has begun. */
  private readonly begun: readonly Map<number, Promise<void>>[];

  constructor(layout: Exclude<Layout, { kind: 'simple' }>, sizeBytes: number, files: readonly FileCopy[]) {
    this.volumeId = files[0]?.volumeId ?? '';
    this.sizeBytes = sizeBytes;
    this.files = files;
    this.map = new LayoutMap({ chunkBytes: layout.kind === 'stripe' ? layout.chunkBytes : null, parts: layout.parts });
    this.begun = files.map(() => new Map());
    this.chunkBytes = chunkBytesOf(sizeBytes, files);
    this.chunks = Math.ceil(sizeBytes / this.chunkBytes);
  }

  async clone(index: number): Promise<void> {
    const fromBytes = index * this.chunkBytes;
    const toBytes = Math.min(this.sizeBytes, fromBytes + this.chunkBytes);
    const isLast = index === this.chunks - 1;
    await allSettled(
      this.files.map(async (file, part) => {
        const from = Math.floor(this.map.bytesBefore(part, fromBytes) / file.chunkBytes);
        // The files of a stripe extend beyond the end of the volume.
        const to = isLast ? file.chunks : Math.ceil(this.map.bytesBefore(part, toBytes) / file.chunkBytes);
        for (let chunk = from; chunk < to; chunk++) await this.cloneOf(part, chunk);
      }),
    );
  }

  async close(): Promise<void> {
    await allSettled(this.files.map((file) => file.close()));
  }

  private cloneOf(part: number, chunk: number): Promise<void> {
    const begun = this.begun[part]!;
    const clone = begun.get(chunk) ?? this.files[part]!.clone(chunk);
    begun.set(chunk, clone);
    return clone;
  }
}

/**
 * Returns the chunk size of the copy: the smallest chunk size of all files with several chunks, so that a change waits for few clones.
 * The size is doubled until the copy has at most CHUNKS_MAX chunks. If no file has several chunks, returns the size of the volume.
 */
function chunkBytesOf(sizeBytes: number, files: readonly FileCopy[]): number {
  const several = files.filter(({ chunks }) => chunks > 1);
  if (several.length === 0) return sizeBytes;
  let chunkBytes = Math.min(...several.map((file) => file.chunkBytes));
  while (sizeBytes / chunkBytes > CHUNKS_MAX) chunkBytes *= 2;
  return chunkBytes;
}

/** Waits for all work before it throws the first failure, so that no work is then running. */
async function allSettled(work: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
