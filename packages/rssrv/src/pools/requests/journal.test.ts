// Tests the journal of requests on a real file system. The next server finds every entry for which `add` has resolved, even if a crash or a
// full disk damages the end of the file. The file stays bounded. Rules: A2, G17.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Journal, type JournalEntry } from './journal.ts';
import { JOURNAL_LINES_MAX, REQUESTS_KEPT } from '../limits.ts';
import { stampOf } from './request-stamp.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let folder = '';
let file = '';
let warnings: string[] = [];
const journals: Journal[] = [];

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rsio-journal-'));
  file = path.join(folder, 'below', 'requests.journal');
  warnings = [];
});

afterEach(async () => {
  for (const journal of journals.splice(0)) await journal.close();
  await removeFolder(folder);
});

function entry(id: string | number, result: unknown = id): JournalEntry {
  return { stamp: stampOf({ node: 'big-2', id: String(id), method: 'm', params: {} }), answer: JSON.stringify({ result }) };
}

async function opened(): Promise<Journal> {
  const journal = new Journal(file, { warn: (text: string) => void warnings.push(text) });
  journals.push(journal);
  await journal.load();
  return journal;
}

test('an entry is found by the next server, and the file is for its owner only', async () => {
  const first = await opened();
  await first.add(entry('a'));
  await first.add(entry('b'));
  expect(fs.statSync(file).mode & 0o777).toBe(0o600);
  const second = await opened();
  expect([second.find(entry('a').stamp)?.answer, second.find(entry('b').stamp)?.answer]).toEqual(['{"result":"a"}', '{"result":"b"}']);
  expect(second.find(entry('c').stamp)).toBeNull();
  expect(warnings).toEqual([]);
});

test('a crash at every byte of the last entry: the entries before it are found, and the journal goes on', async () => {
  const journal = await opened();
  await journal.add(entry('a'));
  const whole = fs.readFileSync(file);
  await journal.add(entry('b'));
  const both = fs.readFileSync(file);
  for (let bytes = whole.length; bytes < both.length; bytes++) {
    fs.writeFileSync(file, both.subarray(0, bytes));
    const next = await opened();
    expect([next.find(entry('a').stamp) !== null, next.find(entry('b').stamp)]).toEqual([true, null]);
    await next.add(entry('c'));
    const last = await opened();
    expect([last.find(entry('a').stamp) !== null, last.find(entry('c').stamp) !== null]).toEqual([true, true]);
  }
  expect(warnings).toEqual([]);
});

test('the last requests are kept, and the file is bounded', async () => {
  const journal = await opened();
  const count = JOURNAL_LINES_MAX + 100;
  for (let from = 0; from < count; from += 100)
    await Promise.all(Array.from({ length: 100 }, (_, index) => journal.add(entry(from + index))));
  expect(fs.readFileSync(file, 'utf8').split('\n').length).toBeLessThanOrEqual(JOURNAL_LINES_MAX + 2);
  const next = await opened();
  for (const one of [journal, next]) {
    expect(one.find(entry(count - REQUESTS_KEPT).stamp)).not.toBeNull();
    expect(one.find(entry(count - REQUESTS_KEPT - 1).stamp)).toBeNull();
  }
});

test.each([
  ['damaged in the middle', (text: string) => text.replace(/\{"crc32[^\n]*/, '{"stamp":1}')],
  ['changed in the middle', (text: string) => text.replace('"stamp"', '"stomp"')],
  ['another file', () => 'hello\n'],
  ['a later version', (text: string) => text.replace('"version":1', '"version":2')],
])('a file that is %s is set aside with a warning', async (_what, change) => {
  const journal = await opened();
  for (const id of ['a', 'b']) await journal.add(entry(id));
  fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8')));
  const next = await opened();
  expect(warnings.join()).toContain(`it is now ${file}.damaged`);
  await next.add(entry('c'));
  expect((await opened()).find(entry('c').stamp)).not.toBeNull();
  expect(fs.existsSync(`${file}.damaged`)).toBe(true);
});

test('a journal that cannot be written says so, keeps the entry, and saves it later', async () => {
  fs.mkdirSync(file, { recursive: true });
  const journal = new Journal(file, { warn: () => undefined });
  journals.push(journal);
  await expect(journal.add(entry('a'))).rejects.toMatchObject({ code: 'E_SYSTEM', context: { file } });
  await expect(journal.save()).rejects.toMatchObject({ code: 'E_SYSTEM' });
  expect(journal.find(entry('a').stamp)).not.toBeNull();
  fs.rmdirSync(file);
  await journal.save();
  expect((await opened()).find(entry('a').stamp)).not.toBeNull();
});
