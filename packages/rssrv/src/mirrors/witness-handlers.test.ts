// Tests the orders about records of mirrors: the views, the right to remove a record, and that a record that may be in use is removed only
// with `force`. voters.test.ts tests the records.

import { expect, test } from 'vitest';
import { type Asker, clientAsker, LOCAL_ASKER } from '../pools/asker.ts';
import { asking } from '../testing/asking.ts';
import { claim, newRecord, store, type VoterRecord } from './voter-rules.ts';
import type { VoterView } from './voters.ts';
import { witnessHandlers } from './witness-handlers.ts';

const MIRROR = 'a'.repeat(32);
const TERM = { number: 3, node: 'big-2', instance: 9 };
const IDENTITIES = ['1'.repeat(32), '2'.repeat(32)] as const;
const FOUNDED = newRecord({ mirror: MIRROR, name: 'db', universe: 0 }, 'f'.repeat(32), 'big-2');
const CLAIMED = claim(FOUNDED, TERM, false).record;

function configured(clean: boolean): VoterRecord {
  const members = IDENTITIES.map((identity, serverid) => ({ identity, serverid, volume: 'db', universe: 0 }));
  const voters = [{ voter: FOUNDED.voter, serverid: 7 }];
  const config = { k: 1, clean, inSync: [IDENTITIES[1]], members, voters, nextVoters: null, sizeBytes: 2 ** 30, clients: ['big-2'] };
  return store(CLAIMED, TERM, config).record;
}

function orders(views: readonly VoterView[], asker: Asker = LOCAL_ASKER) {
  const done: string[] = [];
  const log = { info: (text: string) => void done.push(text) };
  const remove = async (mirror: string): Promise<boolean> => done.push(`removed ${mirror}`) > 0;
  return { done, orders: witnessHandlers(log, { views, remove }, true, asker) };
}

const view = (record: VoterRecord | null): VoterView => ({ mirror: MIRROR, record, trouble: record === null ? 'It is damaged' : null });

test('a record is shown with its replicas, and whether they are in sync', () => {
  const { records } = orders([view(configured(false))]).orders['witness-list']({}) as { records: readonly unknown[] };
  expect(records).toMatchObject([
    {
      mirror: MIRROR,
      trouble: null,
      record: {
        name: 'db',
        term: TERM,
        stored: { ...TERM, k: 1 },
        isDetached: false,
        members: [{ inSync: false }, { inSync: true }],
        clients: ['big-2'],
      },
    },
  ]);
});

test('a record without a configuration is shown with its founder, and one that cannot be read with its trouble', () => {
  const { records } = orders([view(FOUNDED), view(null)]).orders['witness-list']({}) as { records: readonly unknown[] };
  expect(records).toEqual([
    {
      mirror: MIRROR,
      trouble: null,
      record: expect.objectContaining({
        name: 'db',
        term: null,
        stored: null,
        isDetached: false,
        members: [],
        voters: [],
        clients: ['big-2'],
      }),
    },
    { mirror: MIRROR, trouble: 'It is damaged', record: null },
  ]);
});

test('beside a record that may be removed, one that may be in use is removed only by force', async () => {
  const beside = { ...view(FOUNDED), mirror: 'b'.repeat(32) };
  const { orders: given, done } = orders([beside, view(CLAIMED)]);
  await expect(given['witness-remove']({ mirror: MIRROR, force: false })).rejects.toMatchObject({
    code: 'E_HELD',
    context: { mirror: MIRROR },
  });
  expect(done).toEqual([]);
});

test.each([
  ['founded', FOUNDED],
  ['detached', configured(true)],
  ['damaged', null],
])('a record that is %s is removed', async (_, record) => {
  const { orders: given, done } = orders([view(record)]);
  expect(await given['witness-remove']({ mirror: MIRROR, force: false })).toEqual({ mirror: MIRROR, name: record?.name ?? null });
  expect(done).toEqual([`removed ${MIRROR}`, expect.stringContaining('was removed by an administrator on the server')]);
});

test.each([
  ['claimed', CLAIMED],
  ['attached', configured(false)],
])('a record that is %s is removed only by force', async (_, record) => {
  const { orders: given, done } = orders([view(record)]);
  await expect(given['witness-remove']({ mirror: MIRROR, force: false })).rejects.toMatchObject({ code: 'E_HELD' });
  expect(done).toEqual([]);
  await given['witness-remove']({ mirror: MIRROR, force: true });
  expect(done).toHaveLength(2);
});

test('an unknown record, and a client without the right', async () => {
  await expect(orders([]).orders['witness-remove']({ mirror: MIRROR, force: true })).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  const { orders: given } = orders([view(FOUNDED)], clientAsker('venus', asking()));
  await expect(given['witness-remove']({ mirror: MIRROR, force: true })).rejects.toMatchObject({ code: 'E_RIGHTS' });
});
