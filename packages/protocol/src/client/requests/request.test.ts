// Tests into which segments large I/O is cut, depending on its length and the number of paths. scheduler-links.test.ts tests the effect on
// throughput. The volume's tests check that every byte is sent once.

import { expect, test } from 'vitest';
import { PATHS_PER_TRUNK_MAX, SEGMENT_BYTES } from '../../link/limits.ts';
import { SEGMENT_MIN_BYTES } from '../limits.ts';
import { segmentBytes } from './request.ts';

const MIB = 1024 * 1024;

test.each([
  [MIB, 1, SEGMENT_BYTES],
  [MIB, 4, SEGMENT_BYTES],
  [MIB, 5, SEGMENT_MIN_BYTES],
  [MIB, 8, SEGMENT_MIN_BYTES],
  [2 * MIB, 8, SEGMENT_BYTES],
  [SEGMENT_BYTES, 1, SEGMENT_BYTES],
  [SEGMENT_BYTES, 2, SEGMENT_MIN_BYTES],
  [MIB, 0, SEGMENT_BYTES],
])('%i bytes over %i paths go in pieces of %i', (ioBytes, pathCount, expected) => {
  expect(segmentBytes(ioBytes, pathCount)).toBe(expected);
});

test('there is a segment for each path, unless segments have the minimum length', () => {
  for (let pathCount = 1; pathCount <= PATHS_PER_TRUNK_MAX; pathCount++) {
    for (let ioBytes = 4096; ioBytes <= 4 * MIB; ioBytes += 36_864) {
      const pieces = Math.ceil(ioBytes / segmentBytes(ioBytes, pathCount));
      expect(pieces >= pathCount || segmentBytes(ioBytes, pathCount) === SEGMENT_MIN_BYTES).toBe(true);
    }
  }
});
