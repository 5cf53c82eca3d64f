// Tests that a write through a synced descriptor fails if a concurrent write has got an error that may belong to this write, whichever of
// the two writes ends first.
// Rules: O2.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { beforeEach, expect, test } from 'vitest';
import type { IoEnd } from './positioned-io.ts';
import { SyncedWrites } from './synced-writes.ts';

let writes: SyncedWrites;
let ends: Record<string, string | null>;

beforeEach(() => {
  writes = new SyncedWrites();
  ends = {};
});

function begin(name: string): IoEnd {
  return writes.begin((errno) => {
    ends[name] = errno;
  });
}

test('a write alone ends at once', () => {
  begin('a')(null);
  begin('b')('EIO');
  begin('c')(null);
  expect(ends).toEqual({ a: null, b: 'EIO', c: null });
});

test('a write that ends first waits for the writes beside it, and fails with one of them', () => {
  const [a, b, c] = [begin('a'), begin('b'), begin('c')];
  a(null);
  expect(ends).toEqual({});
  b('EIO');
  expect(ends).toEqual({ a: 'EIO', b: 'EIO' });
  c(null);
  expect(ends).toEqual({ a: 'EIO', b: 'EIO', c: 'EIO' });
});

test('a write does not wait for later ones, and does not fail with them', () => {
  const [a, b] = [begin('a'), begin('b')];
  a(null);
  const c = begin('c');
  b(null);
  expect(ends).toEqual({ a: null });
  c('EIO');
  expect(ends).toEqual({ a: null, b: 'EIO', c: 'EIO' });
});

test('in any order of ends, exactly the writes beside one that has failed by itself fail, and each ends once', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SeededRandom(seed);
    const lives: { from: number; to: number; own: string | null; ended: (string | null)[] }[] = [];
    const open: { readonly at: number; readonly end: IoEnd }[] = [];
    for (let time = 0; time < 60 || open.length > 0; time++) {
      if (time < 60 && random.chance(0.5)) {
        const life = { from: time, to: Number.POSITIVE_INFINITY, own: null, ended: [] as (string | null)[] };
        open.push({ at: lives.push(life) - 1, end: writes.begin((errno) => life.ended.push(errno)) });
      } else if (open.length > 0) {
        const [{ at, end }] = open.splice(random.int(0, open.length - 1), 1) as [(typeof open)[number]];
        lives[at]!.to = time;
        lives[at]!.own = random.chance(0.1) ? 'EIO' : null;
        end(lives[at]!.own);
      }
    }
    const failsBeside = ({ from, to }: (typeof lives)[number]): boolean =>
      lives.some((other) => other.own !== null && other.from < to && other.to > from);
    for (const life of lives) expect(life.ended, `seed ${seed}`).toEqual([life.own ?? (failsBeside(life) ? 'EIO' : null)]);
  }
});
