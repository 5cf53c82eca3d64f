// Tests `rename` and `identity new`: the lines of rssrvcfg that change, the state that is put aside, and what they refuse. The tests of
// docs/PROCEDURES.md start servers with the results.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { CONFIG, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();
const BARE = CONFIG.replace(/\[pool fast\][^[]*/, '');

function stateDir(): string {
  return join(scene.root, 'var/lib/rsio/rssrv');
}

test('rename changes the header of [server] alone, and only while rssrv is stopped', async () => {
  expect(await scene.run(['rename', 'big-7'])).toMatchObject({ code: 0, out: 'this server is big-7 now\n' });
  expect(scene.config()).toBe(CONFIG.replace('[server big-9]', '[server big-7]'));
  expect(await scene.run(['rename', 'a b'])).toMatchObject({ code: 1, err: expect.stringContaining('Wrong server name "a b"') });
  await scene.serve();
  expect(await scene.run(['rename', 'big-6'])).toMatchObject({
    code: 1,
    err: expect.stringContaining(
      'rssrv is running, and clients identify it by its name: stop it first (systemctl stop rssrv) [E_ALREADY_RUNNING]',
    ),
  });
});

test('peers know a renamed server as the client that it was, and a copy has no peers', async () => {
  const peer = (nodename: string): string => `\n[peer oslo-1]\naddress = 10.0.0.5\nnodekey = 0xsecret-of-the-lab\n${nodename}`;
  writeFileSync(scene.configFile, `${BARE}${peer('')}`);
  expect((await scene.run(['rename', 'big-7'])).code).toBe(0);
  expect(scene.config()).toContain('[server big-7]');
  expect(scene.config()).toMatch(/\[peer oslo-1\][^[]*nodename *= big-9/);
  expect((await scene.run(['rename', 'big-6'])).code).toBe(0);
  expect(scene.config()).toMatch(/\[peer oslo-1\][^[]*nodename *= big-9\n/);
  const before = scene.config();
  expect((await scene.run(['identity', 'new', '--serverid', '7'])).err).toContain('[peer oslo-1] makes this copy log in as the original');
  expect(scene.config()).toBe(before);
});

test('a server with a shared pool keeps its name', async () => {
  const shared = CONFIG.replace('path = /srv/fast', 'path = /srv/fast\ndisk = rbd:rsio/fast\nfence = none\nowners = big-9,big-8');
  writeFileSync(scene.configFile, shared);
  expect((await scene.run(['rename', 'big-7'])).err).toContain('[pool fast] is on a shared disk, whose record has the name of this server');
  expect(scene.config()).toBe(shared);
});

test('identity new gives a copy another serverid, and puts its state aside', async () => {
  writeFileSync(scene.configFile, BARE.replace(/^serverid.*$/m, '$&\nserverkey = 0123456789abcdef'));
  mkdirSync(join(stateDir(), 'voters'), { recursive: true });
  writeFileSync(join(stateDir(), 'voters/a'), 'x');
  const { code, out, err } = await scene.run(['identity', 'new', '--serverid', '7', '--name', 'big-7', '--namespaceid', '201']);
  expect({ code, out }).toMatchObject({
    code: 0,
    out: expect.stringContaining('this server has serverid 7 now; its earlier state is in '),
  });
  expect(err).toContain('The state has 1 record of mirrors: they count at the original only');
  expect(scene.config()).toBe(
    BARE.replace('[server big-9]', '[server big-7]')
      .replace(/^(serverid *= *).*$/m, '$17')
      .replace(/^(namespaceid *= *).*$/m, '$1201'),
  );
  expect(existsSync(stateDir())).toBe(false);
  expect(readdirSync(dirname(stateDir()))).toHaveLength(1);
});

test.each([
  ['no number', ['identity', 'new'], BARE, 'No --serverid: give a number', 2],
  ['its own number', ['identity', 'new', '--serverid', '1'], BARE, 'This server has serverid 1 already', 1],
  ['a wrong number', ['identity', 'new', '--serverid', '999'], BARE, 'Wrong value "999" for serverid', 1],
  ['a copied pool', ['identity', 'new', '--serverid', '7'], CONFIG, '[pool fast] may be a copy of what the original serves', 1],
])('%s is refused, and nothing changes', async (_, argv, before, why, code) => {
  writeFileSync(scene.configFile, before);
  mkdirSync(stateDir(), { recursive: true });
  const refused = await scene.run(argv);
  expect(refused).toMatchObject({ code, err: expect.stringContaining(why) });
  expect(scene.config()).toBe(before);
  expect(existsSync(stateDir())).toBe(true);
});

test('a running server keeps its identity', async () => {
  writeFileSync(scene.configFile, BARE);
  await scene.serve();
  expect((await scene.run(['identity', 'new', '--serverid', '7'])).err).toContain('clients identify it by its serverid: stop it first');
  expect(scene.config()).toBe(BARE);
});
