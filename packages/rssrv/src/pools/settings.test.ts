// Tests the settings that a command can change: accepted values and refusals. If one setting is wrong, the whole command is refused.
// catalogue.test.ts tests the rights.

import { expect, test } from 'vitest';
import { parseSettings } from './settings.ts';

const KEYS = 'readonly, shared, clients, take-over, take-over-force, managers, same-content, snapshots';

test('settings are written as in a section [volume]', () => {
  expect(parseSettings(['readonly=yes', 'shared=no', 'clients=a, b', 'take-over=no', 'take-over-force=yes', 'same-content=i7.b9'])).toEqual(
    {
      readonly: true,
      shared: false,
      clients: ['a', 'b'],
      takeOver: [],
      takeOverForce: true,
      sameContent: 'i7.b9',
    },
  );
  expect(parseSettings(['clients=all', 'take-over=yes'])).toEqual({ clients: null, takeOver: null });
  expect(parseSettings(['managers=a,b'])).toEqual({ managers: ['a', 'b'] });
});

test('a schedule of snapshots is in its canonical form', () => {
  expect(parseSettings(['snapshots=every 60m  keep 3'])).toEqual({ schedule: 'every 1h keep 3' });
  expect(parseSettings(['snapshots=none'])).toEqual({ schedule: null });
  expect(() => parseSettings(['snapshots=often'])).toThrow('Wrong value "often" for snapshots: allowed is none, or rules such as');
});

test.each([
  ['readonly', `Wrong setting "readonly": give KEY=VALUE, KEY being one of ${KEYS}`],
  ['size=1g', `Wrong setting "size=1g": give KEY=VALUE, KEY being one of ${KEYS}`],
  ['constructor=yes', `Wrong setting "constructor=yes": give KEY=VALUE, KEY being one of ${KEYS}`],
  ['readonly=', 'Wrong value "" for readonly: allowed is yes or no'],
  ['clients=a\u001b', 'Wrong value "a\\u001b" for clients: allowed is all, or names separated by commas or spaces'],
  ['shared=yes', 'Setting shared is given twice: give it once'],
])('%j is refused', (word, message) => {
  expect(() => parseSettings(['shared=no', word])).toThrow(message);
});
