// Repeats a representative part of the faults of chaos.test.ts, worker-killed.test.ts and durability.test.ts with encrypted paths. The
// faults occur one after the other at one pair of daemons while fio writes and verifies. Expects no I/O error, every block as written, and
// that both paths come back after each fault. Rules: G22.

import { expect, it } from 'vitest';
import { ENCRYPTED } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needFio } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { MiddlemanScene } from '../support/scenes/middleman-scene.ts';

const NODE = 'big-2';
const SEED = 19;
const SEEN_DEADLINE_MS = 10_000;
const LONGER_THAN_TEST_SECONDS = 120;
const WRITES_MEANWHILE = 100;

const hosts = useHosts();

it('encrypted paths: reset, silent, a killed server process and a restarted server, one after the other', async (context) => {
  needFio(context);
  const scene = await MiddlemanScene.begin(hosts, { defaults: ENCRYPTED, seconds: LONGER_THAN_TEST_SECONDS, seed: SEED });
  const { server, client, proxies } = scene;
  const [first, second] = [proxies[0]!, proxies[1]!];
  const state = async (index: number): Promise<string | undefined> => (await client.call('status', {})).interfaces[index]?.reps[0]?.state;
  const backMs: Record<string, number> = {};

  first.set({ newConnections: 'refuse' });
  expect(first.cut()).toBe(1);
  await scene.until(async () => (await state(0)) === 'down', SEEN_DEADLINE_MS, 'The first path is down');
  await scene.untilWriting(WRITES_MEANWHILE);
  backMs['reset'] = await scene.heal();

  second.set({ toServer: { swallow: true }, toClient: { swallow: true } });
  await scene.until(async () => (await state(1)) !== 'up', SEEN_DEADLINE_MS, 'The second path is suspect');
  await scene.untilWriting(WRITES_MEANWHILE);
  expect((await scene.deaths())[0]).toBe(1);
  backMs['silent'] = await scene.heal();

  const worker = server.worker(NODE);
  process.kill(worker, 'SIGKILL');
  await scene.until(() => server.worker(NODE) !== worker, SEEN_DEADLINE_MS, 'The client has a new server process');
  await scene.untilWriting(WRITES_MEANWHILE);
  backMs['server process killed'] = await scene.heal();

  await server.stop('rssrv');
  await server.start('rssrv');
  await scene.untilWriting(WRITES_MEANWHILE);
  backMs['rssrv restarted'] = await scene.heal();

  const judged = await scene.judged();
  expect(judged.verified).toBeGreaterThan(WRITES_MEANWHILE);
  report('faults of encrypted paths, ms until both were back', { ...backMs, ...judged });
});
