// Tests which programs a daemon may start. Programs that another user could have written or could replace are refused. The test can run as
// any user, because the files belong to the user of the test.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { unsafeProgram } from './safe-program.ts';
import { removeFolder } from '../testing/remove-folder.ts';

let root: string;
let program: string;

beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'rsio-program-'));
  mkdirSync(path.join(root, 'bin'), { mode: 0o755 });
  program = path.join(root, 'bin/run');
  writeFileSync(program, '#!/bin/sh\n');
  chmodSync(program, 0o755);
});

afterEach(() => removeFolder(root));

test('a program of this user in a folder of this user may be started, also by a link', () => {
  expect(unsafeProgram(program)).toBeNull();
  symlinkSync(program, path.join(root, 'link'));
  expect(unsafeProgram(path.join(root, 'link'))).toBeNull();
});

test.each([
  ['that others can write', () => chmodSync(program, 0o757), 'can be written by other users: run chmod go-w on it'],
  ['that the group can write', () => chmodSync(program, 0o775), 'can be written by other users'],
  ['that is not executable', () => chmodSync(program, 0o644), 'is not executable'],
  ['in a folder that others can write', () => chmodSync(path.dirname(program), 0o777), '/bin, which other users can write'],
  ['that is missing', () => rmSync(program), 'cannot be used: '],
  ['that is a folder', () => (program = root), 'is no file'],
])('a program %s is refused', (_what, change, text) => {
  change();
  expect(unsafeProgram(program)).toContain(text);
});
