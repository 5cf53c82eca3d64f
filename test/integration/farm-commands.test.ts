// Commands about shared pools, with three servers over one file: a pool that grows under I/O, `rsconfig farm` on a client, the proposals of
// `rsadm farm balance`, and the resource agent for Pacemaker. packages/rssrv/src/farm/shared-pool.test.ts has the orders of events.

import { chmodSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { farmDrill, GROW, KILL, MOVE } from '../support/drills/farm-drill.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { launcher, run } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { COPIED, COPIES_END_MS, FarmScene } from '../support/scenes/farm-scene.ts';

const NAMES = ['big-9', 'big-8', 'big-7'];
const AGENT = fileURLToPath(new URL('../../packaging/ocf-pool', import.meta.url));
const KNOWN_MS = 30_000;
const AGENT_MS = 180_000;
const PROPOSED_MS = 60_000;
const BLOCK = Buffer.alloc(4_096, 'x');

const hosts = useHosts('file');

it('a pool grows with its disk while a client writes, and goes on at the next owners', { timeout: 200_000 }, async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast']);
  await farmDrill(hosts, farm, { grow: GROW, move: MOVE, 'killed server': KILL }, 1);
});

it('balance knows the load at every server, and proposes a move that relieves the owner', { timeout: 200_000 }, async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast', 'slow']);
  const [owner, other] = farm.servers as [Host, Host, Host];
  for (const pool of ['fast', 'slow']) if ((await farm.served(pool)) !== owner) await farm.movePool(owner, pool, farm.nameOf(owner));
  const isKnown = async (): Promise<boolean> => !(await other.rsadm('farm', 'balance')).stderr.includes('not known');
  await waitFor(isKnown, KNOWN_MS, 'The loads are known');
  expect(await other.rsadm('farm', 'balance')).toMatchObject({
    code: 0,
    stdout: 'SERVER  LOAD  AFTER\nbig-9      0      0\nbig-8      0      0\nbig-7      0      0\n',
    stderr: 'rsadm: No move would relieve a server much\n',
  });
  for (const pool of ['fast', 'slow']) await owner.rsadmWell('volume', 'create', `in-${pool}`, '--size', '1m', '--pool', pool);
  await waitFor(async () => (await farm.holder.rsconfig('-q')).stdout.includes('in-slow'), KNOWN_MS, 'The client sees the volumes');
  await farm.holder.rsconfigWell('-a', 'in-fast', 'in-slow');
  const ios = await Promise.all(['in-fast', 'in-slow'].map((name) => NbdIo.open(farm.holder.rsiodPaths.nbdSocket, `osl/${name}`)));
  let isOver = false;
  const load = Promise.allSettled(
    ios.map(async (io) => {
      while (!isOver) await io.write(0, BLOCK);
      io.close();
    }),
  );
  let said = '';
  const proposes = async (): Promise<boolean> => (said = await other.rsadmWell('farm', 'balance')).includes('pool move');
  await waitFor(proposes, PROPOSED_MS, 'A move is proposed');
  isOver = true;
  expect((await load).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  expect(said).toMatch(/^SERVER +LOAD +AFTER\nbig-9 +\d+ +\d+\nbig-8 +0 +\d+\nbig-7 +0 +0\nrsadm pool move (fast|slow) --to big-8\n$/);
  // The command has moved nothing.
  for (const pool of ['fast', 'slow']) expect(await farm.served(pool)).toBe(owner);
});

it('rsconfig farm shows a client with the right admin what rsadm farm shows', async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast']);
  const owner = await farm.served('fast');
  const refusals = async (): Promise<number> => {
    const { code, stdout, stderr } = await farm.holder.rsconfig('farm');
    expect([code, stdout]).toEqual([1, '']);
    return stderr.split('its right is use, and admin is needed').length - 1;
  };
  await waitFor(async () => (await refusals()) === NAMES.length, KNOWN_MS, 'All servers refuse');
  await owner.rsadmWell('client', 'rights', 'big-2', 'admin');
  const still = (text: string): string => text.replaceAll(/\d+\.\d s/g, 'x s');
  const { code, stdout } = await farm.holder.rsconfig('farm');
  expect([code, still(stdout)]).toEqual([0, still(await owner.rsadmWell('farm'))]);
});

/**
 * Runs the agent on a server, as Pacemaker does. Returns the exit code, and the reason for Pacemaker. While programs of other tests have
 * copies of the mount, a start or a stop fails, and is tried again.
 */
async function agent(server: Host, action: string): Promise<readonly [number | null, string]> {
  const tried = async (): Promise<readonly [number | null, string] | null> => {
    const outcome = await agentOnce(server, action);
    return COPIED.test(outcome[1]) ? null : outcome;
  };
  return await waitFor(tried, COPIES_END_MS, 'Copies of the mount end');
}

async function agentOnce(server: Host, action: string): Promise<readonly [number | null, string]> {
  const rsadm = server.file('rsadm');
  writeFileSync(rsadm, `#!/bin/sh\nexec '${process.execPath}' '${launcher('rsadm')}' --root '${server.root}' "$@"\n`);
  chmodSync(rsadm, 0o755);
  const env = { OCF_RESKEY_name: 'fast', OCF_RESKEY_rsadm_path: rsadm };
  const { code, stderr } = await run(AGENT, [action], { env, timeoutMs: AGENT_MS });
  return [code, stderr.replace('ocf-exit-reason:', '').trim()];
}

it('with the resource agent, Pacemaker decides who serves a pool, and no server does', { timeout: 200_000 }, async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast']);
  const [first, second, third] = farm.servers as [Host, Host, Host];
  const codes = async (action: string): Promise<(number | null)[]> =>
    (await Promise.all(farm.servers.map((server) => agent(server, action)))).map(([code]) => code);
  expect(await agent(first, 'validate-all')).toEqual([
    2,
    'servers take pool fast by themselves: rsadm pool set fast take-over-after=never',
  ]);
  for (const server of farm.servers) await server.rsadmWell('pool', 'set', 'fast', 'take-over-after=never');
  expect(await codes('validate-all')).toEqual([0, 0, 0]);
  const owner = await farm.served('fast');
  expect(await codes('monitor')).toEqual(farm.servers.map((server) => (server === owner ? 0 : 7)));
  expect(await agent(owner, 'stop')).toEqual([0, '']);
  expect([await codes('monitor'), await codes('stop'), farm.isMounted(owner, 'fast')]).toEqual([[7, 7, 7], [0, 0, 0], false]);
  expect(await agent(second, 'start')).toEqual([0, '']);
  expect(await codes('monitor')).toEqual([7, 0, 7]);
  expect(await agent(second, 'start')).toEqual([0, '']);
  // If a server serves the pool, a start on another server moves the pool.
  expect(await agent(third, 'start')).toEqual([0, '']);
  expect(await codes('monitor')).toEqual([7, 7, 0]);
  await third.rsadmWell('volume', 'create', 'db', '--size', '1m', '--pool', 'fast');
  await third.kill('rssrv');
  expect(await agent(third, 'monitor')).toEqual([7, '']);
  expect(await agent(first, 'start')).toEqual([0, '']);
  // The server owns the pool as soon as the record says so, and opens the volumes of the pool afterwards.
  await waitFor(async () => (await first.rsadmWell('volume', 'list')).includes('db@0'), 10_000, 'The volumes are served');
  await farm.revive(third);
  expect(await codes('monitor')).toEqual([0, 7, 7]);
  // After an orderly stop of the server, no other server takes the pool until Pacemaker decides.
  await first.stop('rssrv');
  expect([await agent(first, 'monitor'), await agent(first, 'start')]).toEqual([
    [7, ''],
    [1, 'rssrv does not run here: start it before Pacemaker'],
  ]);
  expect(await codes('monitor')).toEqual([7, 7, 7]);
  expect(await agent(third, 'start')).toEqual([0, '']);
  expect(await codes('monitor')).toEqual([7, 7, 0]);
});
