// Tests that a pid file belongs to one process as long as this process runs. After a crash or a reboot, a new process takes over a stale
// file in any state. The race between several starts is tested in daemon-process.test.ts, with real processes.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquirePidFile, pidFileHolder } from './pid-file.ts';
import { removeFolder } from '../testing/remove-folder.ts';

let folder = '';
let path = '';
const lock = () => `${path}.lock`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-pid-'));
  path = join(folder, 'pid');
});

afterEach(() => removeFolder(folder));

const acquire = () => acquirePidFile(path, 'rsiod', process.pid);

/** Returns the text of a lock file whose holder is running: the identity of this process. */
function ownText(): string {
  const file = acquirePidFile(join(folder, 'own'), 'rsiod', process.pid);
  const text = readFileSync(join(folder, 'own.lock'), 'utf8');
  file.release();
  return text;
}

function deadPid(): number {
  return spawnSync(process.execPath, ['--version']).pid;
}

const lines = () => ownText().split('\n');

const STALE: readonly (readonly [string, () => string])[] = [
  ['of a process that ended', () => [deadPid(), ...lines().slice(1)].join('\n')],
  ['whose pid another process has now', () => [process.pid, '1', ...lines().slice(2)].join('\n')],
  ['of another boot', () => [...lines().slice(0, 2), '00000000-0000-4000-8000-000000000000', ''].join('\n')],
  ['that is empty', () => ''],
  ['that is garbage', () => 'rsiod was here\0'],
];

test('a pid file contains only the pid, and is removed at release', () => {
  const file = acquire();
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
  expect(readdirSync(folder)).toEqual(['pid', 'pid.lock']);
  file.release();
  file.release();
  expect(readdirSync(folder)).toEqual([]);
});

test('a missing folder is created', () => {
  path = join(folder, 'run', 'rsio', 'rsiod', 'pid');
  acquire();
  expect(readFileSync(path, 'utf8')).toMatch(/^\d+\n/);
});

test('a running holder is named with pid and file', () => {
  acquire();
  expect(acquire).toThrow(expect.objectContaining({ code: 'E_ALREADY_RUNNING', context: { pid: process.pid, path } }));
  expect(acquire).toThrow(`rsiod is already running as pid ${process.pid} (${path})`);
  expect(readdirSync(folder)).toEqual(['pid', 'pid.lock']);
});

test.each(STALE)('a file %s is replaced', (_, text) => {
  writeFileSync(path, '1234567\n');
  writeFileSync(lock(), text());
  const file = acquire();
  expect(readFileSync(lock(), 'utf8')).toBe(ownText());
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
  expect(readdirSync(folder)).toEqual(['pid', 'pid.lock']);
  file.release();
  expect(readdirSync(folder)).toEqual([]);
});

const claimOf = (text: string) => `${lock()}.stale-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;

test('a claim of a start that crashed does not block the next one', () => {
  writeFileSync(lock(), 'stale');
  writeFileSync(claimOf('stale'), 'stale too');
  acquire();
  expect(readFileSync(lock(), 'utf8')).toBe(ownText());
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
  expect(readdirSync(folder)).toEqual(['pid', 'pid.lock']);
});

test('while a running start has the claim, no other replaces the file', () => {
  writeFileSync(lock(), 'stale');
  writeFileSync(claimOf('stale'), ownText());
  expect(acquire).toThrow(expect.objectContaining({ code: 'E_ALREADY_RUNNING' }));
  expect(readFileSync(lock(), 'utf8')).toBe('stale');
});

test("release leaves another process's file alone", () => {
  const file = acquire();
  writeFileSync(lock(), '1\n1\n0\n');
  file.release();
  expect(readFileSync(lock(), 'utf8')).toBe('1\n1\n0\n');
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
});

test('a path that cannot be written gives a plain error without a stack', () => {
  writeFileSync(path, '');
  path = join(path, 'below-a-file', 'pid');
  expect(acquire).toThrow(expect.objectContaining({ code: 'E_SYSTEM', message: expect.stringContaining(path) as unknown }));
});

test('the holder can be queried', () => {
  expect(pidFileHolder(path)).toBeNull();
  const file = acquire();
  expect(pidFileHolder(path)).toBe(process.pid);
  file.release();
  expect(pidFileHolder(path)).toBeNull();
  writeFileSync(lock(), [deadPid(), ...lines().slice(1)].join('\n'));
  expect(pidFileHolder(path)).toBeNull();
});

test.each([
  ['of a process that ended in this boot', 0, true],
  ['of another boot', 2, false],
  ['that is garbage', 4, false],
])('the previous holder of a stale pid file is reported: %s', (_what, at, isReported) => {
  const text = STALE[at]![1]();
  writeFileSync(lock(), text);
  expect(acquire().leftBy).toBe(isReported ? Number(text.split('\n')[0]) : null);
});

test('a released pid file and a new one have no previous holder', () => {
  const file = acquire();
  file.release();
  expect([file.leftBy, acquire().leftBy]).toEqual([null, null]);
});
