// Tests the commands about peers: the section that they write, where keys come from, and the table. rssrv is a fake; the processes of peers
// have tests in rssrv.

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CONFIG, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();
const KEY = '23456789abcdefghjkmnpqrstuvwyz23';

function keyFile(text: string): string {
  const file = `${scene.configFile}.key`;
  writeFileSync(file, text);
  return file;
}

test('peer add writes the section, and peer remove removes it', async () => {
  await scene.serve({ reload: () => ({ applied: ['peer oslo-1 is added'] }) });
  const words = ['peer', 'add', 'oslo-1', '--address', '10.0.0.5,10.0.1.5:5100', '--key-file', keyFile(`${KEY}\n`)];
  const more = ['--nodename', 'big', '--tls', '--pools', 'fast'];
  expect(await scene.run([...words, ...more])).toEqual({ code: 0, out: 'peer oslo-1 is added\n', err: '' });
  const section = [
    '[peer oslo-1]',
    'address = 10.0.0.5,10.0.1.5:5100',
    'nodename = big',
    `nodekey = ${KEY}`,
    'tls = on',
    'pools = fast',
    '',
  ];
  expect(scene.config().replaceAll(/ +/g, ' ')).toContain(section.join('\n'));
  expect(await scene.run(words)).toMatchObject({ code: 1, err: expect.stringContaining('Peer oslo-1 exists') });
  expect((await scene.run(['peer', 'remove', 'oslo-1'])).code).toBe(0);
  expect(scene.config()).toBe(CONFIG);
});

test('wrong peers change nothing, and no message shows a key', async () => {
  await scene.serve();
  const add = (...words: readonly string[]) => scene.run(['peer', 'add', 'oslo-1', ...words]);
  const file = keyFile(KEY);
  const refusals = [
    [await add('--key-file', file), 'A peer needs --address and --key-file'],
    [await add('--address', '10.0.0.5'), 'A peer needs --address and --key-file'],
    [await add('--address', '10.0.0.5', '--key-file', '-', '--serverkey-file', '-'), 'Several keys on stdin'],
    [await add('--address', '10.0.0.0/8', '--key-file', file), 'Wrong value "10.0.0.0/8" for address'],
    [await add('--address', '10.0.0.5', '--key-file', file, '--pools', 'slow'), 'there is no section [pool slow]'],
    [await add('--address', '10.0.0.5', '--key-file', keyFile('my secret')), 'Wrong nodekey of peer oslo-1'],
    [await scene.run(['peer', 'remove', 'oslo-1']), 'No section [peer oslo-1] in the file: there is no [peer] section'],
  ] as const;
  for (const [{ code, err }, message] of refusals) {
    expect(code).not.toBe(0);
    expect(err).toContain(message);
    expect(err).not.toContain('secret');
  }
  expect(scene.config()).toBe(CONFIG);
});

test('peer list without a peer names the command that adds one', async () => {
  await scene.serve();
  expect(await scene.run(['peer', 'list'])).toEqual({ code: 0, out: '', err: expect.stringContaining('rsadm peer add') });
});

test('peer list shows the connections and what prevents them', async () => {
  const peers = [
    { name: 'oslo-1', addresses: ['10.0.0.5:5000', '10.0.1.5:5000'], isConnected: true, pathsUp: 1, sinceMs: 0, trouble: 'no route' },
    { name: 'oslo-2', addresses: ['10.0.0.6:5000'], isConnected: false, pathsUp: 0, sinceMs: 0, trouble: null },
  ];
  await scene.serve({ 'peer-list': () => ({ peers }) });
  const { out, err } = await scene.run(['peer', 'list']);
  expect(out.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
    'PEER STATE PATHS SINCE ADDRESSES',
    expect.stringMatching(/^oslo-1 connected 1 of 2 \S.* 10\.0\.0\.5:5000 10\.0\.1\.5:5000$/),
    expect.stringMatching(/^oslo-2 absent 0 of 1 \S.* 10\.0\.0\.6:5000$/),
    '',
  ]);
  expect(err).toBe('rsadm: Peer oslo-1: no route\n');
  expect(JSON.parse((await scene.run(['peer', 'list', '--json'])).out)).toEqual({ peers });
});
