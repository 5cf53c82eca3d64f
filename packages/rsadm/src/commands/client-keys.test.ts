// Tests `client rekey`: its steps, the key that the session of the client uses, and the keys in rssrvcfg after each step. rssrv is a fake.
// The edits of the file have tests in common's config/.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { client } from '@rsio/api/testing/server-views';
import { expect, test } from 'vitest';
import { CONFIG, refusing, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();
const OLD = 'z2bqehhz57cbs2vh8e9vvyhue9sfr8eb';
const NEW = 'k7mqehhz57cbs2vh8e9vvyhue9sfr8eb';

test('client rekey: the first step prints the new key alone, the last one drops the old key', async () => {
  let sessionKey: 'old' | 'new' = 'old';
  await scene.serve({
    'client-list': () => ({ clients: [client({ keys: 2, sessionKey })] }),
    reload: () => ({ applied: ['client big-2 has a second key: both are valid'] }),
  });
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
  sessionKey = 'new';
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
      'run rsconfig reload there and rsadm client kick big-2 here, and try again; or rsadm client rekey big-2 --finish --force [E_IN_USE]\n',
  });
  sessionKey = 'new';
  expect(await refused('--cancel')).toMatchObject({ code: 1, err: expect.stringContaining('uses the new key, and would end') });
  expect(scene.config()).toBe(both);
  sessionKey = 'old';
  expect((await scene.run(['client', 'rekey', 'big-2', '--finish', '--force'])).code).toBe(0);
  expect(scene.config()).toBe(CONFIG.replace(/ z2bq.*/, ` ${both.split(' ').at(-1)}`));
});

test('client rekey: a further server gets the key of the first one, is told it twice without harm, and prints no key', async () => {
  await scene.serve({});
  const file = join(scene.root, 'key');
  writeFileSync(file, `${NEW}\n`);
  const given = ['client', 'rekey', 'big-2', '--key-file', file];
  for (let times = 0; times < 2; times++) {
    expect(await scene.run(given)).toMatchObject({ code: 0, out: '' });
    expect(scene.config()).toBe(`${CONFIG} ${NEW}`);
  }
  expect(JSON.parse((await scene.run([...given, '--json'])).out)).toEqual({ name: 'big-2', key: null });
  expect((await scene.run(['client', 'rekey', 'big-2', '--finish', '--force'])).code).toBe(0);
  const finished = scene.config();
  expect((await scene.run(given)).code).toBe(0);
  expect(scene.config()).toBe(finished);
  expect(await scene.run([...given, '--finish'])).toMatchObject({ code: 2 });
});

test('client rekey: the old key given as the new one is refused, and a third key too', async () => {
  await scene.serve({});
  const file = join(scene.root, 'key');
  writeFileSync(file, OLD);
  await scene.run(['client', 'rekey', 'big-2']);
  const both = scene.config();
  for (const [key, why] of [
    [OLD, /^rsadm: This is the old key of client big-2: .*--cancel/],
    [NEW, /^rsadm: Client big-2 has two keys/],
  ] as const) {
    writeFileSync(file, key);
    const refused = await scene.run(['client', 'rekey', 'big-2', '--key-file', file]);
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(why) });
    expect(refused.err).not.toContain(key);
  }
  expect(scene.config()).toBe(both);
});

test.each(['--finish', '--cancel'])('client rekey %s: a client without a session has proved no key', async (way) => {
  await scene.run(['client', 'rekey', 'big-2']);
  const both = scene.config();
  const why = expect.stringContaining('Client big-2 has no session here');
  expect(await scene.run(['client', 'rekey', 'big-2', way])).toMatchObject({ code: 1, err: why });
  await scene.serve({ 'client-list': () => ({ clients: [client({ keys: 2, sessionKey: null, state: 'absent' })] }) });
  expect(await scene.run(['client', 'rekey', 'big-2', way])).toMatchObject({ code: 1, err: why });
  expect(scene.config()).toBe(both);
});

test('client rekey: steps that exclude each other, a refused reload, and a server that does not run', async () => {
  expect(await scene.run(['client', 'rekey', 'big-2', '--finish', '--cancel'])).toMatchObject({ code: 2 });
  expect(await scene.run(['client', 'rekey', 'big-2', '--force'])).toMatchObject({ code: 2 });
  expect((await scene.run(['client', 'rekey', 'big-2'])).code).toBe(0);
  expect((await scene.run(['client', 'rekey', 'big-2', '--finish', '--force'])).code).toBe(0);
  const before = scene.config();
  await scene.serve({ reload: refusing('E_CONFIG', 'no') });
  expect(await scene.run(['client', 'rekey', 'big-2'])).toEqual({ code: 1, out: '', err: 'rsadm: no [E_CONFIG]\n' });
  expect(scene.config()).toBe(before);
});
