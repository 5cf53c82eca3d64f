// Tests the sentence about pools whose volumes may need more space than there is, and a pool of unknown size.
// The pools consist of what the sentence needs.

import { expect, test } from 'vitest';
import { checkPromise, type PoolState } from '../catalogue.ts';
import { overcommitText } from './overcommit.ts';

const GIB = 1024 ** 3;
const simple = (sizeBytes: number) => [String(sizeBytes), { sizeBytes, layout: { kind: 'simple' } }] as const;
const pool = (name: string, totalBytes: number | null): PoolState => {
  const space = totalBytes === null ? null : { totalBytes, freeBytes: 0 };
  const volumes = new Map([simple(20 * GIB), simple(GIB)]);
  return { name, space, reserve: 0.05, overcommit: 'warn', volumes, removed: new Map(), partBytes: 0 } as unknown as PoolState;
};

test('volumes that may need more space than there is are said, and a pool without a known size is not', () => {
  expect(overcommitText([pool('slow', 23 * GIB), pool('fast', 20 * GIB)], 0)).toBe(
    'The volumes of pool fast may grow to 21g, and it has 19g above its reserve: when it is full, writes wait until there is space',
  );
  expect(overcommitText([pool('slow', 22 * GIB)], 0), 'the reserve is no space for volumes').not.toBeNull();
  expect(overcommitText([pool('slow', 23 * GIB)], 0)).toBeNull();
  expect(overcommitText([pool('slow', 23 * GIB)], GIB), 'a job will put a volume there').toMatch(/may grow to 22g, and it has 21.*g above/);
  expect(overcommitText([pool('gone', null)], GIB)).toBeNull();
  expect(overcommitText([{ ...pool('fast', 20 * GIB), overcommit: 'allow' }], GIB)).toBeNull();
});

test('a pool of unknown size that refuses overcommit promises nothing', () => {
  const gone = { ...pool('gone', null), overcommit: 'refuse' as const, limitBytes: null };
  expect(() => checkPromise(gone, 1)).toThrow(
    'Pool gone promises nothing more while its size is unknown (overcommit = refuse in section [pool gone] of rssrvcfg): try again later',
  );
  expect(() => checkPromise(gone, 0)).not.toThrow();
});
