// Every field that one server sends to another in a replication has a bound: the other server keeps it on its disk, logs it, or computes
// times from it. Rules: T4.

import { expect, test } from 'vitest';
import { misfit, type Shape } from '@rsio/base/lib/shape';
import { COPYING_METHODS, REPLICATION_REPORT } from './replication-methods.ts';

const LONG = 'x'.repeat(1_000_000);

/** Returns the fields without a bound. */
function unbounded(shape: Shape, place: string): string[] {
  const { form } = shape;
  switch (form.kind) {
    case 'text':
      return [place];
    case 'number':
      return form.min === null || form.max === null ? [place] : [];
    case 'list':
      return [`${place}[]`, ...unbounded(form.of, `${place}[]`)];
    case 'checked':
      if (form.of.form.kind === 'list') return unbounded(form.of.form.of, `${place}[]`);
      if (form.of.form.kind === 'text') return misfit(shape, LONG) === null ? [place] : [];
      if (form.of.form.kind === 'number') return misfit(shape, 1e300) === null ? [place] : [];
      return unbounded(form.of, place);
    case 'or-null':
    case 'optional':
      return unbounded(form.of, place);
    case 'object':
      return Object.entries(form.fields).flatMap(([name, of]) => unbounded(of, `${place}.${name}`));
    case 'flag':
    case 'word':
      return [];
    default:
      return [`${place} (${form.kind})`];
  }
}

const ANSWERED = ['replication-poll', 'replication-moment', 'replication-confirm', 'replication-grant', 'replication-release'] as const;

test.each(ANSWERED)('the answer of a source to %s', (method) => {
  expect(unbounded(COPYING_METHODS[method].result, method)).toEqual([]);
});

test('the report of a server that copies, and its parameters', () => {
  expect(unbounded(REPLICATION_REPORT, 'report')).toEqual([]);
  const params = ANSWERED.flatMap((method) =>
    Object.entries(COPYING_METHODS[method].params).flatMap(([name, { shape }]) => (name === 'request' ? [] : unbounded(shape, name))),
  );
  expect(params).toEqual([]);
});

test.each([
  ['everyMs', 0],
  ['everyMs', 1e300],
  ['keep', 0],
  ['keep', 501],
  ['limitBytes', 1e300],
  ['pool', '../../etc'],
  ['confirmed', 'g'],
])('an order with %s = %j is refused', (field, value) => {
  const id = '00000000-0000-4000-8000-0000000000aa';
  const order = {
    replication: id,
    pool: null,
    everyMs: 60_000,
    keep: 3,
    limitBytes: null,
    confirmed: null,
    members: [],
    moments: [],
    problem: null,
    shared: null,
    handOver: null,
    granted: null,
    isMirror: false,
  };
  const shape = COPYING_METHODS['replication-poll'].result;
  expect(misfit(shape, { nowMs: 1, orders: [order] })).toBeNull();
  expect(misfit(shape, { nowMs: 1, orders: [{ ...order, [field]: value }] })).toContain(field);
});

test.each(['..', '.hidden', 'a/b', '1', 'x'.repeat(300), ''])('a moment with a snapshot named %j is refused', (snapshot) => {
  const id = '00000000-0000-4000-8000-0000000000aa';
  const one = { volumeId: id, id, snapshot, sizeBytes: 4_096, blockSizeBytes: 512, origin: null };
  const answer = { nowMs: 1, moment: { group: id, momentMs: 1, place: null, snapshots: [one] } };
  expect(misfit(COPYING_METHODS['replication-moment'].result, answer)).toContain('snapshot');
});
