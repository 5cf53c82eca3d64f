// Tests the records of staged volumes as files: they outlive the program, and a damaged file counts as missing and is kept.
// kills.test.ts tests when they are written.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { quietLog } from '@rsio/base/log/log';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RecordFiles, type StageRecord } from './records.ts';

const ID = 'volume.00000000-0000-4000-8000-000000000001';
const RECORD: StageRecord = {
  volumeId: ID,
  label: 'osl:one@0',
  kind: 'mount',
  fsType: 'ext4',
  isReadonly: false,
  mode: 'SINGLE_NODE_WRITER',
  stagingPath: '/staging',
};

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-csi-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a record is kept until it is removed, and the next program reads it', async () => {
  const records = new RecordFiles(join(folder, 'state'), quietLog);
  expect([await records.load(ID), await records.count()]).toEqual([null, 0]);
  await records.save(RECORD);
  await records.save({ ...RECORD, mode: 'other' });
  const next = new RecordFiles(join(folder, 'state'), quietLog);
  expect([await next.load(ID), await next.count()]).toEqual([{ ...RECORD, mode: 'other' }, 1]);
  for (let times = 0; times < 2; times++) await next.remove(ID);
  expect([await next.load(ID), await next.count()]).toEqual([null, 0]);
});

test('a damaged record counts as missing, because kubelet would never remove it, and is kept aside', async () => {
  const file = join(folder, `${ID}.json`);
  writeFileSync(file, '{"version": 1, "content": {}}');
  const said: string[] = [];
  const records = new RecordFiles(folder, { warn: (text) => said.push(text) });
  expect(await records.load(ID)).toBe(null);
  expect(readFileSync(`${file}.unusable`, 'utf8')).toBe('{"version": 1, "content": {}}');
  expect(said).toEqual([expect.stringContaining(`it is kept as ${file}.unusable`)]);
  await records.save(RECORD);
  expect([await records.load(ID), await records.count()]).toEqual([RECORD, 1]);
});

test('a record of an earlier release, which also said whether mkfs was under way, is read', async () => {
  writeFileSync(join(folder, `${ID}.json`), JSON.stringify({ version: 1, content: { ...RECORD, phase: 'formatting' } }));
  expect(await new RecordFiles(folder, quietLog).load(ID)).toMatchObject(RECORD);
});

test('an id that is no id of a volume leads to no file outside of the folder', async () => {
  const file = join(folder, 'other.json');
  writeFileSync(file, 'kept');
  const records = new RecordFiles(join(folder, 'state'), quietLog);
  expect(await records.load('../other')).toBe(null);
  await records.remove('../other');
  expect(readFileSync(file, 'utf8')).toBe('kept');
});
