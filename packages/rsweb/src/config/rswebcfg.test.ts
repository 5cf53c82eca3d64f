// Tests the reader of /etc/rswebcfg: defaults, values, and each problem with its line and the allowed values. Invariants: without a
// certificate, only loopback addresses are accepted; no message shows a text that may be a token.

import { describe, expect, test } from 'vitest';
import { problemTexts } from '@rsio/common/config/reader/findings';
import { RsError } from '@rsio/base/lib/errors';
import { namesIn } from './credentials.ts';
import { isLoopback } from './addresses.ts';
import { parseWebConfig } from './rswebcfg.ts';

const HASH = 'ab'.repeat(32);

function problemsOf(text: string): string[] {
  try {
    parseWebConfig(text, '/etc/rswebcfg');
  } catch (thrown) {
    if (thrown instanceof RsError) return problemTexts(thrown);
    throw thrown;
  }
  return [];
}

test('an empty file means loopback, and nobody can log in', () => {
  const config = parseWebConfig('', '/etc/rswebcfg');
  expect(config).toMatchObject({
    listen: { address: '127.0.0.1', port: 5080 },
    certificate: null,
    idleMs: 1_800_000,
    tokens: [],
    sources: [],
  });
  expect(config.warnings.map(({ message }) => message)).toEqual([expect.stringContaining('nobody can log in: rsweb token NAME makes one')]);
});

test('a whole file is read', () => {
  const text = `[web]
listen = [::]:443
certificate = /etc/ssl/web.pem
key = /etc/ssl/web.key
names = Big-9, big-9.example.org
idle = 2h
[token anna]
sha256 = ${HASH.toUpperCase()}
rights = manage
[token view]
sha256 = ${'cd'.repeat(32)}
[source big-8]
url = https://big-8:5080/
token-file = /etc/rsio/big-8.token
certificate-authority = /etc/rsio/ca.pem
`;
  expect(parseWebConfig(text, 'f')).toMatchObject({
    listen: { address: '::', port: 443 },
    certificate: { certificateFile: '/etc/ssl/web.pem', keyFile: '/etc/ssl/web.key' },
    names: ['big-9', 'big-9.example.org'],
    idleMs: 7_200_000,
    tokens: [
      { name: 'anna', sha256: HASH, rights: 'manage' },
      { name: 'view', rights: 'view' },
    ],
    sources: [{ name: 'big-8', url: 'https://big-8:5080', tokenFile: '/etc/rsio/big-8.token', certificateAuthority: '/etc/rsio/ca.pem' }],
    warnings: [],
  });
});

describe('each problem is reported with its line and what is allowed', () => {
  test.each([
    ['[web]\nlisten = 10.0.0.1:5080', '/etc/rswebcfg:2: listen = 10.0.0.1 without a certificate would send tokens in clear'],
    ['[web]\nlisten = [::]:5080', 'f:2: listen = :: without a certificate'.slice(2)],
    ['[web]\nlisten = 127.0.0.1', ':2: Wrong value "127.0.0.1" for listen: allowed is ADDRESS:PORT'],
    ['[web]\nkey = /a', ':2: key without a certificate: add "certificate = PATH"'],
    ['[web]\ncertificate = /a', ':2: certificate without a key'],
    ['[web]\nlistn = 127.0.0.1:1', 'did you mean listen?'],
    ['[web]\nnames = a b/c', 'allowed is at most 64 names of hosts'],
    ['[web]\nidle = 1s', 'allowed is a time from 1m'],
    ['[token a]', 'No sha256 in [token a]: add'],
    ['[token a]\nsha256 = rsweb_secret', ':2: Wrong value for sha256: allowed is 64 hexadecimal digits'],
    [`[token a]\nsha256 = ${HASH}\n[token b]\nsha256 = ${HASH}`, ':4: Duplicate sha256 in [token b] (first in line 2)'],
    [`[token a]\nsha256 = ${HASH}\nrights = all`, 'allowed is view, operate, admin or manage'],
    [
      '[source a]\nurl = http://10.0.0.1:5080\ntoken-file = /t',
      ':2: Wrong value "http://10.0.0.1:5080" for url: allowed is an origin such as https://big-9:5080',
    ],
    ['[source a]\nurl = https://a:1/x\ntoken-file = /t', 'for url'],
    ['[source a]\nurl = https://u:p@a:1\ntoken-file = /t', 'for url'],
    ['[source a]\nurl = https://a:1', 'No token-file in [source a]'],
  ])('%j', (text, expected) => {
    const problems = problemsOf(text);
    expect(problems.join('\n')).toContain(expected);
    expect(problems.join('\n')).not.toContain('rsweb_secret');
  });
});

test.each([
  ['127.0.0.1', true],
  ['127.8.9.1', true],
  ['::1', true],
  ['0:0:0:0:0:0:0:1', true],
  ['::ffff:127.0.0.1', true],
  ['::', false],
  ['0.0.0.0', false],
  ['::ffff:10.0.0.1', false],
  ['2001:db8::1', false],
  ['127.0.0.1.example.org', false],
])('%s is a loopback address: %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});

test('names of a certificate are read, and everything else is left out', () => {
  expect(namesIn('DNS:Big-9, DNS:*.example.org, IP Address:10.0.0.1, URI:x')).toEqual(['big-9', '*.example.org']);
  expect(namesIn('')).toEqual([]);
});
