// Tests `rsconfig pool list`: one table of the pools of all servers, and the messages about servers that did not show theirs.
// test/integration/control.test.ts runs it with a real server.

import { RsError } from '@rsio/base/lib/errors';
import { pool } from '@rsio/api/testing/server-views';
import { expect, test } from 'vitest';
import { run } from '../testing/rsconfig-run.ts';
import { DOWN, machine, serve, useServerVolumes } from '../testing/server-volumes-scene.ts';

useServerVolumes();

const having = (server: string, names: readonly string[], namespace = 'osl') =>
  machine(server, { 'pool-list': () => ({ pools: names.map((name) => pool({ name })) }) }, {}, namespace);

test('lists the pools of all servers', async () => {
  await serve([having('big-9', ['fast', 'slow']), having('big-8', ['fast'])]);
  const { code, out, err } = await run('pool list');
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(
    /^SERVER +POOL +SIZE +FREE +PROMISED +FULL +VOLUMES +STATE\nbig-9 +fast .* ready\nbig-9 +slow .* ready\nbig-8 +fast .* ready\n$/,
  );
  const { servers, silent } = JSON.parse((await run('pool list --json')).out) as {
    servers: { server: string; pools: object[] }[];
    silent: object[];
  };
  expect([servers.map((one) => [one.server, one.pools.length]), silent]).toEqual([
    [
      ['big-9', 2],
      ['big-8', 1],
    ],
    [],
  ]);
});

test('a pool that cannot be used has the reason, and two namespaces are told apart', async () => {
  const broken = machine(
    'big-5',
    { 'pool-list': () => ({ pools: [pool({ state: 'unavailable', reason: 'no such directory' })] }) },
    {},
    'lab',
  );
  await serve([having('big-9', ['fast']), broken]);
  expect((await run('pool list')).out).toMatch(/\nosl:big-9 .* ready\nlab:big-5 .* unavailable: no such directory\n$/);
});

const REFUSING = machine('big-8', {
  'pool-list': () => {
    throw new RsError('E_RIGHTS', 'Client big-2 may not see pools');
  },
});
const SILENCE = 'rsconfig: Client big-2 may not see pools\nrsconfig: Server big-7 of osl is down: Connection refused\n';

test('a server that is down or refuses is named', async () => {
  await serve([having('big-9', ['fast']), REFUSING, DOWN]);
  expect(await run('pool list')).toMatchObject({ code: 0, err: SILENCE });
});

test('if no server answers, the exit code is 1', async () => {
  await serve([REFUSING, DOWN]);
  expect(await run('pool list')).toEqual({ code: 1, out: '', err: SILENCE });
  expect((await run('pool list --json')).code).toBe(1);
});

test('without pools, the way to one is said', async () => {
  await serve([having('big-9', [])]);
  expect(await run('pool list')).toMatchObject({ code: 0, out: '', err: 'rsconfig: No pool: rsadm pool add NAME PATH makes one\n' });
});
