// Tests that a volume whose restore was interrupted counts neither as a file system nor as empty. format-rules.test.ts tests what the CSI driver
// does with it. Rules: G29.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needPrograms } from '../testing/needs.ts';
import { removeFolder } from '../testing/remove-folder.ts';
import { hasRestoreMark, RESTORE_MARK_BYTES, restoreMark } from './restore-mark.ts';

const VOLUME_BYTES = 8 * 1_048_576;

test('the mark is recognized, and zeros or a part of it are no mark', () => {
  expect(hasRestoreMark(restoreMark())).toBe(true);
  expect(restoreMark().toString('latin1', 512, 560)).toBe('RSIO: a restore of this volume has not completed');
  expect([Buffer.alloc(4_096), Buffer.from('RSIO: a restore'), Buffer.alloc(0)].map(hasRestoreMark)).toEqual([false, false, false]);
});

test('blkid finds no signature in a volume with the mark', async (context) => {
  needPrograms(context, 'blkid');
  const folder = mkdtempSync(join(tmpdir(), 'rsio-mark-'));
  const file = join(folder, 'volume');
  writeFileSync(file, Buffer.concat([restoreMark(), Buffer.alloc(VOLUME_BYTES - RESTORE_MARK_BYTES)]));
  const { status, stdout } = spawnSync('blkid', ['-p', '-o', 'export', file], { encoding: 'utf8' });
  await removeFolder(folder);
  expect([status, stdout]).toEqual([2, '']);
});
