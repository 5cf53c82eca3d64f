// Tests how rsiod is started: by systemd if the unit is installed, by the launcher of the same installation, or by the launcher in PATH.
// Only the tests of `rsconfig join` really start rsiod.

import { mkdtempSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startCommand } from './start-daemon.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let folder: string;
let own: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'rsio-start-')));
  writeFileSync(join(folder, 'rsconfig-real'), '');
  own = join(folder, 'rsconfig');
  symlinkSync('rsconfig-real', own);
});

afterEach(() => removeFolder(folder));

const SYSTEMD = ['/run/systemd/system', '/usr/lib/systemd/system/rsiod.service'];

function program(root: string, there: readonly string[]): string {
  const { program: name, args } = startCommand(root, own, (path) => there.includes(path));
  return [name, ...args].join(' ');
}

test('the launcher beside the running one, also if that is reached by a link', () => {
  const beside = join(folder, 'rsiod');
  expect(program('', [beside])).toBe(beside);
  expect(program('/tmp/lab', [beside])).toBe(`${beside} --root /tmp/lab`);
});

test('without such a launcher, the one in PATH', () => {
  expect(program('', [])).toBe('rsiod');
  expect(startCommand('', undefined, () => false).program).toBe('rsiod');
});

test('by systemd if it runs the machine and has the unit, for the real root only', () => {
  expect(program('', SYSTEMD)).toBe('systemctl start rsiod');
  expect(startCommand('', own, (path) => SYSTEMD.includes(path)).remark).toContain('systemctl enable rsiod');
  expect(program('', SYSTEMD.slice(1))).toBe('rsiod');
  expect(program('/tmp/lab', SYSTEMD)).toBe('rsiod --root /tmp/lab');
});
