// Compares the copy of a volume over several files with a flat model (property test). The copy has the content of the moment, whatever is
// written to chunks that are already cloned, and in whatever order the chunks are cloned. The files have chunks of different sizes, and
// each file may begin at any sector of the volume. Rules: G26.

import { expectSame } from '@rsio/base/testing/quick-expect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LayoutMap, stripePartBytes } from '../../storage/files/layout-map.ts';
import type { Layout } from '../disk/manifest.ts';
import type { FileCopy } from './file-copy.ts';
import { CHUNKS_MAX } from '../limits.ts';
import { copyOfVolume } from './volume-copy.ts';

const ID = '00000000-0000-4000-8000-000000000001';
const SECTOR = 512;

/** A file in memory, and a copy of it in chunks. */
class MemoryCopy {
  readonly volumeId = ID;
  readonly copy: Buffer;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly cloned: number[] = [];
  readonly content: Buffer;
  readonly chunkBytes: number;

  constructor(content: Buffer, chunkBytes: number) {
    this.content = content;
    this.chunkBytes = Math.min(chunkBytes, content.length);
    this.copy = Buffer.alloc(content.length);
    this.sizeBytes = content.length;
    this.chunks = Math.ceil(content.length / this.chunkBytes);
  }

  clone(index: number): Promise<void> {
    this.cloned.push(index);
    this.content.copy(this.copy, index * this.chunkBytes, index * this.chunkBytes, (index + 1) * this.chunkBytes);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const shape = fc.record({
  sizes: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 4 }),
  isStripe: fc.boolean(),
  chunks: fc.array(fc.constantFrom(512, 1024, 4096, 1 << 20), { minLength: 4, maxLength: 4 }),
  order: fc.infiniteStream(fc.nat()),
});

test('the copy has the content of the moment, in any order of clones and writes', async () => {
  await fc.assert(
    fc.asyncProperty(shape, async ({ sizes, isStripe, chunks, order }) => {
      const sizeBytes = sizes.reduce((sum, one) => sum + one, 0) * SECTOR;
      const partBytes = isStripe ? sizes.map(() => stripePartBytes(sizeBytes, 1024, sizes.length)) : sizes.map((one) => one * SECTOR);
      const parts = partBytes.map((bytes) => ({ poolId: ID, fileId: ID, sizeBytes: bytes }));
      const layout: Layout = isStripe ? { kind: 'stripe', chunkBytes: 1024, parts } : { kind: 'concat', parts };
      const files = partBytes.map((bytes, index) => new MemoryCopy(Buffer.alloc(bytes), chunks[index]!));
      const map = new LayoutMap({ chunkBytes: isStripe ? 1024 : null, parts });
      const at = (sector: number): [part: number, position: number] => {
        map.seek(sector * SECTOR);
        return [map.part, map.partPositionBytes];
      };
      for (let sector = 0; sector * SECTOR < sizeBytes; sector++) {
        const [part, position] = at(sector);
        files[part]!.content.fill((sector % 250) + 1, position, position + SECTOR);
      }
      const whole = copyOfVolume(layout, sizeBytes, files as unknown as FileCopy[]);
      expectSame(whole.chunks, Math.ceil(sizeBytes / whole.chunkBytes));
      if (whole.chunks > 1) expectSame(Number.isInteger(Math.log2(whole.chunkBytes)), true);
      const left = Array.from({ length: whole.chunks }, (_, index) => index);
      while (left.length > 0) {
        const [chunk] = left.splice(order.next().value % left.length, 1);
        await whole.clone(chunk!);
        // Without waiting, a client may change a chunk that is already cloned.
        const [from, to] = [chunk! * whole.chunkBytes, Math.min(sizeBytes, (chunk! + 1) * whole.chunkBytes)];
        for (let sector = from / SECTOR; sector < to / SECTOR; sector++) {
          const [part, position] = at(sector);
          files[part]!.content.fill(255, position, position + SECTOR);
        }
      }
      for (let sector = 0; sector * SECTOR < sizeBytes; sector++) {
        const [part, position] = at(sector);
        expectSame(files[part]!.copy[position], (sector % 250) + 1);
      }
      for (const file of files)
        expect(file.cloned.toSorted((a, b) => a - b)).toEqual(Array.from({ length: file.chunks }, (_, index) => index));
    }),
    { seed: 7, numRuns: 300 },
  );
});

test('a huge file beside a small one with small chunks makes no more chunks than can be guarded', () => {
  const file = (sizeBytes: number, chunkBytes: number) =>
    ({ volumeId: ID, sizeBytes, chunkBytes, chunks: Math.ceil(sizeBytes / chunkBytes) }) as unknown as FileCopy;
  const [small, huge] = [2 ** 24, 2 ** 46];
  const parts = [small, huge].map((sizeBytes) => ({ poolId: ID, fileId: ID, sizeBytes }));
  const copy = copyOfVolume({ kind: 'concat', parts }, small + huge, [file(small, 2 ** 20), file(huge, 2 ** 30)]);
  expect(copy.chunks).toBeLessThanOrEqual(CHUNKS_MAX);
});
