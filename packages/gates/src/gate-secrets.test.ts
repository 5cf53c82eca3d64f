// Which secret an iSCSI gate proves itself with: never with one that a host has, too, because another host could let the gate answer the
// challenge of that host. login.test.ts and gate-secrets.test.ts of test/integration have the logins. Rules: G42.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { expect, test } from 'vitest';
import { chapPartiesOf } from './gate-secrets.ts';

const [GATE, A, B] = ['iqn.2014-08.org.rsio:gate', 'iqn.2020-01.org.example:a', 'iqn.2020-01.org.example:b'];

function ownSecret(secrets: Readonly<Record<string, string>>): string | null {
  const keys = new Map(Object.entries(secrets).map(([name, text]) => [name, { hash: 0, key: Buffer.from(text) }]));
  const config: Pick<ClientGateConfig, 'secrets'> = { secrets: keys };
  return chapPartiesOf(config, GATE, A)?.own?.toString() ?? null;
}

test('a gate proves itself with its secret, but not if any host has the same one', () => {
  expect(ownSecret({ [GATE]: 'own', [A]: 'a', [B]: 'b' })).toBe('own');
  expect(ownSecret({ [A]: 'a', [B]: 'b' })).toBeNull();
  for (const host of [A, B]) expect(ownSecret({ [GATE]: 'same', [A]: 'a', [B]: 'b', [host]: 'same' }), host).toBeNull();
});
