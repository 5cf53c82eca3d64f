// Tests which clients a volume lists after an order has taken it away from a client or given it to a client. The pools are on disk.
// revocations.test.ts tests how the client's hold ends. Rules: H6, C1.

import { CLIENTS_MAX } from '@rsio/common/config/schema/limits';
import { expect, test } from 'vitest';
import { DB, open, usePoolDirectory } from '../testing/pool-directory.ts';
import { clientAsker, LOCAL_ASKER } from './asker.ts';
import { asking } from '../testing/asking.ts';
import { stampOf } from './requests/request-stamp.ts';

usePoolDirectory();

const STAMPS = ['1', '2'].map((id) => stampOf({ node: null, id, method: 'volume-revoke', params: {} }));
const ANY = DB;
const OPS = clientAsker('ops', asking([{ name: 'ops', role: 'manage', pools: null, limitBytes: null, line: 1 }]));

test('the client leaves the list durably, and comes back into it; a request is executed once', async () => {
  const scene = await open();
  await scene.create({ clients: ['big-2', 'venus'] });
  const change = async (node: string, mayAttach: boolean, stamp: string | null = null): Promise<unknown> =>
    (await scene.verbs.setAccess(ANY, node, mayAttach, LOCAL_ASKER, stamp)).manifest.clients;
  expect(scene.verbs.toRevoke(DB, 'big-2', LOCAL_ASKER, STAMPS[0]!)).not.toBeNull();
  expect(await change('big-2', false, STAMPS[0])).toEqual(['venus']);
  expect(scene.served.get('db@0')?.clients).toEqual(['venus']);
  expect(await change('big-2', false)).toEqual(['venus']);
  expect(await change('big-2', true, STAMPS[0])).toEqual(['venus', 'big-2']);
  expect(await change('big-2', true)).toEqual(['venus', 'big-2']);
  expect(scene.verbs.toRevoke(DB, 'big-2', LOCAL_ASKER, STAMPS[1]!)).not.toBeNull();
});

test('a request that was executed before a crash takes nothing again', async () => {
  const scene = await open();
  await scene.create({ clients: ['big-2'] });
  await scene.verbs.setAccess(ANY, 'big-2', false, LOCAL_ASKER, STAMPS[0]!);
  expect(scene.verbs.toRevoke(DB, 'big-2', LOCAL_ASKER, STAMPS[0]!)).toBeNull();
});

test.each([
  ['all clients', null, false, LOCAL_ASKER, 'E_USAGE', /name the clients that may, and big-2 if it has the volume/],
  ['too many clients', Array.from({ length: CLIENTS_MAX }, (_, at) => `c${at}`), true, LOCAL_ASKER, 'E_LIMIT', /clients=all lists all/],
  ['a client that may not use the volume', ['venus'], true, OPS, 'E_UNKNOWN_VOLUME', /db/],
  ['the asker itself', ['ops'], false, OPS, 'E_RIGHTS', /would not be able to attach volume db/],
] as const)('refused: %s', async (what, clients, mayAttach, asker, code, message) => {
  const scene = await open();
  await scene.create({ clients });
  const node = what === 'the asker itself' ? 'ops' : 'big-2';
  const changed = scene.verbs.setAccess(ANY, node, mayAttach, asker, null);
  await expect(changed).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
});

test('a list of all clients already has the client, and another volume of the name is not meant', async () => {
  const scene = await open();
  await scene.create({ clients: null });
  expect((await scene.verbs.setAccess(ANY, 'big-2', true, LOCAL_ASKER, null)).manifest.clients).toBeNull();
  await expect(scene.verbs.setAccess({ id: '0-0-0-0-0' }, 'big-2', true, LOCAL_ASKER, null)).rejects.toMatchObject({
    code: 'E_UNKNOWN_VOLUME',
  });
});
