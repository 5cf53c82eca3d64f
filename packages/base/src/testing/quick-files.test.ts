// Tests that quick files behave like Node's files: the results, errors and event-loop turns are the same. The test does each step with both
// kinds of files and compares the outcomes. Invariant: Node's functions are restored after each test.

import fs from 'node:fs';
import { appendFile, link, lstat, mkdir, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFilesQuick } from './quick-files.ts';

let folder = '';
let slow = (): void => undefined;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rsio-quick-'));
});

afterEach(() => {
  slow();
  fs.rmSync(folder, { recursive: true });
});

async function said(work: Promise<unknown>): Promise<unknown> {
  return work.catch(({ code, syscall, message }: NodeJS.ErrnoException) => ({ code, syscall, message }));
}

async function steps(): Promise<unknown[]> {
  const at = (name: string): string => path.join(folder, name);
  const results = [
    await said(mkdir(at('a/b'))),
    await said(mkdir(at('a/b'), { recursive: true })),
    await said(open(at('a/x'), 'r')),
    await said(open(at('a/x'), 'wx').then((file) => file.close())),
    await said(open(at('a/x'), 'wx')),
    await said(writeFile(at('a/x'), 'one')),
    await said(appendFile(at('a/x'), ' two')),
    await said(truncate(at('a/x'), 5)),
    await said(link(at('a/x'), at('a/y'))),
    await said(rename(at('a/y'), at('a/b/y'))),
    await said(rename(at('none'), at('a'))),
    await said(readdir(at('a'))),
    await said(lstat(at('a/b/y')).then(({ size, nlink }) => ({ size, nlink }))),
    await said(stat(at('a/x'), { bigint: true }).then(({ size }) => size)),
    await said(readFile(at('a/x'), 'utf8')),
  ];
  const file = await open(at('a/x'), 'r+');
  results.push(
    await said(file.write(Buffer.from('ABC'), 0, 3, 1).then(({ bytesWritten }) => bytesWritten)),
    await said(file.read(Buffer.alloc(9), 0, 9, 0).then(({ bytesRead, buffer }) => [bytesRead, String(buffer)])),
    await said(file.truncate(2)),
    await said(file.datasync()),
    await said(file.stat().then(({ size }) => size)),
    await said(file.readFile('utf8')),
    await said(file.close()),
    await said(rm(at('a'))).then((thrown) => (thrown as { code: string }).code),
    await said(rm(at('a'), { recursive: true })),
    await said(readFile(at('a/x'))),
  );
  return results;
}

test('quick files give the results and errors of Node', async () => {
  const ofNode = await steps();
  slow = makeFilesQuick();
  expect(await steps()).toEqual(ofNode);
  expect(ofNode).toContain('one t');
});

test('a call takes effect in a later turn, in the order of the calls', async () => {
  slow = makeFilesQuick();
  const file = path.join(folder, 'x');
  const [first, second] = [writeFile(file, 'one'), appendFile(file, 'two')];
  await Promise.resolve();
  expect(fs.existsSync(file)).toBe(false);
  await Promise.all([first, second]);
  expect(fs.readFileSync(file, 'utf8')).toBe('onetwo');
});

test('everything is put back', () => {
  const before = { ...fs.promises, folder: os.tmpdir() };
  makeFilesQuick()();
  expect({ ...fs.promises, folder: os.tmpdir() }).toEqual(before);
});
