// Tests the sentence about pools whose volumes may need more space than their file system has.
// The pools consist of what the sentence needs.

import { expect, test } from 'vitest';
import type { PoolState } from '../pools/catalogue.ts';
import { overcommitText } from './overcommit.ts';

const GIB = 1024 ** 3;
const simple = (sizeBytes: number) => [String(sizeBytes), { sizeBytes, layout: { kind: 'simple' } }] as const;
const pool = (name: string, totalBytes: number | null): PoolState => {
  const space = totalBytes === null ? null : { totalBytes, freeBytes: 0 };
  return { name, space, volumes: new Map([simple(20 * GIB), simple(GIB)]), removed: new Map(), partBytes: 0 } as unknown as PoolState;
};

test('volumes that may need more space than their file system has are said, and a pool without a known size is not', () => {
  expect(overcommitText([pool('slow', 21 * GIB), pool('fast', 2 * GIB)])).toBe(
    'The volumes of pool fast may grow to 21g, and its file system has 2g: when it is full, writes wait until there is space',
  );
  expect(overcommitText([pool('slow', 21 * GIB), pool('gone', null)])).toBeNull();
});
