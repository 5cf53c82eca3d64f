// Tests `witness list` and `witness remove`: the table, its notes, and the requests to rssrv, which is a fake. The file
// mirrors/witness-handlers.ts of rssrv decides which records may be removed.

import { expect, test } from 'vitest';
import { useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();
const ID = 'a'.repeat(32);
const member = { volume: 'db', universe: 0, identity: '1'.repeat(32) };
const record = {
  name: 'db',
  universe: 0,
  voter: 'f'.repeat(32),
  founder: 'big-2',
  term: { number: 3, node: 'big-2', instance: 9 },
  isDetached: false,
  voters: [],
  clients: null,
  members: [
    { ...member, serverid: 1, inSync: true },
    { ...member, serverid: 2, inSync: false },
  ],
};

test('lists the records, and says why one counts for nothing', async () => {
  const records = [
    { mirror: ID, trouble: null, record },
    { mirror: 'b'.repeat(32), trouble: 'State file /x cannot be used', record: null },
    { mirror: 'c'.repeat(32), trouble: null, record: { ...record, isDetached: true } },
  ];
  await scene.serve({ 'witness-list': () => ({ isWitness: true, limit: 1_024, records }) });
  const { out, err } = await scene.run(['witness', 'list']);
  expect(out.split('\n').map((line) => line.replace(/ +/g, ' ').trim())).toEqual([
    'ID MIRROR IN SYNC OTHER HELD BY',
    `${ID} db@0 1 2 big-2`,
    `${'b'.repeat(32)} cannot be read - - -`,
    `${'c'.repeat(32)} db@0 1 2 -`,
    '',
  ]);
  expect(err).toContain('State file /x cannot be used');
  expect(JSON.parse((await scene.run(['witness', 'list', '--json'])).out)).toEqual({ isWitness: true, limit: 1_024, records });
});

test('says that a server is no witness', async () => {
  await scene.serve({ 'witness-list': () => ({ isWitness: false, limit: 1_024, records: [] }) });
  const { out, err } = await scene.run(['witness', 'list']);
  expect(out).toBe('');
  expect(err).toMatch(/witness = yes[\s\S]*votes for no mirror/);
});

test('removes a record', async () => {
  await scene.serve({ 'witness-remove': () => ({ mirror: ID, name: 'db' }) });
  expect(await scene.run(['witness', 'remove', ID, '--force'])).toMatchObject({
    code: 0,
    out: 'This server does not vote for mirror db any more\n',
  });
  expect(scene.asked.at(-1)).toEqual(['witness-remove', { mirror: ID, force: true }]);
});
