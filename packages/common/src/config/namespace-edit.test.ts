// Tests that an edit makes the rssrvcfg of a server say what the file of the namespace says, that it is made once only, and that no client
// loses a key that it may still need.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { namespaceEdit, type NamespaceEdit, type NamespaceOrder, type SecondKey } from './namespace-edit.ts';
import { readNamespaceFile } from './namespace-file.ts';
import { parseIni, printIni } from './reader/ini-document.ts';
import { examineRssrvConfig, parseRssrvConfig } from './reader/rssrvcfg.ts';

const SERVER = `# the server of the lab
[namespace osl]
namespaceid = 200
[server s1]
serverid = 1
[interface if0]
address = 10.0.0.1
[pool fast]
path = /storage/fast
[clients]
# the first client
big-2 key-of-big-2-old
big-3 key-of-big-3-old
[rights]
big-3 manage pool=fast iops=500
`;
const HEAD = '[namespace osl]\nnamespaceid = 200\n';

type Given = Partial<Omit<NamespaceOrder, 'wanted'>> & { readonly sessions?: Readonly<Record<string, SecondKey['sessionKey']>> };

function edit(server: string, file: string, { sessions = {}, ...given }: Given = {}): NamespaceEdit & { readonly text: string } {
  const isPart = given.isPart ?? false;
  const { wanted, problems } = readNamespaceFile(HEAD + file, 'osl.conf', isPart);
  expect(problems).toEqual([]);
  const order = { isPart, clients: 'any', prune: false, endKeys: [], ...given, wanted: wanted! } as const;
  const done = namespaceEdit(parseIni(server), parseRssrvConfig(server, 'rssrvcfg'), order, (client) => sessions[client] ?? null);
  const text = printIni(done.document);
  expect(examineRssrvConfig(text, 'rssrvcfg').problems).toEqual([]);
  return { ...done, text };
}

test('a client is added, gets other rights, or is removed, and what the file does not name stays', () => {
  const file =
    '[client big-2]\nkey = key-of-big-2-old\nrights = admin\n[client new]\nkey = key-of-the-new-one\nrights = manage pool=fast\n';
  const { text, changes, extra } = edit(SERVER, file);
  expect(changes).toEqual(['client big-2: the right use -> admin', 'client new is added, with the right manage pool=fast']);
  expect(extra).toEqual(['client big-3']);
  expect(text).toContain('# the first client\nbig-2 key-of-big-2-old\n');
  expect(text).toContain('big-3 manage pool=fast iops=500\nbig-2 admin\nnew manage pool=fast\n');
  expect(edit(text, file)).toMatchObject({ changes: [], text });
  expect(edit(SERVER, file, { prune: true })).toMatchObject({ removed: ['big-3'], extra: [] });
  expect(edit(SERVER, '[client big-3]\nstate = absent\n').text).not.toContain('big-3');
});

test('a key that differs is a second one, and the other ends only while a session proves the one of the file', () => {
  const file = '[client big-2]\nkey = key-of-big-2-new\n';
  const both = edit(SERVER, file);
  expect(both.text).toContain('big-2 key-of-big-2-old key-of-big-2-new\n');
  expect(both.secondKeys).toEqual([{ client: 'big-2', sessionKey: null, isNewer: true, isProven: false }]);
  const endKeys = ['big-2'];
  for (const sessionKey of [null, 'old'] as const) {
    const still = edit(both.text, file, { endKeys, sessions: { 'big-2': sessionKey } });
    expect(still).toMatchObject({ text: both.text, changes: [], secondKeys: [{ client: 'big-2', sessionKey, isProven: false }] });
  }
  // Proven here, but not said to be at all servers.
  expect(edit(both.text, file, { sessions: { 'big-2': 'new' } })).toMatchObject({ text: both.text, secondKeys: [{ isProven: true }] });
  expect(edit(both.text, file, { endKeys, sessions: { 'big-2': 'new' } }).text).toContain('\nbig-2 key-of-big-2-new\n');
  // The file has the older key again. The client may have the newer one already, although its session has not proved it.
  for (const sessionKey of ['new', 'old'] as const)
    expect(edit(both.text, '[client big-2]\nkey = key-of-big-2-old\n', { endKeys, sessions: { 'big-2': sessionKey } })).toMatchObject({
      text: both.text,
      secondKeys: [{ isNewer: false, isProven: false }],
    });
  expect(() => edit(both.text, '[client big-2]\nkey = a-third-key-of-big-2\n')).toThrow(/has two keys on server s1.*--finish or --cancel/);
});

test('an order about single clients leaves the rest of them, and knows whether they must be there', () => {
  expect(edit(SERVER, '[client big-3]\nrights = admin\n', { isPart: true }).changes).toEqual([
    'client big-3: the right manage pool=fast iops=500 -> admin iops=500',
  ]);
  expect(edit(SERVER, '[client big-3]\niops = off\n', { isPart: true })).toMatchObject({
    changes: ['client big-3: the right manage pool=fast iops=500 -> manage pool=fast'],
    extra: [],
  });
  expect(() => edit(SERVER, '[client big-2]\nkey = key-of-another-one\n', { isPart: true, clients: 'new' })).toThrow(/exists on server s1/);
  expect(edit(SERVER, '[client big-2]\nkey = key-of-big-2-old\n', { isPart: true, clients: 'new' }).changes).toEqual([]);
  expect(() => edit(SERVER, '[client big-9]\nkey = key-of-another-one\n', { isPart: true, clients: 'known' })).toThrow(/No client big-9/);
  expect(() => edit(SERVER, '[client big-9]\nrights = use\n', { isPart: true })).toThrow(/No client big-9 on server s1/);
});

test('a server leaves out the pools that it does not have, and settings and its own peers follow the file', () => {
  const rights =
    '[client big-2]\nkey = key-of-big-2-old\nrights = manage pool=fast,slow\n[client big-3]\nkey = key-of-big-3-old\nrights = manage pool=slow\n';
  expect(edit(SERVER, rights).changes).toEqual([
    'client big-2: the right use -> manage pool=fast',
    'client big-3: the right manage pool=fast iops=500 -> use, because this server has no pool slow',
  ]);
  const several = rights.replace('pool=slow', 'pool=slow,big');
  expect(edit(SERVER, several).changes[1]).toMatch(/ -> use, because this server has none of the pools slow, big$/);
  const peer = (server: string): string => `[peer s9]\nserver = ${server}\naddress = 10.0.0.9\nnodekey = key-at-the-other-one\n`;
  expect(edit(SERVER, peer('s2')).changes).toEqual([]);
  const added = edit(SERVER, peer('s1'));
  expect(added.changes).toEqual(['peer s9 is added']);
  expect(edit(added.text, peer('s1'))).toMatchObject({ changes: [], text: added.text });
  const other = edit(added.text.replace('[peer s9]', '[peer s9]\n# far away'), peer('s1').replace('0.9', '0.8'));
  expect([other.changes, other.text]).toEqual([['peer s9 has other settings'], expect.stringContaining('[peer s9]\n# far away\n')]);
  expect(edit(added.text, '').extra).toEqual(['client big-2', 'client big-3', 'peer s9']);
  expect(edit(added.text, `${peer('s1')}state = absent\n`).text.replaceAll(/\n+/g, '\n')).toBe(SERVER);
  const settings = namespaceEdit(
    parseIni(SERVER),
    parseRssrvConfig(SERVER, 'rssrvcfg'),
    {
      wanted: readNamespaceFile(`${HEAD}tenants = yes\ntls = allow\nnamespacekey = the-key-of-osl-1\n`, 'x').wanted!,
      isPart: false,
      clients: 'any',
      prune: false,
      endKeys: [],
    },
    () => null,
  );
  expect(settings.changes).toEqual(['namespacekey is another key', 'tenants: no -> yes']);
});

test('an edit that is made again changes nothing, whatever the server had before', () => {
  const key = fc.constantFrom('key-number-one-1', 'key-number-two-2', 'key-number-three');
  const rights = fc.constantFrom(
    'use',
    'admin',
    'manage',
    'manage pool=fast',
    'manage pool=fast limit=5g',
    'use iops=100',
    'manage pool=slow',
  );
  const client = fc.record({ name: fc.constantFrom('a', 'b', 'c'), key, rights });
  const clients = fc.uniqueArray(client, { selector: ({ name }) => name });
  const session = fc.constantFrom(null, 'old' as const, 'new' as const);
  fc.assert(
    fc.property(clients, clients, fc.boolean(), session, (has, wants, prune, sessionKey) => {
      const usable = has.filter(({ rights: own }) => !own.includes('slow'));
      const server = `${SERVER.replace(/\[clients\][^]*/, '')}[clients]\n${has.map((one) => `${one.name} ${one.key}`).join('\n')}\n[rights]\n${usable.map((one) => `${one.name} ${one.rights}`).join('\n')}\n`;
      const file = wants
        .map((one) => `[client ${one.name}]\nkey = ${one.key}\nrights = ${one.rights.replace(' iops=', '\niops = ')}\n`)
        .join('');
      const given = { prune, endKeys: wants.map(({ name }) => name), sessions: { a: sessionKey, b: sessionKey, c: sessionKey } };
      const first = edit(server, file, given);
      const second = edit(first.text, file, { ...given, endKeys: [] });
      expect(second).toMatchObject({ changes: [], text: first.text });
      const { clients: after } = parseRssrvConfig(first.text, 'rssrvcfg');
      for (const { name, key: wanted } of wants) {
        const now = after.find((one) => one.name === name)!;
        const before = has.find((one) => one.name === name);
        expect([now.key, now.newKey]).toContain(wanted);
        // A client that has never proved another key keeps the one it had.
        if (before !== undefined) expect([now.key, now.newKey]).toContain(before.key);
      }
      expect(after.map(({ name }) => name).toSorted()).toEqual(
        [...new Set([...(prune ? [] : has.map(({ name }) => name)), ...wants.map(({ name }) => name)])].toSorted(),
      );
    }),
    { numRuns: 500 },
  );
});
