// Tests which servers offer a snapshot of a mirror (M22).
// Real servers are tested in test/integration/mirror-snapshots.test.ts.

import { snapshot } from '@rsio/api/testing/server-views';
import { expect, test } from 'vitest';
import { provenOf } from './snapshot-offers.ts';

const MIRROR = 'a'.repeat(32);
const at = (server: string, moment: { term: number; number: number; isProven?: boolean; mirror?: string } | null) => ({
  offer: { server },
  found: snapshot({ moment: moment === null ? null : { mirror: MIRROR, isProven: true, ...moment } }),
});
const names = (...all: Parameters<typeof provenOf<{ server: string }>>[2][number][]) =>
  provenOf('osl:db@0@x', MIRROR, all).map(({ server }) => server);

test('the servers that have it proven, at the latest moment of that name', () => {
  expect(names(at('big-9', { term: 3, number: 1 }), at('big-8', { term: 3, number: 1 }))).toEqual(['big-9', 'big-8']);
  expect(names(at('big-9', { term: 3, number: 1, isProven: false }), at('big-8', { term: 3, number: 1 }))).toEqual(['big-8']);
  expect(names(at('big-9', null), at('big-8', { term: 3, number: 1 }))).toEqual(['big-8']);
});

test('an earlier one of a server that was away is not chosen', () => {
  expect(names(at('big-9', { term: 2, number: 9 }), at('big-8', { term: 3, number: 1 }))).toEqual(['big-8']);
  expect(names(at('big-9', { term: 3, number: 2 }), at('big-8', { term: 3, number: 1 }))).toEqual(['big-9']);
});

test('one that is of a replica only, or of another mirror, is refused and named', () => {
  expect(() => names({ offer: { server: 'big-9' }, found: null })).toThrow('No server in reach has snapshot osl:db@0@x of the mirror');
  for (const moment of [null, { term: 3, number: 1, isProven: false }, { term: 9, number: 1, mirror: 'b'.repeat(32) }])
    expect(() => names(at('big-9', moment))).toThrow('on big-9 is not one of the mirror');
});
