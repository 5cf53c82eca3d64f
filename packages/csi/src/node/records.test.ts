// Tests the records of staged volumes as files: they outlive the program, and a damaged file is refused and kept.
// kills.test.ts tests when they are written.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RecordFiles, type StageRecord } from './records.ts';

const ID = 'volume.00000000-0000-4000-8000-000000000001';
const RECORD: StageRecord = {
  ...{ volumeId: ID, label: 'osl:one@0', kind: 'mount', fsType: 'ext4', phase: 'formatting' },
  ...{ isReadonly: false, mode: 'SINGLE_NODE_WRITER', stagingPath: '/staging' },
};

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-csi-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a record is kept until it is removed, and the next program reads it', async () => {
  const records = new RecordFiles(join(folder, 'state'));
  expect([await records.load(ID), await records.count()]).toEqual([null, 0]);
  await records.save(RECORD);
  await records.save({ ...RECORD, phase: 'ready' });
  const next = new RecordFiles(join(folder, 'state'));
  expect([await next.load(ID), await next.count()]).toEqual([{ ...RECORD, phase: 'ready' }, 1]);
  for (let times = 0; times < 2; times++) await next.remove(ID);
  expect([await next.load(ID), await next.count()]).toEqual([null, 0]);
});

test('a damaged record is refused with a remedy, and stays as it is', async () => {
  const file = join(folder, `${ID}.json`);
  writeFileSync(file, '{"version": 1, "content": {}}');
  await expect(new RecordFiles(folder).load(ID)).rejects.toMatchObject({
    code: 'E_SYSTEM',
    message: expect.stringContaining('unmount and detach the volume by hand') as string,
  });
  expect(readFileSync(file, 'utf8')).toBe('{"version": 1, "content": {}}');
});

test('an id that is no id of a volume leads to no file outside of the folder', async () => {
  const file = join(folder, 'other.json');
  writeFileSync(file, 'kept');
  const records = new RecordFiles(join(folder, 'state'));
  expect(await records.load('../other')).toBe(null);
  await records.remove('../other');
  expect(readFileSync(file, 'utf8')).toBe('kept');
});
