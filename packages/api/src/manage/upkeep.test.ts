// Tests the checks of a machine: space on its disks, and a valid certificate whose key other users cannot read. openssl makes a real
// certificate. The test supplies the figures about disks.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { gatherUpkeep, upkeepFaults } from './upkeep.ts';

const GIB = 1 << 30;
const DAY_MS = 86_400_000;
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rsio-upkeep-'));
  mkdirSync(join(root, 'etc'));
});

afterEach(() => removeFolder(root));

test.each([
  [10 * GIB, 1_000 * GIB, []],
  [0.9 * GIB, 1 * GIB, []],
  [0.5 * GIB, 100 * GIB, [false]],
  [GIB / 32, GIB, [true]],
])('%i bytes free of %i', (freeBytes, totalBytes, errors) => {
  const faults = upkeepFaults({ disks: [{ path: '/var/lib/rsio', freeBytes, totalBytes }], certificate: null }, 0);
  expect(faults.map(({ isError }) => isError)).toEqual(errors);
});

test('a certificate that expires, has expired or is none, and a key that all users can use', (context) => {
  needPrograms(context, 'openssl');
  const [certificate, key] = [join(root, 'etc/cert.pem'), join(root, 'etc/key.pem')];
  const subject = ['-subj', '/CN=big-9', '-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-days', '10', ...subject], { stdio: 'ignore' });
  chmodSync(key, 0o640);
  writeFileSync(join(root, 'etc/rswebcfg'), `[web]\ncertificate = ${certificate}\nkey = ${key}\n`);
  const said = (nowMs: number): string[] => upkeepFaults(gatherUpkeep(root), nowMs).map(({ what }) => what);
  expect(said(Date.now() - 40 * DAY_MS)).toEqual([]);
  expect(said(Date.now())).toEqual([expect.stringMatching(/^It expires in (9|10) days: 20/)]);
  expect(said(Date.now() + 11 * DAY_MS)).toEqual([expect.stringMatching(/^It has expired: 20/)]);
  chmodSync(key, 0o644);
  expect(said(Date.now() - 40 * DAY_MS)).toEqual(['All users can use its key (mode 644)']);
  writeFileSync(certificate, 'rubbish');
  chmodSync(key, 0o600);
  expect(said(0)).toEqual(['It cannot be read (it is no certificate)']);
});

test('folders on one file system are looked at once, and what is missing is left out', () => {
  expect(gatherUpkeep(root)).toEqual({ disks: [], certificate: null });
  for (const name of ['var/lib/rsio', 'var/log/rsio']) mkdirSync(join(root, name), { recursive: true });
  expect(gatherUpkeep(root).disks).toMatchObject([{ path: join(root, 'var/lib/rsio') }]);
});
