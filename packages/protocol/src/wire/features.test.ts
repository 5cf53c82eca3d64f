// Tests which version and which features are chosen from what both sides support. The handshake's tests cover peers without a common
// version.

import { expect, test } from 'vitest';
import { chooseFeatures, chooseVersion } from './features.ts';

test('the highest common version is chosen, in any order', () => {
  expect(chooseVersion([1, 4, 2], [3, 2, 1])).toBe(2);
  expect(chooseVersion([7], [1, 2])).toBe(null);
});

test('the common features are chosen, each once, in our own order', () => {
  expect(chooseFeatures(['later', 'digest', 'digest', 'b'], ['b', 'digest', 'c'])).toEqual(['b', 'digest']);
  expect(chooseFeatures([], ['digest'])).toEqual([]);
});
