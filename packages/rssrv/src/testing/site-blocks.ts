// What random lives of two servers have in common: their random numbers, and the blocks of their volumes. Invariant: the seed determines all
// numbers.

import fs from 'node:fs';

export const SITE_BLOCK_BYTES = 4096;

/** Returns a number below a bound. */
export type Random = (below: number) => number;

/** Returns a generator of numbers. */
export function randomFrom(seed: number): Random {
  let state = (seed * 2_654_435_761) % 2_147_483_647 || 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

/** Puts a file of zeros in the place of a file. */
export function replaceFile(file: string): void {
  fs.writeFileSync(`${file}.restored`, Buffer.alloc(fs.statSync(file).size));
  fs.renameSync(`${file}.restored`, file);
}

export function blockOf(content: Buffer, index: number): Buffer {
  const block = Buffer.alloc(SITE_BLOCK_BYTES);
  content.subarray(index * SITE_BLOCK_BYTES, (index + 1) * SITE_BLOCK_BYTES).copy(block);
  return block;
}
