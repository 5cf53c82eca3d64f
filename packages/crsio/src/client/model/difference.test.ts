// Tests which lines of two texts are shared, removed and added, and that both texts can be rebuilt from any result. If secret keys
// differ, the difference shows only that fact, not the keys.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { differenceOf } from './difference.ts';

const shown = (old: string, now: string): string[] => differenceOf(old, now).map(({ sign, text }) => `${sign}${text}`);

test('a changed line is one removed and one added line, the others are shared', () => {
  expect(shown('a\nb\nc\n', 'a\nx\nc\nd\n')).toEqual([' a', '-b', '+x', ' c', '+d']);
});

test('keys are not shown, only that they differ', () => {
  expect(shown('nodekey = 0xold\n', 'nodekey = 0xnew\n')).toEqual(['-nodekey = (hidden)', '+nodekey = (hidden)']);
});

test('both texts can be rebuilt from the difference of any two', () => {
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', 'd', ''), { maxLength: 12 })
    .map((lines) => lines.map((line) => `${line}\n`).join(''));
  fc.assert(
    fc.property(text, text, (old, now) => {
      const lines = differenceOf(old, now);
      const side = (other: '-' | '+'): string => lines.flatMap(({ sign, text: line }) => (sign === other ? [] : [`${line}\n`])).join('');
      expect(side('+')).toBe(old);
      expect(side('-')).toBe(now);
    }),
  );
});
