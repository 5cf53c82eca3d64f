// What the server offers to clients about encryption, for each value of `tls`. The lists of volumes are tested with the listener, in
// test/integration.

import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { TlsPolicy } from '@rsio/common/config/schema/types';
import { FEATURE } from '@rsio/protocol/wire/features';
import { expect, test } from 'vitest';
import { checkTls, identityOf, identityWith } from './offered-volumes.ts';

const config = (tls: string) =>
  parseRssrvConfig(`[namespace n]\nnamespaceid = 1\ntls = ${tls}\n[server big-9]\nserverid = 1\n[interface i]\naddress = 10.0.0.1\n`, 'f');

test.each<[TlsPolicy, boolean, boolean]>([
  ['off', false, false],
  ['allow', true, false],
  ['require', true, true],
])('tls = %s: offered %s, required %s', (tls, isOffered, isRequired) => {
  const whole = identityOf(config('allow'));
  const identity = identityWith(whole, tls);
  expect(identity.features.includes(FEATURE.TLS)).toBe(isOffered);
  expect(identity.requiresTls).toBe(isRequired);
  expect({ ...identity, features: whole.features, requiresTls: whole.requiresTls }).toEqual(whole);
  expect(identity.features.filter((feature) => feature !== FEATURE.TLS)).toEqual(
    whole.features.filter((feature) => feature !== FEATURE.TLS),
  );
});

test('A plain connection is refused only where encryption is required, and the refusal names the line to change', () => {
  const plain = [FEATURE.DIGEST, FEATURE.REVOKE];
  for (const tls of ['off', 'allow']) expect(() => checkTls(plain, config(tls))).not.toThrow();
  expect(() => checkTls([...plain, FEATURE.TLS], config('require'))).not.toThrow();
  expect(() => checkTls(plain, config('require'))).toThrow(
    'Server big-9 accepts encrypted connections only: set tls = on in section [namespace] of rscltcfg on the client',
  );
});
