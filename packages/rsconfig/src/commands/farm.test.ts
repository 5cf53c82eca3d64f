// Tests `rsconfig farm`: one table from the answers of all servers, and the messages about servers that did not answer.
// test/integration/farm-commands.test.ts compares it with `rsadm farm` of real servers.

import type { SharedPoolView } from '@rsio/api/views/views';
import { RsError } from '@rsio/base/lib/errors';
import { sharedPool } from '@rsio/api/testing/server-views';
import { expect, test } from 'vitest';
import { run } from '../testing/rsconfig-run.ts';
import { asked, DOWN, machine, serve, useServerVolumes } from '../testing/server-volumes-scene.ts';

useServerVolumes();

const HEAD = 'POOL  DISK           OWNER  GENERATION                      SINCE  HEARTBEAT  NEXT   STATE\n';
const FAST = 'fast  rbd:rsio/fast  big-9          17  1970_01_01-00:00:00 (GMT)      0.4 s  big-8  serving\n';

const teller = (server: string, pools: readonly SharedPoolView[], namespace = 'osl') =>
  machine(server, { 'farm-show': () => ({ server, pools }) }, {}, namespace);
const failing = (server: string, error: RsError) =>
  machine(server, {
    'farm-show': () => {
      throw error;
    },
  });
const RIGHTS = new RsError('E_RIGHTS', 'Client big-2 may not see farms: its right is use, and admin is needed');

test('has the table of rsadm farm; of several answers, that of the owner counts, and of the newest generation', async () => {
  const old = sharedPool({ isHere: false, generation: 16, owner: 'big-8' });
  const watching = sharedPool({ isHere: false, heartbeatMs: 1_300 });
  await serve([teller('big-7', [old]), teller('big-8', [watching]), teller('big-9', [sharedPool()]), teller('big-6', [watching])]);
  expect(await run('farm')).toEqual({ code: 0, out: HEAD + FAST, err: '' });
  expect(asked).toHaveLength(4);
  const { code, out } = await run('farm --json');
  expect([code, JSON.parse(out)]).toEqual([0, { pools: [{ namespace: 'osl', server: 'big-9', pool: sharedPool() }], silent: [] }]);
});

test('a pool that no server serves is explained, and the exit code is 1', async () => {
  await serve([teller('big-9', [sharedPool({ state: 'taking', why: 'it waits for the fence of big-8' })])]);
  expect(await run('farm')).toMatchObject({ code: 1, err: 'rsconfig: Pool fast: it waits for the fence of big-8\n' });
  expect((await run('farm --json')).code).toBe(1);
});

test('a server that is down or refuses is named', async () => {
  const refused = failing('big-8', RIGHTS);
  await serve([teller('big-9', [sharedPool()]), DOWN, refused]);
  const err = `rsconfig: Server big-7 of osl is down: Connection refused\nrsconfig: ${RIGHTS.message}\n`;
  expect(await run('farm')).toEqual({ code: 0, out: HEAD + FAST, err });
});

test('if no server has answered, the exit code is 1', async () => {
  const err = `rsconfig: Server big-7 of osl is down: Connection refused\nrsconfig: ${RIGHTS.message}\n`;
  await serve([DOWN, failing('big-8', RIGHTS)]);
  expect(await run('farm')).toEqual({ code: 1, out: '', err });
  const { code, out } = await run('farm --json');
  expect([code, (JSON.parse(out) as { silent: { server: string }[] }).silent.map(({ server }) => server)]).toEqual([1, ['big-7', 'big-8']]);
});

test('pools of two namespaces have the namespace before their names', async () => {
  await serve([teller('big-9', [sharedPool()]), teller('big-5', [sharedPool({ disk: 'rbd:lab/fast' })], 'lab')]);
  expect((await run('farm')).out).toMatch(/^POOL .*\nosl:fast .*\nlab:fast .*\n$/);
  expect((await run('farm --namespace lab')).out).toMatch(/^POOL .*\nfast +rbd:lab.*\n$/);
});

test('without a shared pool it says so', async () => {
  await serve([teller('big-9', [])]);
  expect(await run('farm')).toEqual({ code: 0, out: '', err: 'rsconfig: No server has a shared pool\n' });
});
