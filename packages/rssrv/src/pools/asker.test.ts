// Tests which clients may make a server a voter of their mirrors: all clients if the server is a witness; otherwise, the clients that may
// put a replica on the server. Also tests which clients may make a volume a replica: the clients that may manage the pool of the volume.
// mirrors/voters.test.ts tests the refusals.

import { expect, test } from 'vitest';
import type { ClientRights, RssrvConfig } from '@rsio/common/config/schema/types';
import { asking } from '../testing/asking.ts';
import { localAsker, mayFound, whyNoPlace } from './asker.ts';

const RIGHTS = (['use', 'view', 'manage', 'admin'] as const).map((role) => ({ name: `may-${role}`, role, pools: null, limitBytes: null }));

function configOf(witness: boolean): RssrvConfig {
  return { ...asking(RIGHTS as unknown as ClientRights[]), server: { witness } } as unknown as RssrvConfig;
}

test('an operator on the server changes volumes of all clients in all pools, and is told who may do more', () => {
  const operator = localAsker('operator');
  const hers = { name: 'db', owner: 'venus', managers: [] };
  expect([operator.has('manage'), operator.mayUsePool('fast'), operator.mayAttach(['venus']), operator.owns(hers)]).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(() => operator.needs('admin', 'import files')).toThrow(
    'An operator on the server may not import files: its right is manage, and admin is needed; run as root or as the user of rssrv, or as a member of admin-group',
  );
  for (const role of ['reader', 'administrator'] as const) expect(localAsker(role).has('admin')).toBe(true);
});

test.each([
  ['may-use', false, false],
  ['may-view', false, false],
  ['may-manage', false, true],
  ['may-admin', false, true],
  ['without-a-line', false, false],
  ['may-use', true, true],
  ['without-a-line', true, true],
])('client %s at a server with witness = %s: %s', (node, isWitness, expected) => {
  expect(mayFound(node, configOf(isWitness))).toBe(expected);
});

test.each([
  [
    'may-use',
    ['fast'],
    'Client may-use may not make volume db a replica: it needs the right manage for pool fast; rsadm client rights may-use manage gives it',
  ],
  [
    'may-view',
    ['fast'],
    'Client may-view may not make volume db a replica: it needs the right manage for pool fast; rsadm client rights may-view manage gives it',
  ],
  ['may-manage', ['fast'], null],
  ['may-admin', ['fast'], null],
  ['of-slow', ['slow'], null],
  [
    'of-slow',
    ['slow', 'fast'],
    'Client of-slow may not make volume db a replica: it needs the right manage for pool fast; rsadm client rights of-slow manage pool=slow,fast gives it',
  ],
])('client %s, volume in %j', (node, pools, expected) => {
  const rights = [...RIGHTS, { name: 'of-slow', role: 'manage' as const, pools: ['slow'], limitBytes: null }];
  const why = whyNoPlace(node, { name: 'db', owner: null }, pools, asking(rights as unknown as ClientRights[]));
  expect(why).toBe(expected);
});
