// Tests permitted and forbidden transitions of a table.
// The tests of each state machine cover its own table.

import { expect, test } from 'vitest';
import { AssertionError } from './assert.ts';
import { checkMove, type StateTable } from './state-table.ts';

const TABLE: StateTable<'off' | 'on'> = { off: ['on'], on: ['on', 'off'] };

test('only transitions of the table are allowed; another one is our own bug, and the error names it', () => {
  checkMove(TABLE, 'off', 'on', 'Lamp 1');
  checkMove(TABLE, 'on', 'on', 'Lamp 1');
  expect(() => checkMove(TABLE, 'off', 'off', 'Lamp 1')).toThrow(new AssertionError('Lamp 1: no move from off to off'));
});
