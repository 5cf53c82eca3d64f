// The commands about applications: edits of the client's file, tables, and the orders that rsapp gets. applications.test.ts in test/integration has
// real daemons.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ApplicationView } from '@rsio/api/rsapp/app-methods';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { contextOf } from '../testing/context.ts';
import { rsappCommand } from './client-commands.ts';
import { APP_ADD, APP_MOVE, APP_REMOVE, APP_SHOW, APP_START, NODE_DRAIN } from './applications.ts';

const clock = new FakeClock();
const APP: ApplicationView = {
  name: 'postgres',
  state: 'running',
  on: 'big-2',
  sinceMs: clock.wallMs() - 65_000,
  volumes: ['db', 'wal'],
  nodes: ['big-2', 'big-6'],
  next: 'big-6',
  why: '',
  failed: false,
  remains: false,
};

function scene(applications: readonly ApplicationView[] = [APP], drained = false) {
  const said = { out: '', notes: [] as string[], calls: [] as unknown[] };
  const context = contextOf({
    clock,
    out: (text) => (said.out += text),
    note: (text) => said.notes.push(text),
    callApp: (method, params) => {
      said.calls.push([method, params]);
      return Promise.resolve({ node: 'big-2', drained, applications, application: applications[0] });
    },
  });
  return { context, said };
}

describe('app list', () => {
  test('has a line for each application', async () => {
    const { context, said } = scene([APP, { ...APP, name: 'x', state: 'waiting', on: null, next: null, why: 'too\u001bfew' }]);
    await rsappCommand('applications').run(context, {}, []);
    expect(said.out.split('\n')).toEqual([
      'APPLICATION  STATE    ON     SINCE  VOLUMES  NEXT   WHY',
      'postgres     running  big-2  65s    db wal   big-6  -',
      expect.stringMatching(/^x +waiting +- +65s +db wal +- +too\\x1bfew$/i),
      '',
    ]);
  });

  test('says that the node is drained, and that there is none', async () => {
    const { context, said } = scene([], true);
    await rsappCommand('applications').run(context, {}, []);
    expect([said.out, said.notes]).toEqual(['', [expect.stringContaining('drained'), expect.stringContaining('app add')]]);
  });
});

test('app show shows one, or names the command that lists them', async () => {
  const { context, said } = scene([{ ...APP, why: 'It failed' }]);
  await APP_SHOW.run(context, {}, ['postgres']);
  expect(said.out).toContain('State    running, on big-2, since 65s\n');
  expect(said.out).toContain('Why      It failed\n');
  await expect(APP_SHOW.run(context, {}, ['other'])).rejects.toThrow('rsconfig app list');
});

test('orders go to rsapp', async () => {
  const { context, said } = scene();
  await APP_START.run(context, {}, ['postgres']);
  await APP_MOVE.run(context, { to: 'big-6' }, ['postgres']);
  await NODE_DRAIN.run(context, { end: true }, []);
  expect(said.calls).toEqual([
    ['app-order', { name: 'postgres', order: 'start', to: null }],
    ['app-order', { name: 'postgres', order: 'move', to: 'big-6' }],
    ['drain', { end: true }],
  ]);
  expect(said.out).toBe('postgres runs on big-2\npostgres has moved to big-2 in 0.0 s\nthe drain of this node has ended\n');
});

test('an order that waits says why, again every ten seconds, until rsapp answers', async () => {
  const notes: string[] = [];
  let why = 'Too few servers answer';
  let finish = (): void => undefined;
  const context = contextOf({
    clock,
    note: (text) => notes.push(text),
    callApp: (method) =>
      method === 'applications'
        ? Promise.resolve({
            node: 'a',
            drained: false,
            applications: [
              { ...APP, why },
              { ...APP, name: 'other', why: 'of no concern' },
            ],
          })
        : new Promise((resolve) => (finish = () => resolve({ application: APP }))),
  });
  const seconds = async (count: number): Promise<void> => {
    for (let second = 0; second < count; second++) {
      clock.advance(1000);
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
  };
  const ended = APP_START.run(context, {}, ['postgres']);
  await seconds(4);
  expect(notes).toEqual(['Waiting for postgres: Too few servers answer']);
  why = 'Node c holds wal';
  await seconds(30);
  expect(notes).toEqual([
    'Waiting for postgres: Too few servers answer',
    ...Array<string>(3).fill('Waiting for postgres: Node c holds wal'),
  ]);
  finish();
  await ended;
  await seconds(30);
  expect(notes).toHaveLength(4);
});

test('an application that is here is not removed', async () => {
  const { context } = scene();
  await expect(APP_REMOVE.run(context, {}, ['postgres'])).rejects.toBeInstanceOf(RsError);
});

test.each([
  ['has the current file, reads the new one, too, so that doctor finds no difference', Date.now() + 60_000, ['daemon', 'reload']],
  ['has an older file keeps it', 0, ['daemon']],
])('after app add, an rsiod that %s', async (_name, configuredMs, asked) => {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-apps-'));
  const configFile = join(folder, 'rscltcfg');
  writeFileSync(configFile, '[defaults]\n');
  const calls: string[] = [];
  const call = (method: string): Promise<unknown> => {
    calls.push(method);
    return Promise.resolve({ configuredMs, applied: [] });
  };
  const callApp = (): Promise<never> => Promise.reject(new RsError('E_NOT_RUNNING', 'rsapp does not run'));
  const context = contextOf({ configFile, call, callApp });
  const none = { service: null, mounts: null, 'stop-program': null, 'check-program': null, 'moving-address': null };
  await APP_ADD.run(context, { ...none, on: 'db', nodes: 'a,b', program: '/bin/true' }, ['pg']);
  expect(calls).toEqual(asked);
  expect(readFileSync(configFile, 'utf8')).toContain('[application pg]');
  await removeFolder(folder);
});
