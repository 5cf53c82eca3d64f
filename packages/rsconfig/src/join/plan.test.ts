// Tests the exact file that `join` writes: a new file, a file that gets a further namespace, and a file whose namespace gets further
// interfaces or servers. Also tests refusals. Integration tests cover the search for paths.

import { SAMPLE_RSCLTCFG } from '@rsio/common/testing/sample-rscltcfg';
import { parseIni, printIni } from '@rsio/common/config/reader/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { NAME_MAX_BYTES } from '@rsio/base/lib/limits';
import { describe, expect, test } from 'vitest';
import { type JoinIdentity, type OldSection, planJoin, type UsablePath } from './plan.ts';

const FILE = '/etc/rscltcfg';
const OSL: JoinIdentity = {
  namespaceid: 200,
  label: 'osl',
  nodename: 'big-2',
  nodekey: '0xbig-2',
  namespacekey: null,
  serverkey: null,
  tls: false,
};

function path(device: string, subnet: number, changes: Partial<UsablePath> = {}): UsablePath {
  return { device, local: `192.168.${subnet}.20`, server: 'big-9', serverid: 1, address: `192.168.${subnet}.10`, port: 5000, ...changes };
}

const TWO = [path('lo', 45), path('lo', 46)];

function join(text: string, paths: readonly UsablePath[], identity: Partial<JoinIdentity> = {}, old: readonly OldSection[] = []) {
  const plan = planJoin(parseIni(text), paths, old, { ...OSL, ...identity }, FILE);
  return { ...plan, text: printIni(plan.document) };
}

test('an empty file becomes the sample', () => {
  const { text, added, namespace } = join('', TWO);
  expect(text).toBe(SAMPLE_RSCLTCFG);
  expect(namespace).toBe('osl');
  expect(added).toEqual([
    'interface if0, 192.168.45.20',
    'interface if1, 192.168.46.20',
    'namespace osl, id 200, as node big-2',
    'server big-9-1, 192.168.45.10',
    'server big-9-2, 192.168.46.10',
  ]);
});

test('joining again adds nothing and changes no byte', () => {
  expect(join(SAMPLE_RSCLTCFG, TWO)).toMatchObject({ text: SAMPLE_RSCLTCFG, added: [] });
});

test('a section of a server that has moved gets the new address, once, and keeps its name and comment', () => {
  const old = [{ section: 'big-9-1', serverid: 1, address: '192.168.45.10' }];
  const commented = SAMPLE_RSCLTCFG.replace('[server big-9-1]', '# mine\n[server big-9-1]');
  const now = [path('lo', 45, { address: '192.168.45.77', port: 6000 }), path('lo', 46), path('lo', 47, { serverid: 2, server: 'big-8' })];
  const { text, added } = join(commented, now, {}, old);
  expect(added).toEqual([
    'interface lo, 192.168.47.20',
    'server big-9-1, 192.168.45.77 (before: 192.168.45.10)',
    'server big-8-1, 192.168.47.10',
  ]);
  expect(text).toMatch(/# mine\n\[server big-9-1\]\naddress +?= 192.168.45.77\nport += 6000\n/);
  expect(join(text, now).text).toBe(text);
});

test('comments, spacing and line ends of an existing file stay', () => {
  const old =
    '# mine\r\n[interface net]\r\naddress=192.168.45.20\r\n\r\n[namespace other] \r\nnamespaceid = 7\r\nnodename = a\r\nnodekey = b\r\n';
  const { text, added } = join(old, TWO);
  expect(text.startsWith('# mine\r\n[interface net]\r\naddress=192.168.45.20\r\n\r\n[interface ')).toBe(true);
  expect(text).toContain('[namespace other] \r\nnamespaceid = 7\r\nnodename = a\r\nnodekey = b\r\n');
  expect(added.filter((line) => line.startsWith('interface'))).toEqual(['interface lo, 192.168.46.20']);
  expect(parseRscltConfig(text, FILE).namespaces.map(({ name }) => name)).toEqual(['other', 'osl']);
});

describe('with TLS', () => {
  const key = { nodekey: '0123456789abcdef' };
  const tlsOf = (text: string) => parseRscltConfig(text, FILE).namespaces.map(({ name, tls }) => `${name} ${tls}`);

  test('a new namespace gets tls = on, and [defaults] stays as it is', () => {
    const { text, added } = join('', TWO, { ...key, tls: true });
    expect(text.replace(/^tls .*\n/m, '').replace(key.nodekey, OSL.nodekey)).toBe(SAMPLE_RSCLTCFG);
    expect(tlsOf(text)).toEqual(['osl true']);
    expect(added).toContain('namespace osl, id 200, as node big-2, with tls = on');
  });

  test('a namespace that inherits tls = on gets no line of its own', () => {
    const { text } = join('[defaults]\ntls = on\n', TWO, { ...key, tls: true });
    expect(text.match(/tls/g)).toHaveLength(1);
    expect(tlsOf(text)).toEqual(['osl true']);
  });

  test('a known namespace without it gets it, once', () => {
    const plain = join('', TWO, key).text;
    const { text, added } = join(plain, TWO, { ...key, tls: true });
    expect(added).toEqual(['namespace osl, tls = on']);
    expect(tlsOf(text)).toEqual(['osl true']);
    expect(join(text, TWO, { ...key, tls: true })).toMatchObject({ text, added: [] });
  });
});

describe('interface names', () => {
  const namesOf = (paths: readonly UsablePath[], text = ''): string[] =>
    parseRscltConfig(join(text, paths).text, FILE).interfaces.map(({ name }) => name);

  test('are those of the devices if they are unique and valid', () => {
    expect(namesOf([path('eth0', 45), path('eth1', 46)])).toEqual(['eth0', 'eth1']);
    expect(namesOf([path('eth0', 45), path('eth0', 46), path('eth1', 47)])).toEqual(['if0', 'if1', 'eth1']);
    expect(namesOf([path('eth0@if3', 45), path('eth1', 46)])).toEqual(['if0', 'eth1']);
  });

  test('do not collide with those of the file', () => {
    const old = '[interface eth1]\naddress = 10.0.0.1\n\n[interface if0]\naddress = 10.0.1.1\n';
    expect(namesOf([path('eth1', 45), path('eth2', 46)], old)).toEqual(['eth1', 'if0', 'if1', 'eth2']);
  });

  test('beyond eight interfaces the rest is left out, with the servers that only they reach', () => {
    const paths = Array.from({ length: 9 }, (_, index) => path(`eth${index}`, 40 + index));
    const { leftOut, text } = join('', paths);
    expect(leftOut).toMatchObject([{ device: 'eth8', local: '192.168.48.20' }]);
    expect(parseRscltConfig(text, FILE).namespaces[0]?.servers).toHaveLength(8);
  });
});

test('one interface that reaches two of the server is written once, and so is a server interface that two reach', () => {
  const config = parseRscltConfig(
    join('', [path('eth0', 45), path('eth0', 45, { address: '192.168.45.11' }), path('eth1', 45, { local: '192.168.45.21' })]).text,
    FILE,
  );
  expect(config.interfaces.map(({ address }) => address)).toEqual(['192.168.45.20', '192.168.45.21']);
  expect(config.namespaces[0]?.servers.map(({ address }) => address)).toEqual(['192.168.45.10', '192.168.45.11']);
});

describe('ports', () => {
  test('a new file has the port of the first path, and servers with another port their own', () => {
    const { text } = join('', [path('eth0', 45, { port: 5001 }), path('eth1', 46, { port: 5002 })]);
    expect(text).toContain('port          = 5001\n');
    const config = parseRscltConfig(text, FILE);
    expect(config.namespaces[0]?.servers.map(({ port }) => port)).toEqual([null, 5002]);
  });

  test('an existing file keeps its own', () => {
    const old = '[defaults]\nport = 6000\n\n[interface a]\naddress = 192.168.45.20\nport = 6001\n';
    const { text } = join(old, [path('eth0', 45), path('eth1', 46, { port: 6000 })]);
    expect(text.startsWith(old.trimEnd())).toBe(true);
    // In a section without the key `port`, interface a would connect to port 6001, and the other interface to port 6000.
    expect(parseRscltConfig(text, FILE).namespaces[0]?.servers.map(({ port }) => port)).toEqual([5000, 6000]);
  });
});

test('keys for exploration and of servers are in the right sections', () => {
  const [namespace] = parseRscltConfig(join('', TWO, { namespacekey: 'nk', serverkey: 'sk' }).text, FILE).namespaces;
  expect(namespace).toMatchObject({ namespacekey: 'nk', servers: [{ serverkey: 'sk' }, { serverkey: 'sk' }] });
});

test('an existing namespace is completed', () => {
  const one = join('', [path('eth0', 45)]).text;
  const { text, added } = join(one, [path('eth0', 45), path('eth1', 46)]);
  expect(added).toEqual(['interface eth1, 192.168.46.20', 'server big-9-2, 192.168.46.10']);
  expect(parseRscltConfig(text, FILE).namespaces).toHaveLength(1);
});

test('a second server gets its own sections, and a label in use gets a number', () => {
  const { text } = join(SAMPLE_RSCLTCFG, [path('lo', 45, { server: 'big-8', address: '192.168.45.8' })], { namespaceid: 201 });
  const config = parseRscltConfig(text, FILE);
  expect(config.namespaces.map(({ name }) => name)).toEqual(['osl', 'osl-201']);
  expect(config.namespaces[1]?.servers.map(({ name }) => name)).toEqual(['big-8-1']);
});

test('names of the greatest length are shortened when a number is appended', () => {
  const [server, label] = ['s'.repeat(NAME_MAX_BYTES), 'n'.repeat(NAME_MAX_BYTES)];
  const paths = TWO.map((one) => ({ ...one, server }));
  const first = join('', paths, { label });
  const second = join(first.text, paths, { label, namespaceid: 201 });
  expect(second.added).toEqual([
    `namespace ${'n'.repeat(NAME_MAX_BYTES - 4)}-201, id 201, as node big-2`,
    `server ${'s'.repeat(NAME_MAX_BYTES - 1)}1, 192.168.45.10`,
    `server ${'s'.repeat(NAME_MAX_BYTES - 1)}2, 192.168.46.10`,
  ]);
});

describe('join refuses', () => {
  test('the namespace with another key or node name; no key is shown', () => {
    expect(() => join(SAMPLE_RSCLTCFG, TWO, { nodekey: '0xother' })).toThrow(
      '/etc/rscltcfg already has namespaceid 200, as osl with another key: correct it there, or run rsconfig namespace remove osl',
    );
    expect(() => join(SAMPLE_RSCLTCFG, TWO, { nodename: 'venus' })).toThrow('as osl with node name big-2');
  });

  test('a file with faults, and names the first', () => {
    expect(() => join('[interface a]\naddress = nowhere\n', TWO)).toThrow('/etc/rscltcfg:2: Wrong value "nowhere" for address');
  });
});
