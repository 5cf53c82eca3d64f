// Tests `client rekey`: its steps, the key that the session of the client uses, and the keys in rssrvcfg after each step. rssrv is a fake.
// The edits of the file have tests in common's config/.

import { client } from '@rsio/common/testing/server-views';
import { expect, test } from 'vitest';
import { CONFIG, refusing, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();

test('client rekey: the first step prints the new key alone, the last one drops the old key', async () => {
  await scene.serve({ reload: () => ({ applied: ['client big-2 has a second key: both are valid'] }) });
  const { code, out, err } = await scene.run(['client', 'rekey', 'big-2']);
  expect({ code, err }).toEqual({ code: 0, err: 'rsadm: client big-2 has a second key: both are valid\n' });
  expect(out).toMatch(/^[2-9a-z]{32}\n$/);
  expect(scene.config()).toBe(`${CONFIG} ${out.trim()}`);
  expect(await scene.run(['client', 'rekey', 'big-2'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^rsadm: Client big-2 has two keys/),
  });
  expect((await scene.run(['client', 'rekey', 'big-2', '--cancel'])).code).toBe(0);
  expect(scene.config()).toBe(CONFIG);
  const { out: json } = await scene.run(['client', 'rekey', 'big-2', '--json']);
  const { key } = JSON.parse(json) as { key: string };
  expect(JSON.parse((await scene.run(['client', 'rekey', 'big-2', '--finish', '--json'])).out)).toEqual({ name: 'big-2', key: null });
  expect(scene.config()).toBe(CONFIG.replace(/ z2bq.*/, ` ${key}`));
});

test('client rekey drops no key that the session of the client uses, unless it is forced', async () => {
  let sessionKey: 'old' | 'new' = 'old';
  await scene.serve({ 'client-list': () => ({ clients: [client({ keys: 2, sessionKey })] }) });
  await scene.run(['client', 'rekey', 'big-2']);
  const both = scene.config();
  const refused = (way: string): Promise<unknown> => scene.run(['client', 'rekey', 'big-2', way]);
  expect(await refused('--finish')).toEqual({
    code: 1,
    out: '',
    err:
      'rsadm: The session of client big-2 at 192.168.10.2 uses the old key, and would end: give the client the new key, ' +
      'run rsconfig reload there and rsadm client kick big-2 here, and try again; or give --force [E_IN_USE]\n',
  });
  sessionKey = 'new';
  expect(await refused('--cancel')).toMatchObject({ code: 1, err: expect.stringContaining('uses the new key, and would end') });
  expect(scene.config()).toBe(both);
  sessionKey = 'old';
  expect((await scene.run(['client', 'rekey', 'big-2', '--finish', '--force'])).code).toBe(0);
  expect(scene.config()).toBe(CONFIG.replace(/ z2bq.*/, ` ${both.split(' ').at(-1)}`));
});

test('client rekey: steps that exclude each other, a refused reload, and a server that does not run', async () => {
  expect(await scene.run(['client', 'rekey', 'big-2', '--finish', '--cancel'])).toMatchObject({ code: 2 });
  expect(await scene.run(['client', 'rekey', 'big-2', '--force'])).toMatchObject({ code: 2 });
  expect((await scene.run(['client', 'rekey', 'big-2'])).code).toBe(0);
  expect((await scene.run(['client', 'rekey', 'big-2', '--finish'])).code).toBe(0);
  const before = scene.config();
  await scene.serve({ reload: refusing('E_CONFIG', 'no') });
  expect(await scene.run(['client', 'rekey', 'big-2'])).toEqual({ code: 1, out: '', err: 'rsadm: no [E_CONFIG]\n' });
  expect(scene.config()).toBe(before);
});
