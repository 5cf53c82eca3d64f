// Tests that the ledger of a pool is replaced without new space. Each test begins in a state that a stop of the server, or a crash of the
// machine, leaves between two steps. Invariant: after any such stop, ledger.json has the old or the new text, and the next replacement
// works.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceLedger } from './ledger-space.ts';
import { LEDGER_STEP_BYTES } from '../limits.ts';

let pool = '';
const at = (name: string): string => path.join(pool, `ledger.${name}`);
const replace = (ledger: string): Promise<void> => replaceLedger(pool, Buffer.from(ledger));
const text = (name: string): string => fs.readFileSync(at(name), 'utf8').trimEnd();

beforeEach(() => {
  pool = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-ledger-'));
});
afterEach(() => removeFolder(pool));

test('the files take turns: the next ledger overwrites the blocks of the last but one', async () => {
  await replace('one');
  await replace('two');
  const inodes = ['json', 'spare'].map((name) => fs.statSync(at(name)).ino);
  await replace('three');
  expect(['json', 'spare'].map(text)).toEqual(['three', 'two']);
  expect(['spare', 'json'].map((name) => fs.statSync(at(name)).ino)).toEqual(inodes);
  expect(fs.statSync(at('json')).size).toBe(LEDGER_STEP_BYTES);
  await replace('x'.repeat(LEDGER_STEP_BYTES + 1));
  expect(fs.statSync(at('json')).size).toBe(2 * LEDGER_STEP_BYTES);
});

test.each([
  ['the spare file is half written', () => fs.writeFileSync(at('spare'), 'ha'), 'two'],
  ['the old ledger has its second name', () => fs.linkSync(at('json'), at('old')), 'two'],
  ['the new ledger has its name, and the old one has none yet', () => fs.renameSync(at('spare'), at('old')), 'two'],
  ['the spare file is the ledger itself', () => (fs.rmSync(at('spare')), fs.linkSync(at('json'), at('spare'))), 'two'],
  ['the spare file is gone', () => fs.rmSync(at('spare')), 'two'],
])('after a stop, %s: the ledger is whole, and the next one replaces it', async (_, leave, expected) => {
  await replace('one');
  await replace('two');
  leave();
  expect(text('json')).toBe(expected);
  const inode = fs.statSync(at('json')).ino;
  await replace('three');
  expect(text('json')).toBe('three');
  expect(fs.statSync(at('json')).ino).not.toBe(inode);
  await replace('four');
  expect([text('json'), text('spare'), fs.existsSync(at('old'))]).toEqual(['four', 'three', false]);
});

test('a ledger that cannot be written stays as it is', async () => {
  await replace('one');
  fs.mkdirSync(at('spare'));
  await expect(replace('two')).rejects.toMatchObject({ code: 'EISDIR' });
  expect(text('json')).toBe('one');
});
