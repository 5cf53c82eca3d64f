// Tests the volumes in the server's file: the values that two sections must not share, and the keys that each type of volume needs.
// rssrvcfg.test.ts tests the rest of the file.

import { describe, expect, test } from 'vitest';
import { HEAD, problemsBelowHead, warningsOf } from '../../testing/rssrvcfg-problems.ts';

describe('duplicates', () => {
  test.each([
    ['[interface i]\naddress = 10.0.0.2', '7 Duplicate interface name "i" (first in line 5): give each interface a name of its own'],
    [
      '[interface j]\naddress = 10.0.0.1',
      '8 Duplicate address 10.0.0.1:5000 (first in line 6): each interface needs an address or port of its own',
    ],
    [
      '[volume v]\npath = /a\n[volume v]\npath = /b',
      '9 Duplicate volume name "v" in universe 0 (first in line 7): give each volume a name or universe of its own',
    ],
    [
      '[volume v]\npath = /a\n[volume w]\npath = //a',
      '10 Duplicate path "//a" (first in line 8): two volumes may have one path only if both are readonly',
    ],
    ['[clients]\na 0123456789abcdef\na 0123456789abcdeg', '9 Duplicate client a (first in line 8): give each client one line'],
  ])('%j', (text, expected) => {
    expect(problemsBelowHead(text)).toEqual([expected]);
  });

  test('two spellings of an IPv6 address', () => {
    expect(problemsBelowHead('[interface x]\naddress = fd00::1\n[interface y]\naddress = fd00:0:0::0:1')).toEqual([
      expect.stringMatching(/^10 Duplicate address .* \(first in line 8\)/),
    ]);
  });

  test('one id twice', () => {
    const volume = (name: string) => `[volume ${name}]\npath = /${name}\nid = 2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21\n`;
    expect(problemsBelowHead(volume('a') + volume('b'))).toEqual([expect.stringMatching(/^12 Duplicate volume id .* \(first in line 9\)/)]);
  });

  test('one address with two ports, one name in two universes and one path read-only twice are allowed', () => {
    const text = `[interface j]
address = 10.0.0.1
port = 5001
[volume v]
path = /a
readonly = yes
[volume v]
path = /a
readonly = yes
universe = 1
`;
    expect(problemsBelowHead(text)).toEqual([]);
  });

  test.each(['v rv', 'rv v'])('X beside rX: %s', (names) => {
    const [first, second] = names.split(' ');
    const text = `[volume ${first}]\npath = /a\n[volume ${second}]\npath = /b\n`;
    expect(problemsBelowHead(text)).toEqual([
      '9 Volumes "v" and "rv" in universe 0 (the other in line 7): rv is the raw device of v; rename one or use another universe',
    ]);
    expect(problemsBelowHead(`${text}universe = 1\n`)).toEqual([]);
  });
});

describe('volumes', () => {
  test.each([
    ['[volume v]\nsize = 1g', '7 Volume "v" has no path: add "path = ..." (type memory and null need none)'],
    ['[volume v]\ntype = memory', '7 Volume "v" of type memory has no size: add "size = ..." (such as 1g)'],
    ['[volume v]\npath = /v\nsize = 1000', '9 Volume "v" has size 1000: allowed are multiples of its blocksize 512'],
    ['[volume v]\npath = /v\nblocksize = 4096\nsize = 6k', '10 Volume "v" has size 6144: allowed are multiples of its blocksize 4096'],
  ])('%j', (text, expected) => {
    expect(problemsBelowHead(text)).toEqual([expected]);
  });

  test('an invalid path is not also reported as missing', () => {
    expect(problemsBelowHead('[volume v]\npath = v')).toHaveLength(1);
  });

  test('of type memory and null need no path, and warn about one', () => {
    expect(problemsBelowHead('[volume v]\ntype = memory\nsize = 1g\n[volume w]\ntype = null\nsize = 1g')).toEqual([]);
    expect(warningsOf(`${HEAD}[volume v]\ntype = null\nsize = 1g\npath = /v\n`)).toContain(
      '10 Volume "v" is of type null: its path is not used',
    );
  });
});
