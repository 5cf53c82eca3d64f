// Tests the methods about the file of the namespace on a real rssrvcfg: what is refused, and that a refusal or a failed reload leaves the file
// as it was. namespace-edit.test.ts tests what an edit changes. Rules: G53.

import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openConfigFile } from '@rsio/common/config/config-file';
import { hashOf } from '@rsio/common/config/namespace-file';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { changeServerFile } from '@rsio/api/manage/server-file';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { ClientView } from '@rsio/api/views/views';
import { StateFile } from '@rsio/base/files/state-file';
import { RsError } from '@rsio/base/lib/errors';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Asker, clientAsker, LOCAL_ASKER } from '../../pools/asker.ts';
import { STORED_FORM } from './applied-file.ts';
import { NamespaceFiles } from './namespace-handlers.ts';

const SERVER = `[namespace osl]
namespaceid = 200
[server s1]
serverid = 1
[interface if0]
address = 10.0.0.1
[clients]
admin the-key-of-admin-1
big-2 the-key-of-big-2-1
[rights]
admin admin
`;
const HEAD = '[namespace osl]\nnamespaceid = 200\n';
const ADMIN = '[client admin]\nkey = the-key-of-admin-1\nrights = admin\n';
const NEW = '[client new]\nkey = the-key-of-new-12\n';

let folder: string;
let configFile: string;
let config: RssrvConfig;
let clients: Pick<ClientView, 'name' | 'sessionKey' | 'volumes'>[];
let reloads: string[];
let refusal: RsError | null;
let errors: string[];
let isFenced: boolean;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-namespace-'));
  configFile = path.join(folder, 'rssrvcfg');
  writeFileSync(configFile, SERVER, { mode: 0o600 });
  config = parseRssrvConfig(SERVER, configFile);
  [clients, reloads, refusal, errors, isFenced] = [[], [], null, [], false];
});
afterEach(() => removeFolder(folder));

async function files(): Promise<NamespaceFiles> {
  const made = new NamespaceFiles({
    clock: { wallMs: () => 1_000 },
    log: { info: () => undefined, error: (text) => void errors.push(text) },
    store: (current) => new StateFile(path.join(folder, 'namespace.json'), STORED_FORM, current),
    hash: async (content) => hashOf(content),
    config: () => config,
    document: () => openConfigFile(configFile).document,
    check: async (content) => parseRssrvConfig(content, configFile),
    change: async (edit, by) => {
      const call = async (method: 'config-check' | 'reload'): Promise<never> => {
        if (method === 'config-check') return { changes: [], warnings: [] } as never;
        if (refusal !== null) throw refusal;
        reloads.push(by);
        config = parseRssrvConfig(text(), configFile);
        return { applied: ['something'] } as never;
      };
      await changeServerFile({ configFile, call, out: () => undefined, note: () => undefined }, edit);
    },
    clients: () => clients,
    checkFence: () => {
      if (isFenced) throw new RsError('E_FENCED', 'The client is fenced');
    },
  });
  await made.load();
  return made;
}

const text = (): string => readFileSync(configFile, 'utf8');
const asAdmin = (): Asker => clientAsker('admin', config);

type Params = ServerMethods['namespace-apply']['params'];
async function apply(file: string, given: Partial<Params> = {}, asker = LOCAL_ASKER, made?: NamespaceFiles) {
  const defaults = { plan: false, part: false, clients: 'any', prune: false, endKeys: [], generation: null } as const;
  const handlers = (made ?? (await files())).handlers(asker);
  return handlers['namespace-apply']({ text: HEAD + file, ...defaults, ...given });
}

test('a file is applied once, is remembered over a restart, and a plan changes nothing', async () => {
  const plan = await apply(ADMIN + NEW, { plan: true });
  expect([plan.changes, plan.applied, text()]).toEqual([['client new is added, with the right use'], null, SERVER]);
  const done = await apply(ADMIN + NEW, {}, asAdmin());
  expect(done).toMatchObject({ server: 's1', changes: plan.changes, extra: ['client big-2'] });
  expect([reloads, text()]).toEqual([['client admin'], expect.stringContaining('new the-key-of-new-12\n')]);
  const shown = await (await files()).handlers(LOCAL_ASKER)['namespace-show']({});
  expect(shown).toMatchObject({ applied: { generation: 1, atMs: 1_000, by: 'client admin' }, drift: [] });
  expect([plan.isSame, done.isSame, (await apply(ADMIN + NEW)).isSame]).toEqual([true, false, true]);
  expect(reloads).toHaveLength(1);
  expect((await apply(ADMIN + NEW)).applied).toMatchObject({ generation: 1, by: 'client admin' });
  expect(statSync(path.join(folder, 'namespace.json')).mode & 0o077).toBe(0);
  writeFileSync(configFile, text().replace('admin admin', 'admin admin\nnew manage'));
  expect(await (await files()).handlers(LOCAL_ASKER)['namespace-show']({})).toMatchObject({
    drift: ['client new: the right manage -> use'],
  });
});

test('an older file, and another one of the same generation, are refused', async () => {
  const made = await files();
  await apply(ADMIN + NEW, { generation: 5 }, LOCAL_ASKER, made);
  for (const generation of [null, 4, 5])
    await expect(apply(ADMIN, { generation }, LOCAL_ASKER, made)).rejects.toThrow(
      /has generation 5 of the file, by .*, which is another one: compare/,
    );
  expect((await apply(ADMIN, { generation: 6 }, LOCAL_ASKER, made)).applied).toMatchObject({ generation: 6 });
  // A part counts as no file.
  expect((await apply('[client new]\nrights = admin\n', { part: true }, LOCAL_ASKER, made)).applied).toMatchObject({ generation: 6 });
  await expect(apply('', { part: true, prune: true }, LOCAL_ASKER, made)).rejects.toThrow(/belong to a whole file/);
});

test('an order that would shut out its asker, stop the I/O of a client, or comes from a fenced client changes nothing', async () => {
  const asker = asAdmin();
  const cases: readonly (readonly [file: string, given: Partial<Params>, error: RegExp])[] = [
    [`${NEW}[client big-2]\nkey = the-key-of-big-2-1\n`, { prune: true }, /would take the right admin or the key from client admin/],
    [ADMIN.replace('rights = admin', 'rights = manage'), {}, /would take the right admin/],
    ['[client admin]\nstate = absent\n', { part: true }, /would take the right admin/],
    [`${ADMIN}[client big-2]\nstate = absent\n`, {}, /Client big-2 holds db of server s1: detach there first, or run rsadm client remove/],
    [ADMIN, { prune: true }, /Client big-2 holds db/],
  ];
  clients = [{ name: 'big-2', sessionKey: null, volumes: ['db'] }];
  for (const [file, given, error] of cases) {
    await expect(apply(file, given, asker)).rejects.toThrow(error);
    expect([text(), reloads]).toEqual([SERVER, []]);
  }
  isFenced = true;
  await expect(apply(ADMIN + NEW, {}, asker)).rejects.toThrow(/fenced/);
  await expect(apply(ADMIN + NEW, {}, clientAsker('big-2', config))).rejects.toThrow(/may not apply files of the namespace/);
  await expect(apply('[client new]\nkey = the-key-of-new-12\nrights = rule\n')).rejects.toThrow(/has the right "rule"/);
  await expect(
    files().then((made) => made.handlers(LOCAL_ASKER)['namespace-apply']({ ...BARE, text: '[namespace x]\nnamespaceid = 7\n' })),
  ).rejects.toThrow(/namespaceid 200, and the file of 7/);
  expect([text(), reloads]).toEqual([SERVER, []]);
});

const BARE = { plan: false, part: false, clients: 'any', prune: false, endKeys: [], generation: null } as const;

test('a reload that fails leaves rssrvcfg as it was, and the file does not count as applied', async () => {
  refusal = new RsError('E_CONFIG', 'no');
  await expect(apply(ADMIN + NEW)).rejects.toThrow('no');
  expect(text()).toBe(SERVER);
  expect(await (await files()).handlers(LOCAL_ASKER)['namespace-show']({})).toMatchObject({ applied: null, drift: [] });
});

test('two orders at once are made one after the other, and both are in the file', async () => {
  const made = await files();
  const part = { part: true } as const;
  await Promise.all(['a', 'b', 'c'].map((name) => apply(`[client ${name}]\nkey = the-key-of-${name}-123\n`, part, LOCAL_ASKER, made)));
  for (const name of ['a', 'b', 'c']) expect(text()).toContain(`${name} the-key-of-${name}-123\n`);
});

test('a damaged copy is logged and kept, and nothing is applied until it is restored or removed', async () => {
  const copy = path.join(folder, 'namespace.json');
  await apply(ADMIN + NEW);
  const good = readFileSync(copy, 'utf8');
  const damaged = good.replace(/"atMs":\d/, '"atMs":2');
  expect(damaged).not.toBe(good);
  writeFileSync(copy, damaged);
  const made = await files();
  expect(errors).toEqual([expect.stringMatching(/checksum is wrong: restore it or remove it, and restart rssrv/)]);
  const before = text();
  await expect(apply(ADMIN, { prune: true }, LOCAL_ASKER, made)).rejects.toThrow(/checksum is wrong/);
  await expect(apply(REKEYED, { part: true }, LOCAL_ASKER, made)).rejects.toThrow(/checksum is wrong/);
  await expect(made.renamed('new', 'newer')).rejects.toThrow(/checksum is wrong/);
  expect(() => made.wasRenamed('new', 'newer')).toThrow(/checksum is wrong/);
  expect([text(), readFileSync(copy, 'utf8')]).toEqual([before, damaged]);
  writeFileSync(copy, good);
  expect(await (await files()).handlers(LOCAL_ASKER)['namespace-show']({})).toMatchObject({ applied: { generation: 1 } });
});

const PROVED = [{ name: 'big-2', sessionKey: 'new' as const, volumes: [] }];
const REKEYED = '[client big-2]\nkey = the-key-of-big-2-2\n';

test('a key that an order has ended does not come back, and a removed client may', async () => {
  const made = await files();
  await apply(REKEYED, {}, LOCAL_ASKER, made);
  clients = PROVED;
  expect((await apply(REKEYED, { endKeys: ['big-2'] }, LOCAL_ASKER, made)).changes).toEqual([
    'client big-2 has one key again: its old key ends',
  ]);
  const old = REKEYED.replace('2-2', '2-1');
  const refused = /The key of client big-2 in the file has ended on server s1: write the present one/;
  await expect(apply(old, { generation: 9 }, LOCAL_ASKER, made)).rejects.toThrow(refused);
  // A restart forgets nothing.
  await expect(apply(old, { part: true })).rejects.toThrow(refused);
  expect(readFileSync(path.join(folder, 'namespace.json'), 'utf8')).not.toContain('the-key-of-big-2-1');
  await apply('[client big-2]\nstate = absent\n', { part: true }, LOCAL_ASKER, made);
  expect((await apply(REKEYED, { part: true }, LOCAL_ASKER, made)).changes).toEqual(['client big-2 is added, with the right use']);
});

test('a client with another name gets no key that ended under its old one, and the old name does not come back with its key', async () => {
  const made = await files();
  await apply(REKEYED, {}, LOCAL_ASKER, made);
  clients = PROVED;
  await apply(REKEYED, { endKeys: ['big-2'] }, LOCAL_ASKER, made);
  expect(made.wasRenamed('big-2', 'mars')).toBe(false);
  await made.renamed('big-2', 'mars');
  writeFileSync(configFile, text().replace('big-2 the-key', 'mars the-key'));
  clients = [];
  const ended = /The key of client (mars|big-2) in the file has ended/;
  for (const wanted of ['[client mars]\nkey = the-key-of-big-2-1\n', REKEYED])
    await expect(apply(wanted, { part: true }, LOCAL_ASKER, made)).rejects.toThrow(ended);
  const later = await files();
  await later.load();
  expect([later.wasRenamed('big-2', 'mars'), later.wasRenamed('venus', 'mars')]).toEqual([true, false]);
  // The other way round, both may be as before.
  await later.renamed('mars', 'big-2');
  writeFileSync(configFile, text().replace('mars the-key', 'big-2 the-key'));
  expect((await apply(REKEYED, { part: true }, LOCAL_ASKER, later)).changes).toEqual([]);
  expect(later.wasRenamed('big-2', 'mars')).toBe(false);
});

test('what a session has proved says nothing about keys that are not in force', async () => {
  const made = await files();
  await apply(REKEYED, {}, LOCAL_ASKER, made);
  clients = PROVED;
  const byHand = '[client big-2]\nkey = the-key-of-big-2-3\n';
  writeFileSync(configFile, text().replace('the-key-of-big-2-1 the-key-of-big-2-2', 'the-key-of-big-2-2 the-key-of-big-2-3'));
  const done = await apply(byHand, { endKeys: ['big-2'], generation: 2 }, LOCAL_ASKER, made);
  expect(done).toMatchObject({ changes: [], secondKeys: [{ client: 'big-2', sessionKey: null, isProven: false }] });
});

test('a file that cannot be compared any more is shown, and the next one takes its place', async () => {
  const made = await files();
  await apply(ADMIN, {}, LOCAL_ASKER, made);
  const other = text().replace('namespaceid = 200', 'namespaceid = 201');
  writeFileSync(configFile, other);
  config = parseRssrvConfig(other, configFile);
  expect(await made.handlers(LOCAL_ASKER)['namespace-show']({})).toMatchObject({
    applied: { generation: 1 },
    drift: [expect.stringMatching(/^it cannot be compared: Server s1 is of the namespace with the namespaceid 201/)],
  });
  const next = `[namespace osl]\nnamespaceid = 201\n${ADMIN}`;
  expect(await made.handlers(LOCAL_ASKER)['namespace-apply']({ ...BARE, text: next })).toMatchObject({ applied: { generation: 2 } });
  await expect(made.handlers(LOCAL_ASKER)['namespace-apply']({ ...BARE, text: next, generation: 2 ** 50 })).rejects.toThrow(/far above 2/);
});
