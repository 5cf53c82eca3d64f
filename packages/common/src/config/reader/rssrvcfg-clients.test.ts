// Clients and their keys in the server's file. Invariant under test: no message shows a key.
// rssrvcfg.test.ts tests the rest of the file.

import { describe, expect, test } from 'vitest';
import { CLIENTS_MAX } from '../schema/limits.ts';
import { parseRssrvConfig } from './rssrvcfg.ts';
import { HEAD, problemsBelowHead, problemsOf, warningsOf } from '../../testing/rssrvcfg-problems.ts';

describe('clients', () => {
  test.each([
    ['big2', '8 Line in [clients] is one word: allowed is NAME, white space, KEY, optionally white space and a second KEY'],
    ['big2=0xbig', '8 Line in [clients] is one word: allowed is NAME, white space, KEY, optionally white space and a second KEY'],
    [
      'big2 = 0xbig',
      '8 Line of client big2 in [clients] has "=" between name and key: allowed is NAME, white space, KEY, optionally white space and a second KEY',
    ],
    [
      'a/b 0xbig',
      /^8 Wrong client name in \[clients\]: allowed is NAME, white space, KEY, optionally white space and a second KEY, NAME being 1 to 63/,
    ],
    ['big2 0x\u00e4', '8 Wrong key of client big2: allowed is 1 to 256 printable ASCII characters without white space'],
    ['big2 0x big\u007f', '8 Wrong key of client big2: allowed is 1 to 256 printable ASCII characters without white space'],
    ['big2 0x 0y 0z', '8 Client big2 has 3 keys: allowed is NAME, white space, KEY, optionally white space and a second KEY'],
    ['big2 0x 0x', '8 Client big2 has the same key twice: remove one of them'],
    [`big2 ${'x'.repeat(257)}`, /^8 Wrong key of client big2/],
  ])('%j', (line, expected) => {
    expect(problemsBelowHead(`[clients]\n${line}`)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  });

  test('too many', () => {
    const lines = Array.from({ length: CLIENTS_MAX + 1 }, (_, index) => `c${index} 0123456789abcdef-${index}`).join('\n');
    expect(problemsBelowHead(`[clients]\n${lines}`)).toEqual([
      `${8 + CLIENTS_MAX} ${CLIENTS_MAX + 1} clients: allowed are at most ${CLIENTS_MAX}`,
    ]);
  });

  test('warnings: none at all, one key twice, a volume for an unknown one', () => {
    expect(warningsOf(HEAD)).toEqual([
      '0 No section [volume NAME] or [pool NAME]: the server offers nothing',
      '0 No client in [clients]: no client can connect',
    ]);
    const text = `${HEAD}[volume v]\npath = /v\nclients = a x\n[clients]\na 0123456789abcdef\nb 0123456789abcdef\n`;
    expect(warningsOf(text)).toEqual([
      '7 Volume "v" is for x, not listed in [clients]',
      '12 Clients a and b have the same key: each can impersonate the other',
    ]);
  });
});

describe('keys', () => {
  test('tls is allow, off or require', () => {
    const tlsOf = (line: string) => parseRssrvConfig(HEAD.replace('namespaceid = 1', `namespaceid = 1\n${line}`), 'f').namespace.tls;
    expect(['', 'tls = allow', 'tls = off', 'tls = require'].map(tlsOf)).toEqual(['allow', 'allow', 'off', 'require']);
    expect(problemsOf(HEAD.replace('namespaceid = 1', 'namespaceid = 1\ntls = on'))).toEqual([
      '3 Wrong value "on" for tls: allowed is off, allow or require',
    ]);
  });

  test('explore = signed needs a namespacekey', () => {
    const text = HEAD.replace('namespaceid = 1', 'namespaceid = 1\nexplore = signed');
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^3 explore = signed without a namespacekey/)]);
    expect(problemsOf(text.replace('explore', 'namespacekey = 0123456789abcdef\nexplore'))).toEqual([]);
  });

  test('are never shown, however invalid the line is', () => {
    const secret = 'hunter2hunter2';
    const text = `[namespace n]
namespaceid = 1
namespacekey = ${secret} ä
nspacekey = ${secret}
namespacekey ${secret}
[server s]
serverid = 1
serverkey = ${secret} ${secret}
${secret}
[interface i]
address = 10.0.0.1
[clients]
${secret}
a = ${secret}
b ${secret} ${secret}
/ ${secret}
`;
    const problems = problemsOf(text);
    expect(problems).toHaveLength(9);
    expect(problems.join('\n')).not.toContain('hunter2');
  });
});
