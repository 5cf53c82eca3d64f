// What rssrv cannot use is taken back, so that the administrator can correct the entries and try again. Invariant: the answers of rssrv and
// systemd are those of the test.

import { readFileSync, writeFileSync } from 'node:fs';
import type { ServerCall } from '@rsio/api/rssrv/call-server';
import { useApplianceScene } from '@rsio/appliance/testing/appliance-scene';
import { SERVER_FILE_HEAD } from '@rsio/common/testing/sample-rssrvcfg';
import { expect, test } from 'vitest';
import { makeServer, poolsOf } from './system-ports.ts';

const EMPTY = '# Only comments\n';
const scene = useApplianceScene('etc/dvsc');
const rssrvcfg = (): string => `${scene.root}/etc/dvsc/rssrvcfg`;

test('a server that does not start leaves no configuration', async () => {
  writeFileSync(rssrvcfg(), EMPTY);
  scene.failing = 'systemctl';
  const make = () => makeServer(scene, rssrvcfg(), { name: 'big-9', namespace: 'osl', addresses: ['10.0.0.9'] });
  await expect(make()).rejects.toThrow('systemctl failed');
  expect(readFileSync(rssrvcfg(), 'utf8')).toBe(EMPTY);
  scene.failing = null;
  await make();
  expect(readFileSync(rssrvcfg(), 'utf8')).toContain('[server big-9]');
  await expect(make()).rejects.toThrow('set up already');
});

test('a pool that rssrv cannot use leaves no section', async () => {
  writeFileSync(rssrvcfg(), SERVER_FILE_HEAD);
  const answers: Readonly<Record<string, unknown>> = {
    'pool-make': { isNew: true, volumes: 0 },
    'config-check': { problems: [] },
    reload: { applied: ['x'] },
    'pool-list': { pools: [{ name: 'fast', reason: 'it is read-only', reflink: true }] },
  };
  const call = ((method: string) => Promise.resolve(answers[method])) as ServerCall;
  await expect(poolsOf(rssrvcfg(), call).add('fast', '/srv/fast/volumes')).rejects.toThrow('rssrv cannot use pool fast: it is read-only');
  expect(readFileSync(rssrvcfg(), 'utf8')).toBe(SERVER_FILE_HEAD);
});
