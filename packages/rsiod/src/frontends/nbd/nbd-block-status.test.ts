// The replies to BLOCK_STATUS for given extents. Some replies are compared byte by byte with the layout in the NBD protocol document.
// Finding extents is the volume's job; real clients are tested in test/interop.

import { describe, expect, it } from 'vitest';
import { EXTENTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import { NBD_BATCH_BYTES } from '../limits.ts';
import { allocationDescriptors, BLOCK_STATUS_MAX_BYTES, writeBlockStatus } from './nbd-block-status.ts';
import { ALLOCATION_CONTEXT_ID } from './wire/nbd-constants.ts';

const data = (lengthBytes: number) => ({ lengthBytes, isHole: false });
const hole = (lengthBytes: number) => ({ lengthBytes, isHole: true });

describe('allocation descriptors', () => {
  it('merge neighbours of one kind and end with the request', () => {
    expect(allocationDescriptors([data(512), data(512), hole(1024), data(8192)], 0, 4096, false)).toEqual([1024, 0, 1024, 3, 2048, 0]);
  });

  it('are one if the client asks for one, not longer than the request', () => {
    expect(allocationDescriptors([hole(512), hole(512), data(512)], 0, 4096, true)).toEqual([1024, 3]);
    expect(allocationDescriptors([hole(2 ** 40)], 0, 4096, true)).toEqual([4096, 3]);
  });

  it('begin with the request, also within an extent', () => {
    expect(allocationDescriptors([data(512), hole(1024), data(512)], 700, 1000, false)).toEqual([836, 3, 164, 0]);
    expect(allocationDescriptors([data(512)], 700, 1000, false)).toEqual([1000, 0]);
    expect(allocationDescriptors([hole(2 ** 32)], 511, 0xffffffff, true)).toEqual([2 ** 32 - 511, 3]);
  });

  it('are never empty', () => {
    expect(allocationDescriptors([], 0, 4096, false)).toEqual([4096, 0]);
    expect(allocationDescriptors([hole(0)], 0, 4096, false)).toEqual([4096, 0]);
  });

  it('are no more than one reply carries', () => {
    const many = Array.from({ length: 5000 }, (_, i) => (i % 2 === 0 ? data(512) : hole(512)));
    const descriptors = allocationDescriptors(many, 0, 5000 * 512, false);
    expect(descriptors).toHaveLength(2 * EXTENTS_PER_ANSWER_MAX);
    const into = Buffer.alloc(BLOCK_STATUS_MAX_BYTES);
    expect(writeBlockStatus(into, 0, { cookieHigh: 0, cookieLow: 1 }, descriptors, ALLOCATION_CONTEXT_ID, true)).toBe(
      BLOCK_STATUS_MAX_BYTES,
    );
    expect(BLOCK_STATUS_MAX_BYTES).toBeLessThan(NBD_BATCH_BYTES);
  });

  it('match their golden bytes', () => {
    const into = Buffer.alloc(40);
    expect(writeBlockStatus(into, 0, { cookieHigh: 0, cookieLow: 7 }, [512, 3, 1024, 0], ALLOCATION_CONTEXT_ID, true)).toBe(40);
    expect(into.toString('hex')).toBe(
      '668e33ef' + '0001' + '0005' + '0000000000000007' + '00000014' + '00000001' + '0000020000000003' + '0000040000000000',
    );
  });
});
