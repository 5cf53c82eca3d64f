// A table of moves, and what is not in it.
// Leaves the tables themselves to the machines that have them.

import { expect, test } from 'vitest';
import { AssertionError } from './assert.ts';
import { checkMove, type StateTable } from './state-table.ts';

const TABLE: StateTable<'off' | 'on'> = { off: ['on'], on: ['on', 'off'] };

test('only moves of the table are allowed; another is our own mistake and is named', () => {
  checkMove(TABLE, 'off', 'on', 'Lamp 1');
  checkMove(TABLE, 'on', 'on', 'Lamp 1');
  expect(() => checkMove(TABLE, 'off', 'off', 'Lamp 1')).toThrow(new AssertionError('Lamp 1: no move from off to off'));
});
