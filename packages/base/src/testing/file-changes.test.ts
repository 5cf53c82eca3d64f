// Tests that the changes for a test file end, even if the hooks of the file did not run.

import fs from 'node:fs';
import { expect, test, vi } from 'vitest';
import { FileChanges } from './file-changes.ts';
import { makeSyncsQuick } from './quick-syncs.ts';

test('after a file whose import or hook failed, the syncs of the next file are real', async () => {
  const before = fs.fdatasync;
  const here = {};
  new FileChanges(here).make(makeSyncsQuick);
  expect(fs.fdatasync).not.toBe(before);
  vi.resetModules();
  const { FileChanges: ofNextFile } = await import('./file-changes.ts');
  expect(ofNextFile).not.toBe(FileChanges);
  new ofNextFile(here).end();
  expect(fs.fdatasync).toBe(before);
});

test('changes are undone once, the last one first', () => {
  const changes = new FileChanges({});
  const undone: number[] = [];
  for (const number of [1, 2]) changes.make(() => () => undone.push(number));
  changes.end();
  changes.end();
  expect(undone).toEqual([2, 1]);
});
