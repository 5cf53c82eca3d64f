// Tests state files on a real file system. Saved content is restored. After concurrent changes, the file has the content of the last
// change. A file that cannot be parsed or written keeps its old content. A power failure cannot be tested here.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { list, text } from '../lib/shape.ts';
import { StateFile, type StateForm } from './state-file.ts';
import { removeFolder } from '../testing/remove-folder.ts';

const FORM: StateForm<readonly string[]> = {
  version: 3,
  shape: list(text()),
  remedy: 'buy a new one',
};

let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-state-'));
  path = join(folder, 'below', 'state.json');
});

afterEach(() => removeFolder(folder));

function holding(...content: string[]): StateFile<readonly string[]> {
  return new StateFile(path, FORM, () => content);
}

test('saved content is loaded, and the file is readable by its owner only', async () => {
  expect(await holding().load()).toBeNull();
  await holding('a', 'b').save();
  expect(await holding().load()).toEqual(['a', 'b']);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, 'below'))).toEqual(['state.json']);
});

test('each resolved save is on disk with all changes made before it was requested', async () => {
  const content: string[] = [];
  const file = new StateFile(path, FORM, () => content);
  const saves = ['a', 'b', 'c', 'd'].map(async (item) => {
    content.push(item);
    await file.save();
    return JSON.parse(readFileSync(path, 'utf8')) as { content: string[] };
  });
  for (const [index, seen] of (await Promise.all(saves)).entries()) expect(seen.content).toContain('abcd'[index]);
  expect(await holding().load()).toEqual(['a', 'b', 'c', 'd']);
});

test('a save that fails rejects, leaves only the old content, and does not stop the next one', async () => {
  await holding('old').save();
  let bad = true;
  const file = new StateFile(path, FORM, () => {
    if (bad) throw new Error('not now');
    return ['new'];
  });
  await expect(file.save()).rejects.toThrow('not now');
  expect(await holding().load()).toEqual(['old']);
  bad = false;
  await file.save();
  expect(await holding().load()).toEqual(['new']);
});

test('content that could not be loaded again is not written', async () => {
  await holding('old').save();
  const file = new StateFile(path, FORM, () => ['new', 7 as unknown as string]);
  const message = `State file ${path} was not written, because the next start could not load the new content ([1] is not text): report this error`;
  await expect(file.save()).rejects.toMatchObject({ code: 'E_SYSTEM', message });
  expect(await holding().load()).toEqual(['old']);
});

test('a replacement that fails leaves the old file, and no file of the attempt', async () => {
  mkdirSync(join(path, 'in-the-way'), { recursive: true });
  await expect(holding('new').save()).rejects.toThrow(path);
  expect(readdirSync(join(folder, 'below'))).toEqual(['state.json']);
  expect(readdirSync(path)).toEqual(['in-the-way']);
});

test('a file that cannot be read or written is named, with the error and the remedy', async () => {
  mkdirSync(path, { recursive: true });
  const place = join(folder, 'below');
  const sentence = (what: string): string =>
    `State file ${path} cannot be ${what} (EISDIR): allow this program to ${what === 'read' ? 'read' : 'write'} the file and its folder ${place}`;
  await expect(holding().load()).rejects.toMatchObject({ code: 'E_SYSTEM', message: sentence('read') });
  await expect(holding('new').save()).rejects.toMatchObject({ code: 'E_SYSTEM', message: sentence('written') });
});

test('a full disk has its own remedy, and the old content stays', async (context) => {
  const full = join(folder, 'full');
  symlinkSync('/dev/full', `${full}.new`);
  context.skip(!existsSync('/dev/full'), 'needs /dev/full');
  writeFileSync(full, 'old');
  await expect(new StateFile(full, FORM, () => ['new']).save()).rejects.toMatchObject({
    code: 'E_SYSTEM',
    message: `State file ${full} cannot be written (ENOSPC): free space there`,
    context: { file: full, errno: 'ENOSPC' },
  });
  expect(readFileSync(full, 'utf8')).toBe('old');
});

test.each([
  ['', 'it is empty'],
  ['{"version":3,"content":["a"', 'it is not JSON'],
  ['["a"]', 'it has no version'],
  ['{"version":3}', 'it has no version'],
  ['{"version":4,"content":["a"]}', 'its version is 4, this program knows 3'],
  // The message does not show the version, because the version may contain terminal controls. The program does not convert the version to
  // text, because the conversion may throw.
  ['{"version":"a\\u001b[2J","content":["a"]}', 'its version is no number, this program knows 3'],
  ['{"version":{"toString":1},"content":["a"]}', 'its version is no number, this program knows 3'],
  ['{"version":3,"content":["a",1]}', 'its content is not of the expected form ([1] is not text)'],
])('%s is refused with its reason and the remedy, and stays', async (text, why) => {
  await holding('old').save();
  writeFileSync(path, text);
  await expect(holding().load()).rejects.toMatchObject({
    code: 'E_SYSTEM',
    message: `State file ${path} cannot be used: ${why}: buy a new one`,
    context: { file: path },
  });
  expect(readFileSync(path, 'utf8')).toBe(text);
});

test('a file of an earlier form is converted, and one that only claims that form is refused', async () => {
  const form: StateForm<readonly string[]> = {
    ...FORM,
    earlier: { 2: (content) => (typeof content === 'string' ? content.split(' ') : null) },
  };
  const file = new StateFile(path, form, () => ['new']);
  mkdirSync(join(folder, 'below'));
  writeFileSync(path, JSON.stringify({ version: 2, content: 'a b' }));
  expect(await file.load()).toEqual(['a', 'b']);
  writeFileSync(path, JSON.stringify({ version: 2, content: ['a'] }));
  await expect(file.load()).rejects.toMatchObject({ code: 'E_SYSTEM' });
  writeFileSync(path, JSON.stringify({ version: 1, content: ['a'] }));
  await expect(file.load()).rejects.toMatchObject({ message: expect.stringContaining('its version is 1') as string });
});

test('a file of an earlier form whose conversion could not be loaded again is refused', async () => {
  const form = { ...FORM, earlier: { 2: (content: unknown) => [content] as readonly string[] } };
  mkdirSync(join(folder, 'below'));
  writeFileSync(path, JSON.stringify({ version: 2, content: 7 }));
  await expect(new StateFile(path, form, () => []).load()).rejects.toThrow('its content is not of the expected form');
});
