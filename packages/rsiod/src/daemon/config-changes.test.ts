// The texts about the differences between two configurations, and the differences that are refused at runtime. Reading files is tested in
// @rsio/common, and the effects of changes in namespace.test.ts and test/integration.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSameLogin } from '../network/namespace.ts';
import { configChanges, changeObstacles } from './config-changes.ts';

const INTERFACES = '[interface if0]\naddress = 10.0.1.1\n\n[interface if1]\naddress = 10.0.2.1/24\n';
const LOGIN = 'namespaceid = 200\nnodename = big-2\nnodekey = 0xa-secret-of-sixteen\n';
const SERVERS = '[server s1]\naddress = 10.0.1.9\n\n[server s2]\naddress = 10.0.2.9\n';

function config({ defaults = '', interfaces = INTERFACES, namespace = `[namespace osl]\n${LOGIN}`, servers = SERVERS }): RscltConfig {
  return parseRscltConfig(`[defaults]\n${defaults}${interfaces}${namespace}${servers}`, 'rscltcfg');
}

const BASE = config({});

function said(after: RscltConfig, before = BASE): string[] {
  return configChanges(before, after).map(({ object, from, to }) => `${object}: ${from} -> ${to}`);
}

describe('differences', () => {
  test('of the same text: none', () => {
    expect(said(config({}))).toEqual([]);
  });

  test('of sections, in the order of the file', () => {
    const after = config({
      interfaces: '[interface if0]\naddress = 10.0.3.1\n[interface if2]\naddress = 10.0.2.1\n',
      servers: `${SERVERS}port = 6000\n[volume oracle]\nreadonly = yes\n`,
    });
    expect(said(after)).toEqual([
      'interface if0: address = 10.0.1.1 -> address = 10.0.3.1',
      'interface if2: - -> added',
      'interface if1: configured -> removed',
      'server s2 of namespace osl: port = - -> port = 6000',
      'volume oracle of namespace osl: - -> added',
    ]);
    expect(said(BASE, after)).toContain('volume oracle of namespace osl: configured -> removed');
  });

  test('of values, in the form of the file', () => {
    const after = config({
      defaults: 'stall = 30s\nattach = a, b\nheartbeat = 2s\ndead = 10s\nport = 6000\ntls = on\nlog-size = 1m\nbusy-poll = 50us\n',
    });
    expect(said(after)).toEqual([
      'defaults: port = - -> port = 6000',
      'defaults: busy-poll = off -> busy-poll = 50us',
      'namespace osl: stall = 10m -> stall = 30s',
      'namespace osl: attach = none -> attach = a, b',
      'namespace osl: heartbeat = 1s -> heartbeat = 2s',
      'namespace osl: dead = 3s -> dead = 10s',
      'namespace osl: tls = off -> tls = on',
      'namespace osl: log-size = 64m -> log-size = 1m',
    ]);
  });

  test('of keys never show a key', () => {
    const after = config({
      namespace: `[namespace osl]\n${LOGIN.replace('0xa-', '0xb-')}namespacekey = another-secret-of-16\n`,
      servers: `${SERVERS}serverkey = third-secret-of-16\n`,
    });
    expect(said(after)).toEqual([
      'namespace osl: nodekey -> another nodekey',
      'namespace osl: namespacekey -> another namespacekey',
      'server s2 of namespace osl: serverkey -> another serverkey',
    ]);
    expect(JSON.stringify(configChanges(BASE, after))).not.toMatch(/secret/);
  });

  test('of gates, without their secrets', () => {
    const before = config({ servers: `${SERVERS}[gate g]\naddress = 127.0.0.1\nhosts = all\nsecret-file = /s\n` });
    expect(said(before)).toEqual(['gate g: - -> added']);
    const after = config({ servers: `${SERVERS}[gate g]\naddress = 127.0.0.1,[::1]:4421\nhosts = nqn.2020-01.a:b\nsecret-file = /t\n` });
    expect(said(after, before)).toEqual([
      'gate g: address = 127.0.0.1:4420 -> address = 127.0.0.1:4420, [::1]:4421',
      'gate g: hosts = all -> hosts = nqn.2020-01.a:b',
      'gate g: secret-file = /s -> secret-file = /t',
    ]);
    const secrets = (text: string): RscltConfig => ({
      ...before,
      gates: before.gates.map((gate) => ({ ...gate, secrets: new Map([['nqn.2020-01.a:b', { hash: 0, key: Buffer.from(text) }]]) })),
    });
    expect(said(secrets('a'), secrets('a'))).toEqual([]);
    expect(said(secrets('b'), secrets('a'))).toEqual(['gate g: set of secrets -> another set of secrets']);
  });

  test('are empty only if both texts mean the same', () => {
    const text = fc.record({
      defaults: fc.constantFrom('', 'stall = fail\n', 'port = 7000\n', 'digest = on\n', 'paths = all\n'),
      interfaces: fc.constantFrom(INTERFACES, `${INTERFACES}port = 7000\n`, '[interface if0]\naddress = 10.0.1.1\n'),
      servers: fc.constantFrom(SERVERS, '[server s1]\naddress = 10.0.1.9\n', `${SERVERS}[volume v]\nstall = 1s\n`),
    });
    fc.assert(
      fc.property(text, text, (left, right) => {
        const isSame = left.defaults === right.defaults && left.interfaces === right.interfaces && left.servers === right.servers;
        expect(configChanges(config(left), config(right)).length === 0).toBe(isSame);
      }),
    );
  });
});

describe('a change is refused', () => {
  const attached = (namespace: string): string[] => (namespace === 'osl' ? ['osl:a@0', 'osl:b@0'] : []);
  const login = (changes: string): RscltConfig => config({ namespace: changes });

  test('if it removes a namespace, or changes its login, while volumes are attached', () => {
    const other = `[namespace lab]\n${LOGIN.replace('200', '201')}`;
    expect(changeObstacles(BASE, login(other), attached)).toEqual([
      'Namespace osl cannot be removed while osl:a@0, osl:b@0 are attached: restore it, or run rsconfig -d osl:a@0 osl:b@0 first',
    ]);
    const renamed = login(`[namespace osl]\n${LOGIN.replace('big-2', 'big-3')}`);
    expect(changeObstacles(BASE, renamed, () => ['osl:a@0'])).toEqual([
      'Namespace osl cannot log in under another namespaceid or nodename while osl:a@0 is attached: restore it, or run rsconfig -d osl:a@0 first',
    ]);
    expect(changeObstacles(BASE, renamed, () => [])).toEqual([]);
    expect(isSameLogin(BASE.namespaces[0]!, renamed.namespaces[0]!)).toBe(false);
  });

  test('if it changes the group of the NBD socket, but otherwise accepted', () => {
    const after = config({ defaults: 'stall = fail\n', namespace: `[namespace osl]\n${LOGIN.replace('0xa-', '0xb-')}`, servers: '' });
    expect(changeObstacles(BASE, after, attached)).toEqual([]);
    expect(changeObstacles(BASE, config({ defaults: 'nbd-group = disk\n' }), attached)).toEqual([
      'nbd-group cannot change at runtime: restore it, or restart rsiod',
    ]);
  });
});
