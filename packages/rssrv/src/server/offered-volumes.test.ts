// Tests which TLS features the server offers to clients for each value of `tls`, and how it refuses an OPEN. test/integration tests the
// lists of volumes, with the listener. Rules: G18.

import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { TlsPolicy } from '@rsio/common/config/schema/types';
import { FEATURE } from '@rsio/protocol/wire/features';
import { expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import type { OpenRequest } from '@rsio/protocol/wire/messages';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import type { VolumeFailure } from '../volumes/volume-failures.ts';
import type { ServedSession } from './served-session.ts';
import { checkTls, identityOf, identityWith, listFor, notOffered } from './offered-volumes.ts';

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

// Regression: the refusal of an OPEN contained the error of the pool, and this error names the path of the pool.
test('an OPEN of a volume whose pool is not available names no path, and a hidden volume is refused as a missing one', () => {
  const failure = (name: string, message: string, clients: readonly string[] | null, context = {}): VolumeFailure => {
    return { name, universe: 0, clients, error: new RsError('E_VOLUME', message, context) };
  };
  const failures = [
    failure('lost', 'Volume lost: pool fast cannot be used: /srv/fast/pool.json does not exist', null, { pool: 'fast' }),
    failure('cut', 'Volume cut: /srv/cut.img of a section has 512 bytes less', null),
    failure('secret', 'x', ['venus']),
  ];
  const sentence = (name: string): string => {
    const grant = notOffered('big-2', { name, universe: 0 } as OpenRequest, failures, 'big-9', null);
    return grant.granted ? 'granted' : `${grant.status} ${grant.sentence.replaceAll(name, 'NAME')}`;
  };
  expect(sentence('lost')).toMatch(/^\d+ Volume NAME cannot be used now: the administrator of the server sees why$/);
  expect(sentence('cut')).toMatch(/^\d+ Volume NAME: \/srv\/NAME.img of a section has 512 bytes less$/);
  expect(sentence('secret')).toBe(sentence('missing'));
});

test('the list names the pool of a volume, and its generation if the pool is shared', () => {
  const entry = (pool: Partial<ServedVolume['pool']> | undefined) =>
    listFor(
      { client: { node: 'big-2' }, generation: 1 } as ServedSession,
      [],
      [{ name: 'oracle', clients: null, pool } as ServedVolume],
      () => ({ holders: [] }),
    ).volumes[0];
  expect(entry({ ids: ['fast', 'other'], ownership: { generation: 7, life: 5 } })).toMatchObject({ poolId: 'fast', poolGeneration: 7 });
  expect(entry({ ids: ['fast'] })).toMatchObject({ poolId: 'fast' });
  expect(entry({ ids: ['fast'] })).not.toHaveProperty('poolGeneration');
  for (const field of ['poolId', 'poolGeneration']) expect(entry(undefined)).not.toHaveProperty(field);
});
