// Tests who may call which method: all methods of the table, for each right of clients and each role of persons on the server. Also tests
// that no answer which only shows something has a key. Rules: A1, G21.

import { expect, test } from 'vitest';
import { CLIENT_ROLES } from '@rsio/common/config/schema/types';
import type { Shape } from '@rsio/base/lib/shape';
import { mayCall } from './may-call.ts';
import type { ServerMethod } from './server-method.ts';
import { SERVER_METHODS } from './server-methods.ts';

const METHODS: [string, ServerMethod][] = Object.entries(SERVER_METHODS);
const LINE = ['copy', 'use', 'manage', 'admin'] as const;

test.each(METHODS)('%s', (_name, entry) => {
  const { right, repeats } = entry;
  const reads = repeats === null;
  const isRemote = right !== null;
  const upTo = (role: (typeof LINE)[number]): boolean => isRemote && LINE.indexOf(role) >= LINE.indexOf(right);
  expect([...CLIENT_ROLES, 'reader', 'operator', 'administrator'].map((role) => [role, mayCall(role as 'reader', entry)])).toEqual([
    ['copy', upTo('copy')],
    ['use', upTo('use')],
    ['view', isRemote && reads],
    ['manage', upTo('manage')],
    ['admin', upTo('admin')],
    ['reader', reads],
    ['operator', reads || upTo('manage')],
    ['administrator', true],
  ]);
});

test.each([
  ['volume-list', 'view reader operator'],
  ['audit', 'view reader operator'],
  ['client-list', 'view reader operator'],
  ['events', 'reader operator'],
  ['volume-create', 'operator'],
  ['message-send', 'operator'],
  ['volume-export', ''],
  ['reload', ''],
  ['client-kick', ''],
] as const)('%s is open to: %s', (name, roles) => {
  expect((['view', 'reader', 'operator'] as const).filter((role) => mayCall(role, SERVER_METHODS[name])).join(' ')).toBe(roles);
});

/** Names of the fields of a shape, at any depth. */
function fieldsIn({ form }: Shape): string[] {
  switch (form.kind) {
    case 'or-null':
    case 'list':
    case 'optional':
    case 'map':
    case 'checked':
      return fieldsIn(form.of);
    case 'object':
      return Object.entries(form.fields).flatMap(([name, shape]) => [name, ...fieldsIn(shape)]);
    case 'variants':
      return Object.values(form.kinds).flatMap((fields) => Object.entries(fields).flatMap(([name, shape]) => [name, ...fieldsIn(shape)]));
    default:
      return [];
  }
}

test('no field of an answer that a reader or a client with view gets is a key', () => {
  const shown = METHODS.filter(([, { repeats }]) => repeats === null).flatMap(([, { result }]) => fieldsIn(result));
  expect(shown.length).toBeGreaterThan(200);
  // The number of keys of a client, whether its session uses the old or the new one, and the names of clients with two.
  const harmless = ['keys', 'sessionKey', 'secondKeys'];
  expect(shown.filter((field) => /key|secret|token|password/i.test(field) && !harmless.includes(field))).toEqual([]);
});
