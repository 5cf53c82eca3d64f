// Tests which file of a server counts as older. test/sim/zoo/explorers/namespace-worlds.ts tests the spread of orders.

import { expect, test } from 'vitest';
import { olderText } from './namespace-spread.ts';

function shown(server: string, generation: number, hash: string) {
  const applied = { generation, hash, atMs: 1, by: 'root' };
  return { server, namespaceid: 200, applied, drift: [], extra: [], secondKeys: [] };
}

test('a server with the same file is as new as the others, although its generation is lower', () => {
  const a1 = shown('a1', 2, 'x');
  expect(olderText(shown('b1', 1, 'x'), [a1])).toBeNull();
  expect(olderText(shown('b1', 1, 'y'), [a1])).toBe('it has generation 1, and a1 has 2: apply the file again');
  expect(olderText({ ...a1, server: 'b1', applied: null }, [a1])).toBe(
    'no file was applied here, and a1 has generation 2: apply the file again',
  );
  expect(olderText(shown('b1', 2, 'y'), [a1])).toMatch(/^it has another file of generation 2 than a1/);
});
