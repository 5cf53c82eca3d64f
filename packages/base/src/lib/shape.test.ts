// Tests values that fit a shape, and values that do not fit, with the position of the first misfit. Also tests that a reader accepts fields
// that a later release adds. test/integration tests that the answers of real daemons fit their shapes.

import { describe, expect, test } from 'vitest';
import {
  atMost,
  count,
  fieldsOf,
  filledText,
  flag,
  list,
  map,
  misfit,
  number,
  object,
  oneOf,
  optional,
  orNull,
  record,
  text,
  textThat,
  variants,
  whole,
  word,
} from './shape.ts';

const SHAPE = object({
  name: filledText(),
  remark: text(),
  state: word(['up', 'down']),
  bytes: count(),
  percent: whole(1, 100),
  rate: number(),
  done: flag(),
  error: orNull(object({ code: text() })),
  paths: list(object({ at: orNull(number()) })),
});

const GOOD = { name: 'a', remark: '', state: 'up', bytes: 0, percent: 100, rate: -0.5, done: false, error: null, paths: [{ at: null }] };

test('a value that fits', () => {
  expect(misfit(SHAPE, GOOD)).toBeNull();
  expect(misfit(SHAPE, GOOD, 'exactly')).toBeNull();
  expect(misfit(SHAPE, { ...GOOD, error: { code: 'E_HELD' }, paths: [] }, 'exactly')).toBeNull();
});

describe.each(['open', 'exactly'] as const)('a value that does not fit, %s', (strictness) => {
  test.each<[Record<string, unknown>, string]>([
    [{ name: '' }, 'name is not a text'],
    [{ name: 7 }, 'name is not a text'],
    [{ remark: null }, 'remark is not text'],
    [{ state: 1 }, 'state is not text'],
    [{ bytes: -1 }, 'bytes is not a whole number from 0'],
    [{ bytes: 1.5 }, 'bytes is not a whole number from 0'],
    [{ bytes: '1' }, 'bytes is not a whole number from 0'],
    [{ percent: 101 }, 'percent is not a whole number from 1 to 100'],
    [{ rate: Number.NaN }, 'rate is not a number'],
    [{ rate: null }, 'rate is not a number'],
    [{ done: 0 }, 'done is not true or false'],
    [{ error: {} }, 'error.code is missing'],
    [{ error: undefined }, 'error is not an object'],
    [{ error: [] }, 'error is not an object'],
    [{ paths: {} }, 'paths is not a list'],
    [{ paths: [{ at: 1 }, { at: 'x' }] }, 'paths[1].at is not a number'],
    [{ paths: [{ at: 1 }, null] }, 'paths[1] is not an object'],
  ])('%j: %s', (change, found) => {
    expect(misfit(SHAPE, { ...GOOD, ...change }, strictness)).toBe(found);
  });
});

test('a missing field is named, also at the top', () => {
  const { bytes: _, ...rest } = GOOD;
  expect(misfit(SHAPE, rest)).toBe('bytes is missing');
  expect(misfit(SHAPE, null)).toBe('it is not an object');
});

test.each<[Record<string, unknown>, string]>([
  [{ state: 'sideways' }, 'state is not one of up, down'],
  [{ later: 1 }, 'later is not known'],
  [{ paths: [{ at: 1, of: 2 }] }, 'paths[0].of is not known'],
])('what a later release may add passes, unless it must fit exactly: %j', (change, found) => {
  expect(misfit(SHAPE, { ...GOOD, ...change })).toBeNull();
  expect(misfit(SHAPE, { ...GOOD, ...change }, 'exactly')).toBe(found);
});

test('a record is any object, and no list', () => {
  expect(misfit(record(), { any: [1] }, 'exactly')).toBeNull();
  for (const wrong of [null, [], 'x', 1]) expect(misfit(object({ at: record() }), { at: wrong })).toBe('at is not an object');
});

const STORED = object({
  id: textThat((value) => value.length === 2, 'an id'),
  size: oneOf(512, 4096),
  note: optional(text()),
  clients: atMost(2, map(count())),
  end: variants('kind', { done: {}, failed: { reason: word(['full', 'gone']) } }),
});
const KEPT = { id: 'ab', size: 512, clients: { a: 1 }, end: { kind: 'failed', reason: 'gone' } } as const;

test.each<[Record<string, unknown>, string | null]>([
  [{}, null],
  [{ note: 'x', end: { kind: 'done', reason: 7 } }, null],
  [{ later: 1, end: { kind: 'done' } }, null],
  [{ id: 'abc' }, 'id is not an id'],
  [{ id: 7 }, 'id is not text'],
  [{ size: 1024 }, 'size is not 512 or 4096'],
  [{ note: null }, 'note is not text'],
  [{ clients: { a: -1 } }, 'clients.a is not a whole number from 0'],
  [{ clients: { a: 1, b: 2, c: 3 } }, 'clients has more than 2 entries'],
  [{ clients: [1] }, 'clients is not an object'],
  [{ clients: { 'a\u001b': -1 } }, 'clients.a\\x1b is not a whole number from 0'],
  [{ end: { kind: 'late' } }, 'end.kind is not one of done, failed'],
  [{ end: { kind: 'toString' } }, 'end.kind is not one of done, failed'],
  [{ end: { kind: 'failed' } }, 'end.reason is missing'],
  [{ end: { kind: 'failed', reason: 'late' } }, 'end.reason is not one of full, gone'],
])('in a state file, %j: %s', (change, found) => {
  expect(misfit(STORED, { ...KEPT, ...change }, 'stored')).toBe(found);
});

test('a shape takes its own fields out of an object, and no others', () => {
  expect(fieldsOf(STORED, { ...KEPT, later: 1 } as typeof KEPT)).toEqual(KEPT);
  expect(Object.keys(fieldsOf(object({ a: optional(text()) }), { a: undefined } as never))).toEqual([]);
});
