// Tests the proposals of moves: examples, and the rules that hold for every farm. farm.test.ts of rsadm tests the output, and
// test/integration/farm-commands.test.ts tests the loads of servers.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { sharedPool } from '../testing/server-views.ts';
import type { SharedPoolView } from '../views/views.ts';
import { describe, expect, test } from 'vitest';
import { balancingMoves, type PoolMove, serverLoads } from './farm-balance.ts';

const SERVERS = ['a', 'b', 'c', 'd'];

function pool(name: string, owner: string, load: number | null, there = ['a', 'b'], more: Partial<SharedPoolView> = {}): SharedPoolView {
  return sharedPool({ name, owner, load, owners: ['a', 'b'].map((server) => ({ server, isThere: there.includes(server) })), ...more });
}

function shown(moves: readonly PoolMove[]): string[] {
  return moves.map(({ pool: name, from, to }) => `${name}: ${from} -> ${to}`);
}

function highest(loads: ReadonlyMap<string, number>): number {
  return Math.max(0, ...loads.values());
}

test.each<[string, SharedPoolView[], string[]]>([
  ['two pools on one of two servers', [pool('x', 'a', 100), pool('y', 'a', 80)], ['x: a -> b']],
  ['the loads are equal', [pool('x', 'a', 100), pool('y', 'b', 100)], []],
  ['one pool has all the load', [pool('x', 'a', 100), pool('y', 'a', 0)], []],
  ['the gain is below a tenth', [pool('x', 'a', 100), pool('y', 'a', 9), pool('z', 'b', 95)], []],
  ['the other server is not there', [pool('x', 'a', 100, ['a']), pool('y', 'a', 80, ['a'])], []],
  ['the owner is not there', [pool('x', 'a', 100, ['b']), pool('y', 'a', 80, ['b'])], []],
  ['no load is known', [pool('x', 'a', null), pool('y', 'a', null)], []],
  ['a pool is being taken', [pool('x', 'a', 100), pool('y', 'a', 80, ['a', 'b'], { state: 'taking' })], []],
  ['only commands move them', [100, 80].map((load, at) => pool(`x${at}`, 'a', load, ['a', 'b'], { takeOverMs: null })), []],
  ['nothing is loaded', [pool('x', 'a', 0), pool('y', 'a', 0)], []],
])('%s', (_, pools, moves) => {
  expect(shown(balancingMoves(pools))).toEqual(moves);
});

test('of equal servers, the preferred one gets the pool', () => {
  const owners = ['c', 'a', 'b'].map((server) => ({ server, isThere: true }));
  expect(shown(balancingMoves(['x', 'y'].map((name) => pool(name, 'b', 50, [], { owners }))))).toEqual(['x: b -> c']);
});

describe('random farms', () => {
  test.each(Array.from({ length: 300 }, (_, seed) => seed))('seed %i', (seed) => {
    const random = new SeededRandom(seed);
    const pools = Array.from({ length: random.int(0, 12) }, (_, at) => {
      const order = new Map(SERVERS.map((server) => [server, random.unit()]));
      const owners = SERVERS.toSorted((a, b) => order.get(a)! - order.get(b)!).slice(0, random.int(1, SERVERS.length));
      return sharedPool({
        name: `p${at}`,
        owner: random.pick(owners),
        owners: owners.map((server) => ({ server, isThere: random.chance(0.8) })),
        load: random.chance(0.9) ? random.int(0, random.pick([3, 100, 100_000])) : null,
        state: random.chance(0.9) ? 'serving' : 'taking',
        takeOverMs: random.chance(0.9) ? 10_000 : null,
      });
    });
    const moves = balancingMoves(pools);
    for (const { pool: name, from, to } of moves) {
      const { owner, owners, state, load, takeOverMs } = pools.find((one) => one.name === name)!;
      const isThere = (server: string): boolean => owners.some((one) => one.server === server && one.isThere);
      expect([owner, isThere(from), isThere(to), to === from, state, load === null, takeOverMs === null]).toEqual([
        ...[from, true, true, false],
        ...['serving', false, false],
      ]);
    }
    expect(new Set(moves.map((move) => move.pool)).size).toBe(moves.length);
    const [before, after] = [serverLoads(pools, []), serverLoads(pools, moves)];
    const sum = (loads: ReadonlyMap<string, number>): number => [...loads.values()].reduce((all, load) => all + load, 0);
    expect(sum(after)).toBe(sum(before));
    expect(highest(after)).toBeLessThanOrEqual(highest(before));
    const moved = pools.map((one) => ({ ...one, owner: moves.find((move) => move.pool === one.name)?.to ?? one.owner }));
    expect(balancingMoves(moved)).toEqual([]);
  });
});
