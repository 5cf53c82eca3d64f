// rsiod remembers the newest backup of each volume across restarts, for a bounded number of volumes. The command `rsconfig backup`, which
// reports backups to rsiod, is tested in test/interop/backup.test.ts.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Backups } from './backups.ts';
import { BACKUPS_KEPT_MAX } from './limits.ts';

const DB = { namespace: 'osl', name: 'db', universe: 0 };
const clock = new FakeClock();
/** What the servers offer, and whether all servers of the namespaces have said what they have. */
const offers = { list: [] as { namespace: string; name: string; universe: number; id: string }[] };
const OSL = { config: { name: 'osl' }, hasAllLists: false };
const namespaces = { list: [OSL] };
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-backups-'));
  offers.list = [];
  namespaces.list = [OSL];
});

afterEach(() => removeFolder(folder));

async function loaded(warnings: string[] = []): Promise<Backups> {
  const shown = { folder, offers, namespaces };
  const backups = new Backups({ clock, log: { ...quietLog, warn: (sentence) => void warnings.push(sentence) }, ...shown });
  await backups.load();
  return backups;
}

test('the newest backup of each volume is remembered over a restart', async () => {
  const backups = await loaded();
  await backups.done({ ...DB, snapshot: 'monday' });
  await backups.done({ ...DB, universe: 1, snapshot: 'monday' });
  clock.advance(5_000);
  await backups.done({ ...DB, snapshot: 'tuesday' });
  const { list } = await loaded();
  expect(list.map(({ universe, snapshot }) => [universe, snapshot])).toEqual([
    [1, 'monday'],
    [0, 'tuesday'],
  ]);
  expect((list[1]?.atMs ?? 0) - (list[0]?.atMs ?? 0)).toBe(5_000);
});

test('the oldest ones are forgotten beyond the bound', async () => {
  const backups = await loaded();
  await Promise.all(
    Array.from({ length: BACKUPS_KEPT_MAX + 2 }, (_unused, index) => backups.done({ ...DB, name: `v${index}`, snapshot: 's' })),
  );
  const { list } = await loaded();
  expect([list.length, list[0]?.name]).toEqual([BACKUPS_KEPT_MAX, 'v2']);
});

test('a damaged file is reported with a remedy, and stops nothing', async () => {
  writeFileSync(join(folder, 'backups.json'), '{');
  const warnings: string[] = [];
  const backups = await loaded(warnings);
  expect(backups.list).toEqual([]);
  expect(warnings).toEqual([expect.stringMatching(/backups\.json.*: remove it/)]);
});

test('a renamed volume has its backup under the new name, and a removed one has none any more', async () => {
  offers.list = [{ ...DB, id: 'id-db' }];
  const backups = await loaded();
  await backups.done({ ...DB, snapshot: 'monday' });
  offers.list = [
    { ...DB, name: 'db2', id: 'id-db' },
    { ...DB, id: 'another' },
  ];
  expect(
    (await loaded()).list.map(({ name }) => name),
    'the new volume under the old name has no backup',
  ).toEqual(['db2']);
  await backups.done({ ...DB, name: 'db2', snapshot: 'tuesday' });
  expect(backups.list.map(({ name, snapshot }) => [name, snapshot])).toEqual([['db2', 'tuesday']]);
  offers.list = [];
  expect(backups.list, 'a server that is away may have it').toHaveLength(1);
  namespaces.list = [{ ...OSL, hasAllLists: true }];
  expect(backups.list).toEqual([]);
  namespaces.list = [];
  expect(backups.list, 'no server of the namespace is configured any more').toEqual([]);
});

test('a record of an older release goes by the name', async () => {
  const backups = await loaded();
  await backups.done({ ...DB, snapshot: 'monday' });
  offers.list = [{ ...DB, id: 'id-db' }];
  namespaces.list = [{ ...OSL, hasAllLists: true }];
  expect(backups.list).toHaveLength(1);
  await backups.done({ ...DB, snapshot: 'tuesday' });
  expect(backups.list.map(({ snapshot }) => snapshot)).toEqual(['tuesday']);
  offers.list = [];
  expect(backups.list).toEqual([]);
});
