// Tests which ledgers a server saves, and which of them count as dirty. ledgers.test.ts tests their content. Rules: H4.

import { beforeEach, expect, test } from 'vitest';
import { OwnedLedgers } from './owned-ledgers.ts';

let saved: string[] = [];
let fails = false;
const fileOf = (name: string) => ({
  save: async (): Promise<void> => {
    saved.push(name);
    if (fails) throw new Error('The disk is full');
  },
});
const FILE = fileOf('own');
const COPY = fileOf('copy');

let ledgers: OwnedLedgers;

beforeEach(() => {
  [saved, fails] = [[], false];
  ledgers = new OwnedLedgers({ error: () => undefined }, (_, work) => work());
  ledgers.add('p', FILE);
});

test('the ledger of a copy of the pool neither ends nor replaces that of the pool', async () => {
  expect(ledgers.remove('p', COPY)).toBe(false);
  await ledgers.save('p');
  expect(saved).toEqual(['own']);
  expect(ledgers.remove('p', FILE)).toBe(true);
  expect(ledgers.remove('p', FILE)).toBe(false);
  await expect(ledgers.save('p')).rejects.toMatchObject({ code: 'E_POOL', context: { poolId: 'p' } });
});

test('a ledger whose save has failed stays dirty until a save succeeds, also if it is added again; a new file is clean', async () => {
  fails = true;
  await expect(ledgers.save('p')).rejects.toThrow('full');
  ledgers.add('p', FILE);
  expect(ledgers.isDirty('p')).toBe(true);
  fails = false;
  await ledgers.saveDirty();
  expect([ledgers.isDirty('p'), saved]).toEqual([false, ['own', 'own']]);
  ledgers.doubt('p');
  ledgers.add('p', COPY);
  expect(ledgers.isDirty('p')).toBe(false);
});

test('a change that was undone during a save leaves the ledger dirty', async () => {
  const saving = ledgers.save('p');
  ledgers.doubt('p');
  await saving;
  expect(ledgers.isDirty('p')).toBe(true);
});
