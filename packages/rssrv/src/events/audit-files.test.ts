// Tests the files of the audit on a real folder: what a crash leaves, full files, and the bound of a book. Rules: G52.

import { appendFileSync, mkdtempSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { AuditEntry } from '@rsio/api/rssrv/audit-methods';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AuditFiles, type Book, lineOf } from './audit-files.ts';
import { AUDIT_FILE_BYTES, AUDIT_FILES_MAX } from './limits.ts';

const LIMIT = 1_000;
let folder: string;
let files: AuditFiles;

beforeEach(() => {
  folder = path.join(mkdtempSync(path.join(tmpdir(), 'rsio-audit-')), 'audit');
  files = new AuditFiles(folder);
});

afterEach(async () => {
  await files.close();
  await removeFolder(path.dirname(folder));
});

function entry(atMs: number, over: Partial<AuditEntry> = {}): AuditEntry {
  return {
    atMs,
    who: 'root',
    order: 'reload',
    volume: null,
    volumeId: null,
    asked: [],
    changes: [],
    outcome: 'done',
    why: null,
    id: null,
    left: null,
    ...over,
  };
}

async function addAll(book: Book, times: readonly number[], over: Partial<AuditEntry> = {}): Promise<void> {
  for (const atMs of times) await files.add(book, lineOf(entry(atMs, over)));
}

const timesOf = async (of = files): Promise<number[]> => (await of.read(() => true, LIMIT)).entries.map(({ atMs }) => atMs);
const namesOf = (book: Book): string[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith(book))
    .toSorted();

test('a folder that does not exist has no entries', async () => {
  expect(await files.read(() => true, LIMIT)).toEqual({ entries: [], isWhole: true });
});

test('entries of both books are read in the order of their times, and over a restart', async () => {
  await addAll('server', [10, 30]);
  await addAll('clients', [20, 40]);
  expect(await timesOf()).toEqual([10, 20, 30, 40]);
  await files.close();
  files = new AuditFiles(folder);
  await addAll('server', [50]);
  expect(await timesOf()).toEqual([10, 20, 30, 40, 50]);
});

test('only the last entries that match are read, and the answer says whether there are older ones', async () => {
  await addAll('server', [1, 2, 3]);
  await addAll('server', [4, 5], { who: 'client mars' });
  const { entries, isWhole } = await files.read(({ who }) => who === 'root', 2);
  expect([entries.map(({ atMs }) => atMs), isWhole]).toEqual([[2, 3], false]);
  expect((await files.read(({ who }) => who === 'root', 3)).isWhole).toBe(true);
});

test('many entries at once have a line each, in their order', async () => {
  const times = Array.from({ length: 50 }, (_unused, at) => at);
  await Promise.all(times.map((atMs) => files.add('server', lineOf(entry(atMs)))));
  expect(await timesOf()).toEqual(times);
});

test.each([
  ['cut off by a crash', (file: string) => truncateSync(file, statSync(file).size - 7), [1, 3]],
  ['damaged', (file: string) => appendFileSync(file, '\0\0\0{"atMs": 2}\n[]\n'), [1, 2, 3]],
] as const)('a line that was %s hides no other', async (_what, damage, left) => {
  await addAll('server', [1, 2]);
  await files.close();
  damage(path.join(folder, namesOf('server')[0]!));
  files = new AuditFiles(folder);
  await addAll('server', [3]);
  expect(await timesOf()).toEqual(left);
});

test('the files are readable by the user of rssrv alone', async () => {
  await addAll('server', [1]);
  const modes = [folder, path.join(folder, namesOf('server')[0]!)].map((one) => statSync(one).mode & 0o777);
  expect(modes).toEqual([0o700, 0o600]);
});

test('a full book loses its oldest file, and the other book nothing', async () => {
  await addAll('server', [1]);
  // As if earlier runs had filled the book.
  for (let number = 1; number <= AUDIT_FILES_MAX; number++)
    writeFileSync(path.join(folder, `clients-${String(number).padStart(8, '0')}.jsonl`), `${JSON.stringify(entry(1_000 + number))}\n`);
  await addAll('clients', [5_000]);
  const left = namesOf('clients');
  expect([left.length, left[0], left.at(-1)]).toEqual([
    AUDIT_FILES_MAX,
    'clients-00000002.jsonl',
    `clients-${String(AUDIT_FILES_MAX + 1).padStart(8, '0')}.jsonl`,
  ]);
  expect((await timesOf())[0]).toBe(1);
});

test('a file of more bytes than AUDIT_FILE_BYTES is never written', async () => {
  const long = 'x'.repeat(AUDIT_FILE_BYTES / 4);
  await addAll('server', [1, 2, 3, 4, 5], { asked: [long] });
  expect(namesOf('server')).toHaveLength(2);
  for (const name of namesOf('server')) expect(statSync(path.join(folder, name)).size).toBeLessThanOrEqual(AUDIT_FILE_BYTES);
  expect(await timesOf()).toEqual([1, 2, 3, 4, 5]);
});

test('entries that cannot be written remove no file, and the next one is on a line of its own', async () => {
  await addAll('server', [1]);
  await files.close();
  files = new AuditFiles(path.join(folder, 'no', '\0'));
  await expect(files.add('server', lineOf(entry(2)))).rejects.toThrow();
  files = new AuditFiles(folder);
  await addAll('server', [3]);
  expect(await timesOf()).toEqual([1, 3]);
});
