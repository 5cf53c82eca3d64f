// Tests what stands against a restart, which is less than what stops in an outage. impact.test.ts tests outages, and readiness.test.ts of
// rssrv what a server knows of itself.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type MirrorParts, mirrorWithout, restartLack } from './losses.ts';

const NAMES = ['a', 'b', 'c'];

function mirror(replicas: string, voters: string, more: { readonly behind?: string; readonly away?: string } = {}): MirrorParts {
  const { behind = '', away = '' } = more;
  return {
    replicas: Array.from(replicas, (server) => ({ server, inSync: !behind.includes(server), isReachable: !away.includes(server) })),
    voters: Array.from(voters, (server) => ({ server, answers: !away.includes(server) })),
    majority: Math.floor(voters.length / 2) + 1,
  };
}

test.each<[string, MirrorParts, Record<string, 'replica' | 'votes' | null>]>([
  ['all is well', mirror('ab', 'abc'), { a: null, b: null, c: null }],
  ['all is well without a witness: it waits for each of the two at any time', mirror('ab', 'ab'), { a: null, b: null }],
  ['the witness is away', mirror('ab', 'abc', { away: 'c' }), { a: 'votes', b: 'votes', c: null }],
  ['a replica lacks writes', mirror('ab', 'abc', { behind: 'b' }), { a: 'replica', b: null, c: null }],
  ['a replica is away', mirror('ab', 'abc', { away: 'b' }), { a: 'replica', b: null, c: 'votes' }],
  ['two voters, and a replica lacks writes', mirror('ab', 'ab', { behind: 'b' }), { a: 'replica', b: 'votes' }],
  ['a single replica, which is there', mirror('a', 'abc'), { a: 'replica', b: null, c: null }],
])('a restart: %s', (_, parts, expected) => {
  expect(Object.fromEntries(Object.keys(expected).map((server) => [server, restartLack(parts, server)]))).toEqual(expected);
});

test('what stands against a restart of a server would also stop without it for long', () => {
  const some = fc.subarray(NAMES);
  const parts = fc
    .record({ replicas: fc.subarray(NAMES, { minLength: 1 }), voters: fc.subarray(NAMES, { minLength: 1 }), behind: some, away: some })
    .map(({ replicas, voters, behind, away }) =>
      mirror(replicas.join(''), voters.join(''), { behind: behind.join(''), away: away.join('') }),
    );
  fc.assert(
    fc.property(parts, fc.constantFrom(...NAMES), (one, server) => {
      if (restartLack(one, server) !== null) expect(mirrorWithout(one, new Set([server]), false).lack).not.toBeNull();
    }),
    { seed: 1, numRuns: 1_000 },
  );
});
