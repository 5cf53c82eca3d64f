// Combines the copies of the files of a volume into one copy of the volume, so that its changes are held and guarded together. Invariants:
// a chunk of the volume is cloned once all file chunks that have a byte of it are cloned. Each chunk of a file is cloned at most once, and
// a chunk of the volume clones those of one file one after another.

import { assert } from '@rsio/common/lib/assert';
import { LayoutMap } from '../../storage/files/layout-map.ts';
import type { Layout } from '../disk/manifest.ts';
import type { FileCopy } from './file-copy.ts';
import { CHUNKS_MAX } from '../limits.ts';
import type { ChunkedCopy } from './moment.ts';

/** An open copy of a volume. The owner must close it. */
export interface VolumeCopy extends ChunkedCopy {
  close(): Promise<void>;
}

/** `files`: the copies of the files of the layout, in its order. */
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
  /** For each file, the clones that have begun, by chunk. */
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

/** Returns the smallest chunk size among files of several chunks, so that a change waits for few clones; else the whole volume. */
function chunkBytesOf(sizeBytes: number, files: readonly FileCopy[]): number {
  const several = files.filter(({ chunks }) => chunks > 1);
  if (several.length === 0) return sizeBytes;
  let chunkBytes = Math.min(...several.map((file) => file.chunkBytes));
  while (sizeBytes / chunkBytes > CHUNKS_MAX) chunkBytes *= 2;
  return chunkBytes;
}

/** Waits for all before it throws the first failure, so that no work is running then. */
async function allSettled(work: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
