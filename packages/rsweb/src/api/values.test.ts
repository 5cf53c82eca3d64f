// Tests that any query leads to parameters that fit their shapes, or to an error that names a parameter; and that each value of a parameter
// can be written in a query.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkedParams } from '@rsio/common/control/control-server';
import { toRsError } from '@rsio/base/lib/errors';
import { misfit } from '@rsio/base/lib/shape';
import { OPERATIONS } from './operations.ts';
import { queryValues } from './values.ts';

const reads = Object.values(OPERATIONS).flatMap((operations) => [...operations.values()].filter(({ isRead }) => isRead));
const names = [...new Set(reads.flatMap(({ params }) => Object.keys(params))), 'request', '__proto__', 'constructor', ''];
const texts = [
  '',
  'a',
  '0',
  '7',
  '-1',
  '1e3',
  '1.5',
  'NaN',
  '9'.repeat(400),
  'true',
  'false',
  'null',
  '[]',
  '{}',
  '{"name":"a","universe":0}',
  '{',
];

test('any query gives parameters that fit, or an error that names one', () => {
  const query = fc.array(fc.tuple(fc.constantFrom(...names), fc.oneof(fc.constantFrom(...texts), fc.string())), { maxLength: 6 });
  let good = 0;
  fc.assert(
    fc.property(fc.constantFrom(...reads), query, ({ method, params }, pairs) => {
      try {
        const values = checkedParams(method, params, queryValues(new URLSearchParams(pairs), params));
        expect(Object.keys(values)).toEqual(Object.keys(params));
        for (const [name, { shape }] of Object.entries(params)) expect(misfit(shape, values[name], 'exactly')).toBeNull();
        good++;
      } catch (thrown) {
        const { code, context } = toRsError(thrown);
        expect(code).toBe('E_USAGE');
        expect(names).toContain(context['parameter'] ?? context['unknown']);
      }
    }),
    { numRuns: 3_000 },
  );
  expect(good).toBeGreaterThan(100);
});

test.each([
  ['volume-show', 'name=a%20b&universe=7', { name: 'a b', universe: 7 }],
  ['volume-list', 'pool=', { pool: null }],
  ['volume-list', 'pool=null', { pool: 'null' }],
  ['audit', 'volume={"name":"a","universe":0}', { volume: { name: 'a', universe: 0 } }],
  ['events', 'after=5&waitMs=10', { after: 5, waitMs: 10 }],
])('%s?%s', (method, query, expected) => {
  expect(queryValues(new URLSearchParams(query), OPERATIONS.server.get(method)?.params ?? {})).toEqual(expected);
});
