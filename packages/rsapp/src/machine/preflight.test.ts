// Tests what rsapp --check finds on a machine: programs and folders that do not exist, mounts that are in the way, and a missing systemd. The
// answers of systemctl and the mounts are the test's own.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import { APP } from '../testing/fake-node.ts';
import { preflight } from './preflight.ts';
import type { RunProgram } from './programs.ts';

let folder: string;
let good: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsapp-preflight-'));
  good = join(folder, 'good');
  writeFileSync(good, '');
  chmodSync(good, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

const loaded: RunProgram = () => Promise.resolve({ code: 0, stdout: 'LoadState=loaded\nActiveState=inactive\n', stderr: '' });

async function found(changes: Partial<ApplicationConfig>, run = loaded, groups: string | null = '/groups', device: string | null = null) {
  const app = { ...APP, check: null, mounts: [{ volume: null, path: folder }], ...changes };
  const mountsOf = () => ({ deviceAt: () => Promise.resolve(device), isMounted: () => Promise.resolve(false) });
  const { errors, warnings } = await preflight([app], { run, groups, mountsOf });
  return [...errors.map((one) => `error: ${one}`), ...warnings.map((one) => `warning: ${one}`)].join('\n');
}

it('a unit that systemd knows, and a program that exists, are good', async () => {
  expect(await found({})).toBe('');
  expect(await found({ service: { kind: 'programs', start: good, stop: null }, check: good })).toBe('');
});

it('a program that does not exist or is not executable is named with its key', async () => {
  const file = join(folder, 'plain');
  writeFileSync(file, '', { mode: 0o644 });
  const message = await found({ service: { kind: 'programs', start: '/nonexist', stop: null }, check: file }, loaded, null);
  expect(message).toContain('Application pg: start = /nonexist cannot be used');
  expect(message).toContain(`Application pg: check = ${file} is not executable: run chmod 755 on it`);
  expect(message).toContain('control groups of version 2');
});

it('a missing systemd is an error, an unknown unit a warning', async () => {
  const bus: RunProgram = () => Promise.resolve({ code: 1, stdout: '', stderr: 'Failed to connect to bus: No such file or directory\n' });
  expect(await found({}, bus)).toBe(
    'error: Application pg: systemd does not answer on this machine: use start = PROGRAM instead of service',
  );
  const unknown: RunProgram = () => Promise.resolve({ code: 0, stdout: 'LoadState=not-found\n', stderr: '' });
  expect(await found({}, unknown)).toBe('warning: Application pg: systemd does not know pg.service: install it before the first start');
});

it('folders for mounts are made, and must be folders with nothing mounted', async () => {
  const path = join(folder, 'none');
  expect(await found({ mounts: [{ volume: null, path }] })).toBe(`warning: Application pg: folder ${path} does not exist: rsapp makes it`);
  expect(await found({ mounts: [{ volume: null, path: good }] })).toContain('is no folder');
  expect(await found({}, loaded, null, '7:3')).toBe(`warning: Application pg: something is mounted at ${folder} already: umount ${folder}`);
});
