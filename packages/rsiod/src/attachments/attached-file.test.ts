// Tests the list of attached volumes on a full file system: a detach makes the list shorter, or not longer than its blocks, and is recorded.
// The file system is a tmpfs that the test mounts. The tests are skipped if this process may not mount.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { quietLog } from '@rsio/base/log/log';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type AttachedContent, AttachedFile } from './attached-file.ts';

let folder = '';
let content: AttachedContent = { boot: 'b', attached: [], detached: [] };
let warnings: string[] = [];

beforeEach((context) => {
  needPrograms(context, 'mount', 'umount');
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rsiod-run-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'rsio-test', folder], { stdio: 'ignore' });
  context.skip(mounted.status !== 0, 'needs the right to mount (root, CAP_SYS_ADMIN)');
  warnings = [];
});

afterEach(async () => {
  spawnSync('umount', ['--lazy', folder], { stdio: 'ignore' });
  await removeFolder(folder);
});

const kept = (name: string): AttachedContent['attached'][number] => ({
  namespace: 'osl',
  name,
  universe: 0,
  id: `id-${name}`,
  readonly: false,
  serverid: 1,
  server: 'big-9',
  owners: ['person'],
});
const file = (): string => path.join(folder, 'attached.json');
const load = (): Promise<AttachedContent | null> => newFile().load((sentence) => warnings.push(sentence));

function newFile(): AttachedFile {
  return new AttachedFile(file(), { ...quietLog, warn: (text: string) => void warnings.push(text) }, () => content);
}

function fillUp(): void {
  const other = fs.openSync(path.join(folder, 'of-others'), 'a');
  try {
    for (;;) fs.writeSync(other, Buffer.alloc(4096, 1));
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'ENOSPC' });
  } finally {
    fs.closeSync(other);
  }
}

test.each([
  ['shorter', { boot: 'b', attached: [kept('a')], detached: ['osl:b@0 id-b'] }],
  ['longer, in the same block', { boot: 'b', attached: [kept('a'), kept('b')], detached: ['osl:c@0 id-c', 'osl:d@0 id-d'] }],
])('on a full file system, a list that is %s is recorded', async (_what, next: AttachedContent) => {
  content = { boot: 'b', attached: [kept('a'), kept('b')], detached: [] };
  const list = newFile();
  await list.save();
  fillUp();
  content = next;
  await list.save();
  expect(await load()).toEqual(next);
  fs.rmSync(path.join(folder, 'of-others'));
  content = { boot: 'b', attached: [], detached: [] };
  await list.save();
  expect([await load(), warnings]).toEqual([content, []]);
});

test('a list that needs another block is not recorded, the log says so once, and the old one stays whole', async () => {
  const before: AttachedContent = { boot: 'b', attached: [kept('a')], detached: [] };
  content = before;
  const list = newFile();
  await list.save();
  fillUp();
  content = { ...before, attached: Array.from({ length: 40 }, (_, index) => kept(`v${index}`)) };
  for (let time = 0; time < 2; time++) await list.save();
  expect(await load()).toEqual(before);
  expect(warnings).toEqual([expect.stringMatching(/could not be recorded.*ENOSPC.*free space there/)]);
});
