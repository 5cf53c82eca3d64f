// Tests the commands kick, fence, unfence and release, and the volumes that a removed client still holds. rssrv is a fake; the real fences
// are tested in packages/rssrv/src/volumes.

import { expect, test } from 'vitest';
import { refusing, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();

test.each<[string[], string, string, readonly [string, unknown]]>([
  [['kick', 'big-2'], 'The session of big-2 has ended\n', '', ['client-kick', { name: 'big-2' }]],
  [
    ['fence', 'big-2'],
    'big-2 is fenced: nothing of it can run on this server\n',
    'rsadm: big-2 still holds oracle@0, data@1: take them over, or run rsadm client release big-2\n',
    ['client-fence', { name: 'big-2' }],
  ],
  [['unfence', 'big-2'], 'big-2 may connect again\n', '', ['client-unfence', { name: 'big-2' }]],
  [
    ['release', 'big-2'],
    'big-2 no longer holds oracle@0\n',
    '',
    ['client-release', { name: 'big-2', volume: null, universe: 0, force: false }],
  ],
  [
    ['release', 'big-2', '--volume', 'oracle@1', '--force'],
    'big-2 no longer holds oracle@0\n',
    '',
    ['client-release', { name: 'big-2', volume: 'oracle', universe: 1, force: true }],
  ],
])('client %j', async (words, out, err, request) => {
  await scene.serve();
  expect(await scene.run(['client', ...words])).toEqual({ code: 0, out, err });
  expect(scene.asked).toEqual([request]);
  const json = await scene.run(['client', ...words, '--json']);
  expect(json).toMatchObject({ code: 0, err: '' });
  expect(JSON.parse(json.out)).toMatchObject({ name: 'big-2' });
});

test('what was already so is said, and a killed process as well', async () => {
  const nothing = { wasConnected: false, isClean: true, volumes: [] };
  await scene.serve({
    'client-kick': () => ({ name: 'big-2', ...nothing }),
    'client-fence': () => ({ name: 'big-2', ...nothing, isClean: false }),
    'client-unfence': () => ({ name: 'big-2', wasFenced: false }),
    'client-release': () => ({ name: 'big-2', released: [], left: 0 }),
  });
  expect((await scene.run(['client', 'kick', 'big-2'])).out).toBe('big-2 had no session\n');
  expect((await scene.run(['client', 'unfence', 'big-2'])).out).toBe('big-2 was not fenced\n');
  expect(await scene.run(['client', 'release', 'big-2'])).toEqual({ code: 0, out: '', err: 'rsadm: big-2 holds nothing\n' });
  const killed = /^rsadm: its server process was killed, so that its last writes may be lost/;
  expect((await scene.run(['client', 'fence', 'big-2'])).err).toMatch(killed);
});

test('a fence that is not complete is a failure', async () => {
  await scene.serve({ 'client-fence': refusing('E_TIMEOUT', 'Client big-2 is not fenced yet, do not rely on it') });
  expect(await scene.run(['client', 'fence', 'big-2'])).toEqual({
    code: 1,
    out: '',
    err: 'rsadm: Client big-2 is not fenced yet, do not rely on it [E_TIMEOUT]\n',
  });
});

test('client remove is refused while the client holds volumes, and with --force says what it still holds', async () => {
  await scene.serve({ reload: () => ({ applied: ['client big-2 is removed: its session ends, its holds stay'] }) });
  const before = scene.config();
  expect(await scene.run(['client', 'remove', 'big-2'])).toEqual({
    code: 1,
    out: '',
    err: 'rsadm: Client big-2 holds oracle@0: detach there first, or give --force, which stops its I/O [E_IN_USE]\n',
  });
  expect(scene.config()).toBe(before);
  expect(await scene.run(['client', 'remove', 'big-2', '--force'])).toEqual({
    code: 0,
    out: 'client big-2 is removed: its session ends, its holds stay\n',
    err: 'rsadm: big-2 still holds oracle@0: rsadm client release big-2 ends that when it cannot come back\n',
  });
});
