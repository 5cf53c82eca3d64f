// Tests whether `join` uses TLS, and the errors if the key is too short for TLS or the servers need different settings. Integration tests
// use real servers with each setting.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { describe, expect, test } from 'vitest';
import { loginWith, tlsFor, unlike, withoutTls } from './encryption.ts';

const KEY = '0123456789abcdef';

describe('tlsFor', () => {
  const file = (defaults: string, namespace: string) =>
    parseRscltConfig(`[defaults]\n${defaults}\n[namespace n]\nnamespaceid = 7\nnodename = a\nnodekey = ${KEY}\n${namespace}\n`, 'f');

  test.each([
    ['nothing', file('', ''), 7, false],
    ['the namespace', file('', 'tls = on'), 7, true],
    ['another namespace', file('', 'tls = on'), 8, false],
    ['[defaults], for a new namespace', file('tls = on', ''), 8, true],
    ['[defaults], while the namespace is not known', file('tls = on', ''), null, false],
    ['a namespace that overrides [defaults]', file('tls = on', 'tls = off'), 7, false],
    ['no usable file', null, 7, false],
  ])('the file says it in %s', (_what, config, namespaceid, tls) => {
    expect(tlsFor(config, namespaceid, false)).toBe(tls);
    expect(tlsFor(config, namespaceid, true)).toBe(true);
  });
});

test('A short key is refused with TLS only', () => {
  const login = { nodename: 'venus', nodekey: KEY.slice(1), serverkey: null };
  expect(loginWith(login, false)).toEqual({ ...login, tls: false });
  expect(loginWith({ ...login, nodekey: KEY }, true)).toEqual({ ...login, nodekey: KEY, tls: true });
  expect(() => loginWith(login, true)).toThrow(
    /^Short key with TLS: 15 characters can be guessed, use 16 or more: rsconfig key new makes one, and rsadm client rekey venus changes it on the servers; nothing was written$/,
  );
});

test('Refusals name the servers and the line to change', () => {
  expect(withoutTls('big-9').message).toContain('Server big-9 does not encrypt: set tls = allow in section [namespace] of its rssrvcfg');
  expect(unlike('big-9', 'big-5')).toMatchObject({ code: 'E_TLS', message: expect.stringContaining('server big-5 of the same namespace') });
});
