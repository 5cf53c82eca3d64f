// The file with slots and notes: a slot never means another volume, not even after a restart, and a restart keeps the notes that hosts have
// stored.
// The commands of hosts are tested in aoe-target.test.ts.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AOE_SHELVES_MAX } from '../limits.ts';
import { AoeNotes } from './aoe-notes.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-aoe-'));
  file = path.join(folder, 'aoe.json');
});

afterEach(() => removeFolder(folder));

const none = (): boolean => false;

async function loaded(): Promise<AoeNotes> {
  const notes = new AoeNotes(file);
  await notes.load();
  return notes;
}

it('volumes get the lowest slots that no volume has had, and keep them', async () => {
  const notes = await loaded();
  expect([(await notes.of(7, 'a', null, none)).slot, (await notes.of(7, 'b', null, (slot) => slot < 3)).slot]).toEqual([0, 3]);
  const later = await loaded();
  expect([
    (await later.of(7, 'b', null, none)).slot,
    (await later.of(7, 'c', null, none)).slot,
    (await later.of(8, 'c', null, none)).slot,
  ]).toEqual([3, 1, 0]);
});

it('a configured slot replaces the earlier one', async () => {
  const notes = await loaded();
  await notes.of(7, 'a', null, none);
  await notes.change(7, 'a', { config: Buffer.from('x'), masks: [1], reserved: [2] });
  expect(await notes.of(7, 'a', 9, none)).toMatchObject({ slot: 9, masks: [1] });
  expect(await (await loaded()).of(7, 'a', null, none)).toEqual({ slot: 9, config: Buffer.from('x'), masks: [1], reserved: [2] });
});

it('a shelf has 255 slots, and a slot of an absent volume is not given again', async () => {
  const notes = await loaded();
  for (let volume = 0; volume < 255; volume++) await notes.of(7, `v${volume}`, null, none);
  await expect(notes.of(7, 'more', null, none)).rejects.toThrow(
    'shelf 7 has had 255 volumes, which is the limit: make a gate with another shelf',
  );
  expect((await notes.of(8, 'more', null, none)).slot).toBe(0);
});

it('only so many shelves have volumes, and those that have some get more', async () => {
  const notes = await loaded();
  for (let shelf = 0; shelf < AOE_SHELVES_MAX; shelf++) await notes.of(shelf, 'a', null, none);
  await expect(notes.of(AOE_SHELVES_MAX, 'a', null, none)).rejects.toThrow(
    `${AOE_SHELVES_MAX} shelves have had volumes, which is the limit: use one of them`,
  );
  expect([(await notes.of(0, 'b', null, none)).slot, (await notes.of(1, 'a', null, none)).slot]).toEqual([1, 0]);
});

it.each([
  ['{', 'it is not JSON'],
  [JSON.stringify({ version: 2, content: {} }), 'its version is 2'],
  [
    JSON.stringify({
      version: 1,
      content: { shelves: [{ shelf: 7, volumes: [{ id: 'a', slot: 255, config: '', masks: [], reserved: [] }] }] },
    }),
    'form',
  ],
  [
    JSON.stringify({
      version: 1,
      content: { shelves: [{ shelf: 7, volumes: [{ id: 'a', slot: 1, config: 'x', masks: [], reserved: [] }] }] },
    }),
    'form',
  ],
])('a damaged file is refused and kept: %s', async (text, reason) => {
  writeFileSync(file, text);
  await expect(loaded()).rejects.toThrow(reason);
  expect(readFileSync(file, 'utf8')).toBe(text);
});
