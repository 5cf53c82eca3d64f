// Tests that the remembered texts give the text of JSON.stringify, that an entry is looked at once, and that nothing unfit has a text.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checked, count, list, map, object, optional, text } from '../lib/shape.ts';
import { StateText } from './state-text.ts';

const ENTRY = object({ epoch: count(), holds: list(object({ node: text() })), mark: optional(text()) });
const SHAPE = object({
  poolId: text(),
  volumes: map(ENTRY),
  nodes: checked(map(text()), (nodes) => (Object.keys(nodes).every((name) => name !== 'bad') ? null : 'has a bad key')),
  counts: optional(map(count())),
});

function textOf(texts: StateText, content: unknown): string {
  const result = texts.of(content);
  return 'bytes' in result ? result.bytes.toString() : result.misfit;
}

const entry = fc.record(
  {
    epoch: fc.nat(),
    holds: fc.array(fc.record({ node: fc.string() }), { maxLength: 3 }),
    mark: fc.option(fc.string(), { nil: undefined }),
  },
  { requiredKeys: ['epoch', 'holds'] },
);
const key = fc.oneof(fc.string(), fc.nat().map(String), fc.constant('__proto__x'));

test('the text is that of JSON.stringify, also when only some entries have changed', () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.tuple(key, fc.option(entry, { nil: null })), { maxLength: 20 }), (poolId, steps) => {
      const texts = new StateText(SHAPE, true);
      const volumes = new Map<string, object>();
      for (const [id, value] of steps) {
        if (value === null) volumes.delete(id);
        else volumes.set(id, value);
        const counts = volumes.size % 2 === 0 ? { counts: { a: volumes.size } } : { counts: undefined };
        const content = { poolId, volumes: Object.fromEntries(volumes), nodes: { [poolId]: poolId }, ...counts };
        if (poolId !== 'bad') expect(textOf(texts, content)).toBe(JSON.stringify(content));
      }
    }),
  );
});

/** An entry that counts how often it is looked at. */
function watched(): { readonly entry: object; looks: () => number } {
  let looks = 0;
  const value = Object.defineProperty({ holds: [] }, 'epoch', {
    enumerable: true,
    get: () => {
      looks++;
      return 1;
    },
  });
  return { entry: value, looks: () => looks };
}

test('an entry is looked at only before it is written for the first time', () => {
  const texts = new StateText(SHAPE, true);
  const { entry: old, looks } = watched();
  const content = (volumes: object): unknown => ({ poolId: 'p', volumes, nodes: {} });
  texts.of(content({ a: old }));
  const before = looks();
  expect(before).toBeGreaterThan(0);
  const text = textOf(texts, content({ a: old, b: { epoch: 2, holds: [] } }));
  expect(text).toBe('{"poolId":"p","volumes":{"a":{"holds":[],"epoch":1},"b":{"epoch":2,"holds":[]}},"nodes":{}}');
  expect(looks()).toBe(before);
});

test('an entry that has left its map is forgotten', () => {
  const texts = new StateText(SHAPE, true);
  const { entry: old, looks } = watched();
  const content = (volumes: object): unknown => ({ poolId: 'p', volumes, nodes: {} });
  texts.of(content({ a: old }));
  const before = looks();
  texts.of(content({}));
  texts.of(content({ a: old }));
  expect(looks()).toBeGreaterThan(before);
});

test('without fixed entries, each is looked at each time', () => {
  const texts = new StateText(SHAPE, false);
  const { entry: old, looks } = watched();
  texts.of({ poolId: 'p', volumes: { a: old }, nodes: {} });
  const before = looks();
  texts.of({ poolId: 'p', volumes: { a: old }, nodes: {} });
  expect(looks()).toBeGreaterThan(before);
});

test('an entry that was written cannot be changed in place, nor anything in it', () => {
  const holds = [{ node: 'big-2' }];
  const one = { epoch: 1, holds };
  new StateText(SHAPE, true).of({ poolId: 'p', volumes: { a: one }, nodes: {} });
  expect(() => (one.epoch = 2)).toThrow(TypeError);
  expect(() => holds.push({ node: 'big-3' })).toThrow(TypeError);
  expect(() => (holds[0]!.node = 'big-3')).toThrow(TypeError);
});

test.each([
  [
    'an entry',
    { poolId: 'p', volumes: { a: { epoch: 1, holds: [] }, 'b\n': { epoch: -1, holds: [] } }, nodes: {} },
    'volumes.b\\n.epoch is not',
  ],
  ['an entry that is no object', { poolId: 'p', volumes: { a: 1 }, nodes: {} }, 'volumes.a is not an object'],
  ['a key', { poolId: 'p', volumes: {}, nodes: { bad: 'x' } }, 'nodes has a bad key'],
  ['another field', { poolId: 1, volumes: {}, nodes: {} }, 'poolId is not text'],
  ['no map', { poolId: 'p', volumes: [], nodes: {} }, 'volumes is not an object'],
  ['a missing map', { poolId: 'p', nodes: {} }, 'volumes is missing'],
  ['no object', null, 'it is not an object'],
])('content that does not fit has no text, and is checked again: %s', (_what, content, why) => {
  const texts = new StateText(SHAPE, true);
  for (let round = 0; round < 2; round++) expect((texts.of(content) as { misfit: string }).misfit).toContain(why);
});

test('an entry that fits into one map is checked before it is written into another one', () => {
  const texts = new StateText(object({ a: map(object({ x: count() })), b: map(object({ x: count(), y: count() })) }), true);
  const one = { x: 1 };
  expect(textOf(texts, { a: { one }, b: {} })).toBe('{"a":{"one":{"x":1}},"b":{}}');
  expect(texts.of({ a: {}, b: { one } })).toEqual({ misfit: 'b.one.y is missing' });
});
