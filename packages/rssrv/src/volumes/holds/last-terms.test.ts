// Tests what a server remembers about the terms under which a replica was written: crashes between terms and within a term, data with
// another identity, and holds of earlier releases. mirrors/mirror-votes.test.ts tests the answers to claims. Rules: Q10.

import type { Term } from '@rsio/protocol/wire/mirror-messages';
import { expect, test } from 'vitest';
import { type VolumeHolds, withKnownTerm } from './hold-rules.ts';
import { type LastTerm, lackedTerm, withLife, withWriter } from './last-terms.ts';

const DATA = 'd'.repeat(32);
const term = (number: number, node = 'mars'): Term => ({ number, node, instance: 1 });
const lacked = (last: LastTerm | undefined, life: string, data = DATA): Term | null => lackedTerm(last, data, life, term(99));

test('a term is lacked as soon as its life has ended, and for ever if a later term begins in another life', () => {
  const first = withWriter(undefined, DATA, term(1), 'a');
  expect([lacked(first, 'a'), lacked(first, 'b')]).toEqual([null, term(1)]);
  const second = withWriter(first, DATA, term(2), 'b');
  expect([lacked(second, 'b'), lacked(second, 'c')]).toEqual([term(1), term(2)]);
  expect(lacked(withWriter(second, DATA, term(3), 'b'), 'b')).toEqual(term(1));
  expect(lacked(withWriter(second, DATA, term(3), 'c'), 'c')).toEqual(term(2));
});

test('terms of one number are different terms', () => {
  const first = withWriter(undefined, DATA, term(1, 'big-2'), 'a');
  expect(lacked(withWriter(first, DATA, term(1, 'mars'), 'b'), 'b')).toEqual(term(1, 'big-2'));
});

test('a term whose client has sent everything again is not lacked, and an earlier one still is', () => {
  const last = withLife(withWriter(withWriter(undefined, DATA, term(1), 'a'), DATA, term(2), 'b'), term(2), 'c');
  expect([lacked(last, 'c'), lacked(last, 'd')]).toEqual([term(1), term(2)]);
  expect(withLife(last, term(1), 'e'), 'another term').toBe(last);
});

test('the asker is not told of its own term', () => {
  const last = withWriter(withWriter(undefined, DATA, term(1), 'a'), DATA, term(2), 'b');
  expect(lackedTerm(last, DATA, 'c', term(2))).toEqual(term(1));
});

test('data with another identity lacks nothing of what was there before', () => {
  const other = 'e'.repeat(32);
  const first = withWriter(undefined, DATA, term(1), 'a');
  expect(lacked(first, 'b', other)).toBeNull();
  expect(lacked(withWriter(first, other, term(2), 'b'), 'b', other)).toBeNull();
});

test('the hold of an earlier release is the last term, and a reader is not', () => {
  const hold = { node: 'mars', instance: 1, machine: 'm', process: null, address: '127.0.0.1', sinceMs: 1, epoch: 1, life: 'a', term: 1 };
  const entry = (readonly: boolean): VolumeHolds => ({ epoch: 1, holds: [{ ...hold, readonly }], taken: null });
  const { lastTerm } = withKnownTerm(entry(false));
  expect([lacked(lastTerm, 'a'), lacked(lastTerm, 'b')]).toEqual([null, term(1)]);
  expect(lacked(withWriter(lastTerm, DATA, term(2), 'b'), 'b')).toEqual(term(1));
  expect(withKnownTerm(entry(true)).lastTerm).toBeUndefined();
});
