// Tests the copy of an incremental backup with two states of a volume in memory, and a map that also marks unchanged blocks. Real servers
// and files are in test/interop/backup.test.ts. Rules: G29.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changedPieces, copyChanges } from './copy-changes.ts';
import { PIECE_BYTES, STATUS_BYTES } from '../limits.ts';

const BLOCK = 512;

/**
 * Makes a source with the content `blocks`. The source reports the blocks in `dirty` as changed, in answers of at most `partBlocks` blocks.
 */
function sourceOf(blocks: readonly number[], dirty: ReadonlySet<number>, partBlocks: number) {
  const content = Buffer.concat(blocks.map((value) => Buffer.alloc(BLOCK, value)));
  return {
    sizeBytes: content.length,
    read: async (offset: number, length: number) => content.subarray(offset, offset + length),
    status: async (offset: number, length: number) => {
      const parts = [];
      const end = Math.min(offset + length, offset + partBlocks * BLOCK);
      for (let at = offset; at < end; at += BLOCK) parts.push({ lengthBytes: BLOCK, flags: dirty.has(at / BLOCK) ? 1 : 0 });
      return parts;
    },
  };
}

test('the target becomes the source, whatever is told beyond what has changed', async () => {
  const block = fc.constantFrom(0, 0, 1, 2);
  const states = fc.array(fc.tuple(block, block, fc.boolean()), { minLength: 1, maxLength: 40 });
  const property = fc.asyncProperty(states, fc.integer({ min: 1, max: 50 }), async (list, partBlocks) => {
    const dirty = new Set(list.flatMap(([before, after, isMore], index) => (before !== after || isMore ? [index] : [])));
    const source = sourceOf(
      list.map(([, after]) => after),
      dirty,
      partBlocks,
    );
    const target = Buffer.concat(list.map(([before]) => Buffer.alloc(BLOCK, before)));
    let isFlushed = false;
    const changedBytes = await copyChanges(source, {
      sizeBytes: target.length,
      write: async (offset, data) => void data.copy(target, offset),
      writeZeros: async (offset, length) => void target.fill(0, offset, offset + length),
      flush: async () => void (isFlushed = true),
    });
    expect(target.equals(await source.read(0, source.sizeBytes))).toBe(true);
    expect([changedBytes, isFlushed]).toEqual([dirty.size * BLOCK, true]);
  });
  await fc.assert(property);
});

test('a large range is copied in pieces, and a source that says nothing is an error', async () => {
  const sizeBytes = STATUS_BYTES + 3 * PIECE_BYTES + BLOCK;
  const all = await changedPieces({ sizeBytes, status: async (_, lengthBytes) => [{ lengthBytes, flags: 1 }] });
  expect(Math.max(...all.map(({ lengthBytes }) => lengthBytes))).toBe(PIECE_BYTES);
  expect(all.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)).toBe(sizeBytes);
  await expect(changedPieces({ sizeBytes, status: async () => [] })).rejects.toThrow('did not say what has changed from byte 0 on');
  const small = { sizeBytes: 512, write: async () => undefined, writeZeros: async () => undefined, flush: async () => undefined };
  await expect(copyChanges(sourceOf([1, 1], new Set(), 1), small)).rejects.toThrow('less than the 1024 of the snapshot');
});
