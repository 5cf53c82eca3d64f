// Tests the files that describe snapshots: written texts are read with the same meaning, wrong texts are refused with the name of the
// field, and the names of files contain the names of snapshots.

import { expect, test } from 'vitest';
import {
  parseSnapshot,
  parseSnapshotRemoval,
  printSnapshot,
  printSnapshotRemoval,
  snapshotFileOf,
  snapshotPaths,
  type SnapshotRecord,
} from './snapshot-record.ts';

const ID = '00000000-0000-4000-8000-000000000001';
const OTHER = '00000000-0000-4000-8000-000000000002';
const RECORD: SnapshotRecord = {
  id: ID,
  name: 'monday',
  volumeId: ID,
  sizeBytes: 4096,
  blockSizeBytes: 512,
  createdMs: 5,
  creator: 'big-2',
  group: { id: ID, poolId: ID, volumeId: ID },
  rollback: null,
  request: 'r',
};

test('a record and a removal are read as they were written', () => {
  expect(parseSnapshot('f', printSnapshot(RECORD))).toEqual(RECORD);
  const byRollback = { ...RECORD, creator: null, request: null, rollback: 'i1.b2' };
  expect(parseSnapshot('f', printSnapshot(byRollback))).toEqual(byRollback);
  const removal = { id: ID, name: 'monday', request: null };
  expect(parseSnapshotRemoval('f', printSnapshotRemoval(removal))).toEqual(removal);
});

test('a record of several files is read as it was written, has a format that older programs refuse, and its files fit its size', () => {
  const parts = [ID, OTHER].map((fileId) => ({ poolId: ID, fileId, sizeBytes: 2048 }));
  const record: SnapshotRecord = { ...RECORD, layout: { kind: 'concat', parts } };
  expect(parseSnapshot('f', printSnapshot(record))).toEqual(record);
  expect(JSON.parse(printSnapshot(record))).toMatchObject({ version: 2 });
  expect(() => printSnapshot({ ...record, sizeBytes: 8192 })).toThrow('its parts have 4096 bytes, which do not fit its size of 8192 bytes');
  expect(() => printSnapshot({ ...record, id: OTHER })).toThrow('its first part is not in its folder');
});

test.each([
  ['layout', { kind: 'stripe', parts: [] }],
  ['id', 'x'],
  ['name', '7'],
  ['name', '.new-a'],
  ['name', 'a/b'],
  ['name', 'x'.repeat(64)],
  ['volumeId', null],
  ['sizeBytes', 513],
  ['sizeBytes', 2 ** 53],
  ['blockSizeBytes', 1024],
  ['createdMs', -1],
  ['createdMs', 9e15],
  ['creator', ''],
  ['group', {}],
  ['rollback', 5],
  ['rollback', 'x'.repeat(10_000)],
  ['request', ' '],
])('%s = %j is refused, also when it is written', (field, value) => {
  const damage = new RegExp(`^f is damaged \\(${field}\\S* is (not|missing)`);
  const wrong = { ...RECORD, [field]: value } as unknown as SnapshotRecord;
  expect(() => parseSnapshot('f', JSON.stringify({ version: 1, ...wrong }))).toThrow(damage);
  expect(() => printSnapshot(wrong)).toThrow(expect.objectContaining({ code: 'E_USAGE' }) as Error);
});

test('a newer format is refused', () => {
  expect(() => parseSnapshot('f', JSON.stringify({ version: 3, ...RECORD }))).toThrow('f has format 3');
});

test.each([
  ['monday.json', { name: 'monday', kind: 'json', isUnfinished: false }],
  ['monday.data', { name: 'monday', kind: 'data', isUnfinished: false }],
  ['.new-monday.data', { name: 'monday', kind: 'data', isUnfinished: true }],
  ['.new-monday.json.new', { name: 'monday', kind: 'json.new', isUnfinished: true }],
  ['a.json.json', { name: 'a.json', kind: 'json', isUnfinished: false }],
  ['new-a.json', { name: 'new-a', kind: 'json', isUnfinished: false }],
  ['monday', null],
  ['monday.json.new', null],
  ['.monday.json', null],
  ['.new-.json', null],
  ['12.json', null],
  ['.json', null],
  ['a b.json', null],
])('%s', (file, meaning) => expect(snapshotFileOf(file)).toEqual(meaning));

test('every path of a snapshot is recognized', () => {
  for (const make of [snapshotPaths.record, snapshotPaths.data, snapshotPaths.newRecord, snapshotPaths.newData])
    for (const name of ['a', 'a.data', 'a.json', 'a.new', 'x'.repeat(63)])
      expect(snapshotFileOf(make('v', name).slice('v/snapshots/'.length))?.name).toBe(name);
});
