// Tests the rsapp of this machine as a source, with a real control socket: a machine without rsapp has no fault, and an rsapp that does not
// answer is a fault with a remedy.

import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { daemonPaths } from '@rsio/common/config/root-paths';
import { APP_METHODS } from '@rsio/api/rsapp/app-methods';
import { startControlServer } from '@rsio/common/control/control-server';
import { systemClock } from '@rsio/base/lib/clock';
import { quietLog } from '@rsio/base/log/log';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { expect, test } from 'vitest';
import { LocalApps } from './local-apps.ts';

const view = {
  name: 'pg',
  state: 'running',
  on: 'big-2',
  sinceMs: 7,
  volumes: ['db'],
  nodes: ['big-2'],
  next: null,
  why: '',
  failed: false,
  remains: false,
} as const;
const daemon = { program: 'rsapp', version: '0.2.0', control: 1, methods: [], pid: 1, nodename: 'big-2', startedMs: 1, configuredMs: 1 };

test('an rsapp that is not there is no fault; one that answers tells of its applications; one that does not answer is a fault', async () => {
  const root = mkdtempSync(join(tmpdir(), 'rsio-apps-'));
  const paths = daemonPaths(root, 'rsapp');
  const source = new LocalApps(paths, systemClock);
  expect(await source.sample()).toBeNull();
  mkdirSync(dirname(paths.controlSocket), { recursive: true });
  const refused = (): never => {
    throw new Error('not asked');
  };
  let applications = () => ({ node: 'big-2', drained: true, applications: [view] }) as never;
  const handlers = { daemon: () => daemon, applications: () => applications(), reload: refused, drain: refused, 'app-order': refused };
  const server = await startControlServer(paths.controlSocket, APP_METHODS, handlers, quietLog);
  const picture = await source.sample();
  expect(picture).toMatchObject({
    machines: [{ isLocal: true, programs: [{ program: 'rsapp' }] }],
    applications: [{ id: 'big-2:pg', reporter: 'big-2', isDrained: true, state: 'running', on: 'big-2' }],
  });
  applications = refused;
  const thrown: unknown = await source.sample().catch((error: unknown) => error);
  expect(source.failed(thrown, picture)).toMatchObject({
    applications: [],
    findings: [{ severity: 'error', commands: ['systemctl restart rsapp'] }],
  });
  await server.close();
  await removeFolder(root);
});
