// Compares the bytes of a volume of several files, and the differences between two of its states, with a model in one buffer. The layouts
// are random, and include a concat that has grown. If a copy begins with the old state, continues at any offset and gets the differences,
// it must have the new state at the end.

import fs from 'node:fs';
import { open } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LayoutMap, stripePartBytes } from '../../storage/files/layout-map.ts';
import type { Layout } from '../../pools/disk/manifest.ts';
import { COMPARED_CONTENT } from '../../testing/move-scene.ts';
import { RangeCopy } from './changed-data.ts';
import { contentRanges, isComparable, VolumeContent } from './volume-content.ts';

const BLOCK = 4_096;
let directory = '';

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-content-'));
});
afterEach(() => removeFolder(directory));

const id = (digit: number): string => `00000000-0000-4000-8000-00000000000${digit}`;
const partOf = (blocks: number, index: number) => ({ poolId: id(index), fileId: id(index), sizeBytes: blocks * BLOCK });

interface Case {
  readonly layout: Exclude<Layout, { kind: 'simple' }>;
  readonly sizeBytes: number;
  /**
   * Number of files that the volume has before the change. If a concat has grown, this number is smaller than the number of files in the
   * new state.
   */
  readonly baseFiles: number;
}

const concat: fc.Arbitrary<Case> = fc
  .tuple(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 4 }), fc.integer({ min: 1, max: 4 }))
  .map(([blocks, baseFiles]) => ({
    layout: { kind: 'concat', parts: blocks.map(partOf) },
    sizeBytes: blocks.reduce((sum, one) => sum + one, 0) * BLOCK,
    baseFiles: Math.min(baseFiles, blocks.length),
  }));
const stripe: fc.Arbitrary<Case> = fc
  .tuple(fc.integer({ min: 2, max: 4 }), fc.constantFrom(1, 2), fc.integer({ min: 1, max: 20 }))
  .map(([files, chunks, blocks]) => {
    const [chunkBytes, sizeBytes] = [chunks * BLOCK, blocks * BLOCK];
    const partBlocks = stripePartBytes(sizeBytes, chunkBytes, files) / BLOCK;
    const parts = Array.from({ length: files }, (_, index) => partOf(partBlocks, index));
    return { layout: { kind: 'stripe', chunkBytes, parts }, sizeBytes, baseFiles: files };
  });

/** Writes the content into files, block by block, as the layout distributes it. */
function filesWith({ layout }: Case, name: string, content: Buffer, count: number): string[] {
  const map = new LayoutMap({ chunkBytes: layout.kind === 'stripe' ? layout.chunkBytes : null, parts: layout.parts });
  const buffers = layout.parts.map(({ sizeBytes }) => Buffer.alloc(sizeBytes));
  for (let at = 0; at < content.length; at += BLOCK) {
    map.seek(at);
    content.copy(buffers[map.part]!, map.partPositionBytes, at, at + BLOCK);
  }
  return buffers.slice(0, count).map((buffer, index) => {
    const file = path.join(directory, `${name}${index}`);
    fs.writeFileSync(file, buffer);
    return file;
  });
}

const blocksOf = (values: readonly number[], sizeBytes: number): Buffer =>
  Buffer.concat(Array.from({ length: sizeBytes / BLOCK }, (_, index) => Buffer.alloc(BLOCK, values[index % values.length])));

test('a copy that has the state before gets the state after, from any offset on', async () => {
  const values = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.oneof(concat, stripe), values, values, fc.nat(), async (one, before, after, from) => {
      const { layout, sizeBytes, baseFiles } = one;
      const grownAt =
        layout.kind === 'stripe' ? sizeBytes : layout.parts.slice(0, baseFiles).reduce((sum, part) => sum + part.sizeBytes, 0);
      const [old, now] = [blocksOf(before, sizeBytes).fill(0, grownAt), blocksOf(after, sizeBytes)];
      const base = await VolumeContent.open(filesWith(one, 'base', old, baseFiles), layout);
      const next = await VolumeContent.open(filesWith(one, 'next', now, layout.parts.length), layout);
      const target = path.join(directory, 'copy');
      const fromBytes = (from % (sizeBytes / BLOCK)) * BLOCK;
      // Everything before `fromBytes` is already copied.
      fs.writeFileSync(target, Buffer.concat([now.subarray(0, fromBytes), old.subarray(fromBytes)]));
      const copy = await open(target, 'r+');
      try {
        const copier = new RangeCopy(next, copy, () => Promise.resolve(false));
        let [end, bytes] = [fromBytes, 0];
        for await (const range of contentRanges(COMPARED_CONTENT, base, next, fromBytes, sizeBytes)) {
          expect(range.offsetBytes).toBeGreaterThanOrEqual(end);
          end = range.offsetBytes + range.lengthBytes;
          bytes += range.lengthBytes;
          await copier.copy(
            range,
            () => Promise.resolve(),
            () => undefined,
          );
        }
        expect(fs.readFileSync(target).equals(now)).toBe(true);
        const differing = Array.from({ length: sizeBytes / BLOCK }, (_, index) => index * BLOCK).filter(
          (at) => at >= fromBytes && !old.subarray(at, at + BLOCK).equals(now.subarray(at, at + BLOCK)),
        );
        expect(bytes).toBe(differing.length * BLOCK);
      } finally {
        for (const opened of [base, next, copy]) await opened.close();
      }
    }),
    { numRuns: 60 },
  );
});

test('states are compared only if each file was one with that of the other state', () => {
  const two: Layout = { kind: 'concat', parts: [partOf(1, 0), partOf(1, 1)] };
  const three: Layout = { kind: 'concat', parts: [partOf(1, 0), partOf(2, 1), partOf(1, 2)] };
  const moved: Layout = { kind: 'concat', parts: [partOf(1, 0), partOf(1, 3)] };
  const striped: Layout = { kind: 'stripe', chunkBytes: BLOCK, parts: [partOf(1, 0), partOf(1, 1)] };
  expect([isComparable(two, three), isComparable({ kind: 'simple' }, { kind: 'simple' })]).toEqual([true, true]);
  for (const [base, next] of [
    [three, two],
    [two, moved],
    [two, striped],
    [striped, { ...striped, chunkBytes: 2 * BLOCK }],
    [{ kind: 'simple' }, two],
  ] as const)
    expect(isComparable(base, next)).toBe(false);
});

test('content that a file has lost is no zeros: neither a read nor a hole in its place counts', async () => {
  const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
  fs.writeFileSync(from, Buffer.alloc(8192, 7));
  fs.writeFileSync(to, '');
  const next = await VolumeContent.open([from], { kind: 'simple' });
  const copy = await open(to, 'r+');
  await next.checkLength(8192);
  fs.truncateSync(from, 4096);
  const copier = new RangeCopy(next, copy, () => Promise.resolve(false));
  const nothing = (): void => undefined;
  const whole = { offsetBytes: 0, lengthBytes: 8192, isHole: false };
  await expect(copier.copy(whole, () => Promise.resolve(), nothing)).rejects.toThrow('A file that is copied ends at 4096 bytes: restore');
  await expect(next.checkLength(8192)).rejects.toThrow('A file that is copied has 4096 bytes, but 8192 belong to it: restore');
  await next.checkLength(4096);
  for (const one of [next, copy]) await one.close();
});
