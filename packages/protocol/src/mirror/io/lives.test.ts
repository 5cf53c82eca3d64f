// Tests which changes of a mirror's incarnation rsiod must report after a restart of rsiod, and which changes rsiod must ignore.
// test/integration/mirror-devices.test.ts tests, with real daemons, that devices compare the incarnation.

import { expect, test } from 'vitest';
import { isLifeKnown, isNewLife, mirrorLife } from './lives.ts';

const BOTH = mirrorLife([
  ['a', 'one'],
  ['b', 'two'],
]);

test('the order of the replicas does not matter', () => {
  const turned = mirrorLife([
    ['b', 'two'],
    ['a', 'one'],
  ]);
  expect([turned, isNewLife(BOTH, turned)]).toEqual([BOTH, false]);
});

test('a replica in sync whose storage has started anew is reported, and one that is not in sync any more is not', () => {
  const renewed = mirrorLife([
    ['a', 'one'],
    ['b', 'three'],
  ]);
  expect(isNewLife(BOTH, renewed)).toBe(true);
  expect(isNewLife(BOTH, mirrorLife([['a', 'one']]))).toBe(false);
});

test('a replica of which nothing was known is reported', () => {
  expect(isNewLife(mirrorLife([['a', 'one']]), BOTH)).toBe(true);
  const unopened = mirrorLife([
    ['a', 'one'],
    ['b', null],
  ]);
  expect([isLifeKnown(unopened), isNewLife(unopened, BOTH), isNewLife(BOTH, unopened)]).toEqual([false, true, true]);
});

test('a mirror without replicas is not known yet', () => {
  expect([isLifeKnown(mirrorLife([])), isLifeKnown(BOTH)]).toEqual([false, true]);
});

test('plain volumes are compared as texts, and a note of an earlier release differs', () => {
  expect([isLifeKnown('boot.0'), isNewLife('boot.0', 'boot.0'), isNewLife('boot.0', 'boot.1')]).toEqual([true, false, true]);
  expect([isNewLife('1234-7', BOTH), isNewLife('mirror 7', 'mirror 7'), isNewLife('mirror 7', BOTH)]).toEqual([true, false, true]);
});
