// Tests which user workers get, and which warning the administrator gets, for every combination of facts about the listener.
// test/integration/confined-workers.test.ts tests real processes. Rules: G24.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { chooseWorkerUser, type WorkerUserFacts } from './worker-user.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rssrv-user-'));
  writeFileSync(path.join(folder, 'with'), 'root:x:0:0::/root:/bin/sh\nbroken\nrsio:x:812:813::/:/bin/false\nstore:x:900:901::/:\n');
  writeFileSync(path.join(folder, 'without'), 'root:x:0:0::/root:/bin/sh\nstore:x:900:901::/:\n');
});
afterAll(() => removeFolder(folder));

const usual = (users: 'with' | 'without'): WorkerUserFacts => ({
  configured: null,
  uid: 0,
  canSwitch: true,
  userFile: path.join(folder, users),
});

it('root uses the user of the key, else rsio', () => {
  expect(chooseWorkerUser(usual('with'))).toEqual({ user: { name: 'rsio', uid: 812, gid: 813 }, warning: null });
  expect(chooseWorkerUser({ ...usual('with'), configured: 'store' })).toEqual({
    user: { name: 'store', uid: 900, gid: 901 },
    warning: null,
  });
});

it.each<[string, WorkerUserFacts | (() => WorkerUserFacts), string]>([
  ['no user rsio', () => usual('without'), 'create the user rsio (useradd --system rsio)'],
  ['no capabilities', () => ({ ...usual('with'), canSwitch: false }), 'CAP_SETUID, CAP_SETGID and CAP_KILL'],
])('root stays root with a warning: %s', (_, facts, remedy) => {
  const { user, warning } = chooseWorkerUser(typeof facts === 'function' ? facts() : facts);
  expect(user).toBeNull();
  expect(warning).toMatch(/^Server processes run as root: /);
  expect(warning).toContain(remedy);
});

it('another user than root keeps its own rights, and says so only if another user is wanted', () => {
  expect(chooseWorkerUser({ ...usual('with'), uid: 1000 })).toEqual({ user: null, warning: null });
  expect(chooseWorkerUser({ ...usual('with'), uid: 900, configured: 'store' }).warning).toBeNull();
  expect(chooseWorkerUser({ ...usual('with'), uid: 1000, configured: 'store' }).warning).toContain('start rssrv as root');
});
