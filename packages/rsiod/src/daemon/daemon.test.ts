// Tests that the objects of the daemon are made in each role, and that a missing listener would be found then. Nothing is started: real
// daemons are tested in test/integration.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { rsiodPaths } from '@rsio/common/config/root-paths';
import type { DaemonLog } from '@rsio/base/log/log';
import { quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { smallRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MainChannel } from '../processes/main-channel.ts';
import { NO_GATES } from '../frontends/gate-frontends.ts';
import { ClientDaemon } from './daemon.ts';
import type { ClientDaemonOptions } from './foundation.ts';

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rsio-daemon-'));
});

afterEach(() => removeFolder(root));

function optionsOf(role: Pick<ClientDaemonOptions, 'processes' | 'part'>): ClientDaemonOptions {
  const clock = new FakeClock();
  return {
    ...role,
    config: parseRscltConfig(smallRscltcfg(), 'rscltcfg'),
    paths: rsiodPaths(root),
    identity: { instance: 1, machine: 'm', boot: 'b', process: 'p', dataProcess: 0 },
    clock,
    beganMs: clock.wallMs(),
    log: quietLog as unknown as DaemonLog,
    store: null,
    relog: () => {},
    warn: () => {},
    keeper: null,
    keeperLack: null,
    restart: () => Promise.resolve(),
    stop: () => {},
    newGates: NO_GATES,
  };
}

const SPAWN = (): never => {
  throw new Error('No process is started');
};
const CHANNEL = { kept: null, store: () => ({ load: async () => null, save: async () => {} }) } as unknown as MainChannel;

test.each([
  ['one process', { processes: null, part: null }],
  ['the main process of data processes', { processes: { count: 2, spawn: SPAWN }, part: null }],
  ['a data process', { processes: null, part: { channel: CHANNEL, processes: 2, origins: {} } }],
] as const)('all objects of %s are made, each signal is heard, and each method has a handler', (_role, role) => {
  const { parts } = new ClientDaemon(optionsOf(role));
  expect(Object.keys(parts.handlers).toSorted()).toEqual(Object.keys(CONTROL_METHODS).toSorted());
  expect(() => parts.gateOffers.taken.listen(() => Promise.reject(new Error('A second one')))).toThrow(/gets a second listener/);
});

test('the objects of a process that has all volumes know nothing of other processes', () => {
  const { role, namespaces, current } = new ClientDaemon(optionsOf({ processes: null, part: null })).parts;
  expect([role.processes, role.isData, role.isOwn('osl:db@0'), role.share(1_000)]).toEqual([null, false, true, 1_000]);
  expect(namespaces.list.map(({ config }) => config)).toEqual(current.config.namespaces);
});

test('a data process has its part of the bounds of the client', () => {
  const part = { channel: CHANNEL, processes: 4, origins: {} };
  const { role, attachments, current } = new ClientDaemon(optionsOf({ processes: null, part })).parts;
  expect([role.isData, role.share(1_000)]).toEqual([true, 250]);
  expect(attachments.logTotal.limitBytes).toBe(Math.floor(current.config.logTotalBytes / 4));
});
