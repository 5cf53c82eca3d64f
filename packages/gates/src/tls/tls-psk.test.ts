// Keys and identities of TLS. The identities of the first test come from the tests of libnvme, which computes the digests from the retained
// key; the keys are compared with an HKDF written for this test.

import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseTlsKey } from '@rsio/common/config/gate-secrets';
import { parseIdentity, tlsPsks } from './tls-psk.ts';

const NAMES = { hostNqn: 'nqn.psk-test-host', nqn: 'nqn.psk-test-subsys' };
const KEY = 'NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:';
const STANDARD = 'NVMe1R01 nqn.psk-test-host nqn.psk-test-subsys iSbjiStwJ/1TrTvDlt2fjFmzvsytOJelidNnA+X5lEU=';
const OLD = 'NVMe1R01 nqn.psk-test-host nqn.psk-test-subsys 66GuqV08TsAGII39teWUfwQwizjv06Jy8jOcX3NAAzM=';
const ZERO = 'NVMe0R01 nqn.psk-test-host nqn.psk-test-subsys';

/** HKDF of RFC 5869 for 32 bytes, by hand. */
function hkdf(key: Buffer, info: string): string {
  const extracted = createHmac('sha256', Buffer.alloc(32)).update(key).digest();
  return createHmac('sha256', extracted)
    .update(Buffer.from(`${info}\x01`, 'latin1'))
    .digest('hex');
}

describe('the keys of a host', () => {
  const configured = parseTlsKey(KEY)!;
  const psks = tlsPsks(configured, NAMES);

  it('have the identities of libnvme, also of hosts with the old form', () => {
    expect([...psks.keys()].toSorted()).toEqual([ZERO, STANDARD, OLD].toSorted());
    expect(new Set([...psks.values()].map((psk) => psk.toString('hex'))).size).toBe(3);
    expect([...psks.values()].every(({ length }) => length === 32)).toBe(true);
  });

  it('are made from the retained key, with the identity or its digest as the context', () => {
    const retained = Buffer.from(hkdf(configured.key, `\x00\x20\x0dtls13 HostNQN\x11${NAMES.hostNqn}`), 'hex');
    const label = '\x12tls13 nvme-tls-psk';
    expect(psks.get(ZERO)?.toString('hex')).toBe(hkdf(retained, `\x00\x20${label}\x2e${ZERO}`));
    expect(psks.get(STANDARD)?.toString('hex')).toBe(hkdf(retained, `\x00\x20${label}\x2f01 ${STANDARD.split(' ')[3]}`));
    const old = Buffer.from(hkdf(configured.key, `\x20\x00tls13 HostNQN${NAMES.hostNqn}`), 'hex');
    expect(psks.get(OLD)?.toString('hex')).toBe(hkdf(old, `\x20\x00tls13 nvme-tls-psk01 ${OLD.split(' ')[3]}`));
  });

  it('are those of the configured key itself, if it names no hash', () => {
    const plain = tlsPsks({ ...configured, hash: 0 }, NAMES);
    expect([plain.size, plain.has(STANDARD), plain.has(ZERO)]).toEqual([2, false, true]);
    expect(plain.get(ZERO)).not.toEqual(psks.get(ZERO));
  });
});

it('an identity has the names of a host and of a subsystem', () => {
  expect(parseIdentity(ZERO)).toEqual({ ...NAMES, isSha256: true });
  expect(parseIdentity(STANDARD)).toEqual({ ...NAMES, isSha256: true });
  expect(parseIdentity(STANDARD.replace('R01', 'R02'))).toEqual({ ...NAMES, isSha256: false });
  for (const wrong of ['', 'abc', `${ZERO} x`, STANDARD.split(' ').slice(0, 3).join(' '), ZERO.replace('NVMe0', 'NVMe2'), ` ${ZERO}`])
    expect(parseIdentity(wrong)).toBeNull();
});
