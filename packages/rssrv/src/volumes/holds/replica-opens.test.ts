// Tests which client may open a replica of a mirror, for every kind of OPEN with every kind of promise and hold.
// mirrors/mirror-votes.test.ts tests the holds that these OPENs leave. Rules: Q6.

import { expect, test } from 'vitest';
import type { OpenTerm } from '@rsio/protocol/wire/messages';
import type { Term } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { BIG2, MARS, OPEN, VOLUME } from '../../testing/contenders.ts';
import { type Hold, NO_HOLDS } from './hold-rules.ts';
import { refusedReplica } from './replica-opens.ts';

const [MIRROR, OTHER] = ['a'.repeat(32), 'b'.repeat(32)];
const REPLICA = { ...VOLUME, replica: { mirror: MIRROR, identity: 'c'.repeat(32), mapPath: '/map' } };
const HOLD: Hold = {
  node: 'big-2',
  machine: 'm',
  instance: 3,
  process: 'p',
  address: '',
  sinceMs: 0,
  readonly: false,
  epoch: 1,
  life: 'life',
};

function outcome(
  mirror: OpenTerm | null,
  promise: Term | null,
  { volume = REPLICA as typeof VOLUME, holds = [] as readonly Hold[], client = BIG2 } = {},
): number {
  const known = (asked: string) => (asked === MIRROR ? { name: 'db', promise } : null);
  return refusedReplica(volume, { ...NO_HOLDS, holds }, client, { ...OPEN, mirror }, known)?.status ?? STATUS.OK;
}

const asked = (number: number): OpenTerm => ({ mirror: MIRROR, number });
const term = (number: number, node = 'big-2', instance = 3): Term => ({ number, node, instance });

test('a volume that is no replica is opened without a term only', () => {
  expect(outcome(null, null, { volume: VOLUME })).toBe(STATUS.OK);
  expect(outcome(asked(1), term(1), { volume: VOLUME })).toBe(STATUS.REPLICA);
});

test('a replica is not opened as a plain volume, nor for another mirror', () => {
  expect(outcome(null, term(1))).toBe(STATUS.REPLICA);
  expect(outcome({ mirror: OTHER, number: 1 }, term(1))).toBe(STATUS.REPLICA);
});

test.each<[string, number, Term | null]>([
  ['the promised term', STATUS.OK, term(5)],
  ['a term of a server without a record, or without a promise', STATUS.UNCLAIMED, null],
  ['a term above the promise', STATUS.UNCLAIMED, term(4)],
  ['a term above the promise of an earlier start of the client', STATUS.UNCLAIMED, term(5, 'big-2', 2)],
  ['a term below the promise', STATUS.TAKEN, term(6)],
  ['a term below that of a later start of the client', STATUS.TAKEN, term(5, 'big-2', 4)],
  ['a term below that of another client', STATUS.TAKEN, term(5, 'mars', 3)],
])('%s', (_, status, promise) => {
  expect(outcome(asked(5), promise)).toBe(status);
});

test('the node and the instance of the term are those of the session', () => {
  expect(outcome(asked(5), term(5), { client: MARS })).not.toBe(STATUS.OK);
});

test('a hold of another term, or of none, must have ended', () => {
  expect(outcome(asked(5), term(5), { holds: [{ ...HOLD, term: 5 }] })).toBe(STATUS.OK);
  for (const hold of [HOLD, { ...HOLD, term: 4 }, { ...HOLD, term: 5, instance: 2 }, { ...HOLD, term: 5, node: 'mars' }])
    expect(outcome(asked(5), term(5), { holds: [{ ...HOLD, term: 5 }, hold] })).toBe(STATUS.UNCLAIMED);
});
