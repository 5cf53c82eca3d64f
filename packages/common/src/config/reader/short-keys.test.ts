// Tests that a short key is a problem if the configuration demands encrypted paths, and otherwise a warning. In both files, the problem or
// the warning is reported at the line of the key. The tests of the readers cover the permitted characters of a key.

import { describe, expect, test } from 'vitest';
import { KEY_RECOMMENDED_MIN_CHARS } from '../schema/limits.ts';
import { examineRscltConfig } from './rscltcfg.ts';
import { examineRssrvConfig } from './rssrvcfg.ts';
import { shortKey } from './short-keys.ts';

const DEMAND = { setting: 'tls = on', line: 7, remedy: 'and nothing else' };
const GOOD = 'k'.repeat(KEY_RECOMMENDED_MIN_CHARS);
const SHORT = GOOD.slice(1);

describe('a key', () => {
  test('of 16 characters is long enough, with and without TLS', () => {
    expect([shortKey('nodekey', GOOD, null), shortKey('nodekey', GOOD, DEMAND)]).toEqual([null, null]);
  });

  test('of 15 characters is warned of, or refused; the message names what demands more, and never the key', () => {
    expect(shortKey('nodekey', SHORT, null)).toEqual({
      isRefused: false,
      message: 'Short nodekey: 15 characters can be guessed, use 16 or more: rsconfig key new makes one',
    });
    expect(shortKey('nodekey', SHORT, DEMAND)).toEqual({
      isRefused: true,
      message:
        'Short nodekey with tls = on (line 7): 15 characters can be guessed, use 16 or more: rsconfig key new makes one, and nothing else',
    });
  });
});

describe("the client's file", () => {
  const found = (defaults: string, namespace: string, key = SHORT) => {
    const text = `[defaults]\n${defaults}\n[namespace n]\nnamespaceid = 1\nnodename = venus\nnodekey = ${key}\n${namespace}\n`;
    const { problems, warnings } = examineRscltConfig(text, 'f');
    const lines = (all: typeof problems) => all.filter(({ message }) => message.startsWith('Short')).map(({ line }) => line);
    return { refused: lines(problems), warned: lines(warnings), message: problems[0]?.message };
  };

  test.each([
    ['without tls', '', '', 'warned'],
    ['with tls = off', 'tls = off', 'tls = off', 'warned'],
    ['with tls = on', '', 'tls = on', 'refused'],
    ['with tls = on in [defaults]', 'tls = on', '', 'refused'],
    ['with tls = off that overrides [defaults]', 'tls = on', 'tls = off', 'warned'],
  ] as const)('%s: a short nodekey is %s %s %s', (_what, defaults, namespace, outcome) => {
    const { refused, warned } = found(defaults, namespace);
    expect({ refused, warned }).toEqual({ refused: outcome === 'refused' ? [6] : [], warned: outcome === 'warned' ? [6] : [] });
    expect(found(defaults, namespace, GOOD)).toMatchObject({ refused: [], warned: [], message: undefined });
  });

  test('names the line that demands a good key, inherited or not', () => {
    expect(found('tls = on', '').message).toMatch(/^Short nodekey with tls = on \(line 2\): .* rsadm client rekey venus changes it/);
    expect(found('tls = on', 'tls = on').message).toMatch(/^Short nodekey with tls = on \(line 7\)/);
  });

  test('other keys may be short: they encrypt nothing', () => {
    const { problems, warnings } = examineRscltConfig(
      `[namespace n]\nnamespaceid = 1\nnodename = v\nnodekey = ${GOOD}\ntls = on\nnamespacekey = a\n[server s]\naddress = 10.0.0.1\nserverkey = b\n`,
      'f',
    );
    expect(problems).toEqual([]);
    expect(warnings.filter(({ message }) => message.startsWith('Short')).map(({ line }) => line)).toEqual([6, 9]);
  });
});

describe("the server's file", () => {
  const found = (tls: string, clients: string) => {
    const text = `[namespace n]\nnamespaceid = 1\n${tls}\n[server s]\nserverid = 1\n[interface i]\naddress = 10.0.0.1\n[clients]\n${clients}\n`;
    const { problems, warnings } = examineRssrvConfig(text, 'f');
    return { problems, short: warnings.filter(({ message }) => message.startsWith('Short')).map(({ line }) => line) };
  };

  test.each(['', 'tls = off', 'tls = allow'])('with "%s", short keys are warned of', (tls) => {
    expect(found(tls, `venus ${SHORT}\nmars ${GOOD}`)).toEqual({ problems: [], short: [9] });
  });

  test('with tls = require, every short key is refused, the old one of two as well', () => {
    const { problems, short } = found('tls = require', `venus ${SHORT}\nmars ${GOOD}\npluto ${SHORT}x ${SHORT}`);
    expect(short).toEqual([]);
    expect(problems.map(({ line }) => line)).toEqual([9, 11]);
    expect(problems[0]?.message).toBe(
      'Short key of client venus with tls = require (line 3): 15 characters can be guessed, use 16 or more: rsconfig key new makes one, and rsadm client rekey venus changes it while tls is allow',
    );
  });

  test('the namespace may stand below the clients', () => {
    const text = `[clients]\nvenus ${SHORT}\n[server s]\nserverid = 1\n[interface i]\naddress = 10.0.0.1\n[namespace n]\nnamespaceid = 1\ntls = require\n`;
    expect(examineRssrvConfig(text, 'f').problems).toMatchObject([{ line: 2, message: expect.stringContaining('tls = require (line 9)') }]);
  });
});
