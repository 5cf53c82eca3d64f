// Tests the comparison of files with their descriptions: each way in which a file can differ, and what counts as not compared. Rules: G29,
// G49.

import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sealBackup, writeBackup } from '../testing/backup-folder.ts';
import { readChain } from './backup-chain.ts';
import { LinkCheck, uncomparedIn, whileUnchanged } from './link-check.ts';

let folder = '';
let full = '';
let increment = '';

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-links-'));
  full = writeBackup(folder, 'db@monday.qcow2', 'm1', null, null);
  increment = writeBackup(folder, 'db@tuesday.qcow2', 't1', 'db@monday.qcow2', 'm1');
  for (const file of [full, increment]) await sealBackup(file);
});

afterEach(() => removeFolder(folder));

/** Changes a byte behind the header, and keeps the times of the file if `isRot`. */
function change(file: string, isRot: boolean): void {
  const { atime, mtime } = statSync(file);
  const bytes = readFileSync(file);
  bytes[900] = bytes[900]! ^ 1;
  writeFileSync(file, bytes);
  utimesSync(file, atime, isRot ? mtime : new Date(mtime.getTime() + 1_000));
}

const problem = async (trustsStamps: boolean): Promise<string> =>
  (await readChain(increment, false).then((chain) => new LinkCheck(trustsStamps).problemOf(chain))) ?? 'none';

describe('a damaged link is found', () => {
  test.each([
    ['cut', () => truncateSync(full, 1_000), /was cut: it has 1000 bytes, and had 1024/],
    ['made longer', () => appendFileSync(full, 'x'), /is longer: it has 1025 bytes/],
    ['cut, the newest', () => truncateSync(increment, 1_000), /tuesday.qcow2 was cut/],
    ['emptied', () => truncateSync(full, 0), /is not a qcow2 file/],
    ['missing', () => rmSync(full), /There is no backup .*monday/],
  ] as const)('%s', async (_, damage, message) => {
    damage();
    await expect(readChain(increment, false)).rejects.toThrow(message);
    await expect(readChain(increment, true)).rejects.toThrow(message);
  });

  test.each([
    ['changed', () => change(full, false)],
    ['changed, the newest', () => change(increment, false)],
    [
      'swapped with a file of the same length',
      () => {
        const other = writeBackup(folder, 'db@other.qcow2', 'o1', null, null);
        change(other, true);
        renameSync(other, full);
      },
    ],
  ] as const)('%s, also where stamps are trusted', async (_, damage) => {
    expect(await problem(true)).toBe('none');
    damage();
    for (const trustsStamps of [true, false]) expect(await problem(trustsStamps)).toMatch(/has another content than when it was made/);
  });

  test('changed by the disk, only by reading', async () => {
    change(full, true);
    expect(await problem(true)).toBe('none');
    expect(await problem(false)).toMatch(/monday.qcow2 has another content/);
  });
});

test('a copied chain is whole, although its stamps are others', async () => {
  copyFileSync(full, `${full}.copy`);
  renameSync(`${full}.copy`, full);
  for (const trustsStamps of [true, false]) expect(await problem(trustsStamps)).toBe('none');
});

test('what has no checksum is named', async () => {
  expect(uncomparedIn(await readChain(increment, false))).toEqual([]);
  writeBackup(folder, 'db@monday.qcow2', 'm1', null, null);
  expect(uncomparedIn(await readChain(increment, false))).toEqual(['db@monday.qcow2']);
  expect(await problem(false)).toBe('none');
  rmSync(`${full}.json`);
  expect(uncomparedIn(await readChain(full, true))).toEqual(['db@monday.qcow2']);
});

test('a link that changes while it is used is an error', async () => {
  const chain = await readChain(increment, false);
  expect(await whileUnchanged(chain, async () => 7)).toBe(7);
  await expect(whileUnchanged(chain, async () => change(full, false))).rejects.toThrow(/monday.qcow2 was changed while it was read/);
});
