// What rssrv cannot use is taken back, so that the administrator can correct the entries and try again. Invariant: the answers of rssrv and
// systemd are those of the test.

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerCall } from '@rsio/common/control/server/call-server';
import { RsError } from '@rsio/common/lib/errors';
import { removeFolder } from '@rsio/common/testing/remove-folder';
import { SERVER_FILE_HEAD } from '@rsio/common/testing/server-views';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { addingPool, makeServer } from './system-ports.ts';

const EMPTY = '# Only comments\n';
let root: string;
let file: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rsio-ports-'));
  const made = root;
  onTestFinished(() => removeFolder(made));
  mkdirSync(`${root}/etc/dvsc`, { recursive: true });
  file = `${root}/etc/dvsc/rssrvcfg`;
});

test('a server that does not start leaves no configuration', async () => {
  writeFileSync(file, EMPTY);
  let failure: RsError | null = new RsError('E_SYSTEM', 'systemctl failed');
  const run = (): Promise<string> => (failure === null ? Promise.resolve('') : Promise.reject(failure));
  const make = () => makeServer({ root, run }, file, { name: 'big-9', namespace: 'osl', addresses: ['10.0.0.9'] });
  await expect(make()).rejects.toThrow('systemctl failed');
  expect(readFileSync(file, 'utf8')).toBe(EMPTY);
  failure = null;
  await make();
  expect(readFileSync(file, 'utf8')).toContain('[server big-9]');
  await expect(make()).rejects.toThrow('set up already');
});

test('a pool that rssrv cannot use leaves no section', async () => {
  writeFileSync(file, SERVER_FILE_HEAD);
  const answers: Readonly<Record<string, unknown>> = {
    ...{ 'pool-make': { isNew: true, volumes: 0 }, 'config-check': { problems: [] }, reload: { applied: ['x'] } },
    'pool-list': { pools: [{ name: 'fast', reason: 'it is read-only', reflink: true }] },
  };
  const call = ((method: string) => Promise.resolve(answers[method])) as ServerCall;
  await expect(addingPool(file, call)('fast', '/srv/fast/volumes')).rejects.toThrow('rssrv cannot use pool fast: it is read-only');
  expect(readFileSync(file, 'utf8')).toBe(SERVER_FILE_HEAD);
});
