// On files, a server that takes a shared pool is killed right after each of its steps. On Ceph RBD, it is frozen there and resumed later.
// Another server must then take the pool, and fence both earlier servers. test/support/drills/farm-drill.ts has the invariants of the data.
// Rules: F4.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { CephCluster, missingForCeph } from '../support/devices/ceph.ts';
import { type FarmEvent, farmDrill } from '../support/drills/farm-drill.ts';
import { stoppedFile, TAKE_STEPS, TAKE_STOPS, type TakeStep } from '../support/faulty-server/take-steps.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';

const NAMES = ['big-9', 'big-8', 'big-7'];
const TEST_MS = 600_000;
const STOPPED_MS = 30_000;
const ENDS_MS = 60_000;
/** Matches the log of a resumed taker that notices that another server has taken the pool. */
const NOTICES = /^Pool fast(: (?!.* is fenced$)| is no longer owned by this server)/m;

const hosts = useHosts('file');

/** Makes a folder. Every server that starts afterwards stops after each step for which this folder has a file. */
function stopsFolder(): string {
  const folder = path.join(hosts.host().root, 'stops');
  mkdirSync(folder);
  process.env[TAKE_STOPS] = folder;
  hosts.onClean(() => void delete process.env[TAKE_STOPS]);
  return folder;
}

/** Kills the owner. Resolves with the server that then takes the pool, once the signal has stopped this server after the step. */
async function takerStops(farm: FarmScene, owner: Host, folder: string, step: TakeStep, signal: NodeJS.Signals): Promise<Host> {
  const said = path.join(folder, stoppedFile(step));
  rmSync(said, { force: true });
  writeFileSync(path.join(folder, step), signal);
  // On a busy machine, an owner may lose the pool and take it again: then it is the owner that has stopped after the step.
  if (owner.processes().length > 0) await owner.kill('rssrv');
  const pid = await waitFor(() => Number(readFileSync(said, 'utf8')), STOPPED_MS, `A taker stops after: ${step}`);
  return farm.servers.find((server) => server.pid('rssrv') === pid)!;
}

it('another server takes the pool of a taker that was killed at any step', { timeout: TEST_MS }, async (context) => {
  const folder = stopsFolder();
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast'], 'faulty');
  const eventOf = (step: TakeStep): FarmEvent => {
    let taker: Host;
    return {
      happens: async (_, owner) => void (taker = await takerStops(farm, owner, folder, step, 'SIGKILL')),
      after: async () => {
        expect(await farm.served('fast')).not.toBe(taker);
        for (const server of farm.servers) if (server.processes().length === 0) await farm.revive(server);
      },
    };
  };
  await farmDrill(hosts, farm, Object.fromEntries(TAKE_STEPS.map((step) => [`taker killed after: ${step}`, eventOf(step)])), 1);
});

it('a taker that stood still at any step and goes on later changes nothing', { timeout: TEST_MS }, async (context) => {
  const missing = missingForCeph();
  context.skip(missing !== null, missing ?? '');
  const folder = stopsFolder();
  const cluster = await CephCluster.start();
  hosts.onClean(() => cluster.remove());
  const farm = await FarmScene.onCeph(hosts, cluster, NAMES, ['fast'], 'faulty');
  const eventOf = (step: TakeStep): FarmEvent => {
    let taker: Host;
    return {
      happens: async (_, owner) => void (taker = await takerStops(farm, owner, folder, step, 'SIGSTOP')),
      after: async (_, owner) => {
        const { length } = taker.log('rssrv');
        process.kill(taker.pid('rssrv'), 'SIGCONT');
        await waitFor(() => NOTICES.test(taker.log('rssrv').slice(length)), ENDS_MS, `The taker ${farm.nameOf(taker)} notices`);
        await waitFor(() => !farm.isMounted(taker, 'fast'), ENDS_MS, `The taker ${farm.nameOf(taker)} has nothing mounted`);
        await farm.revive(owner);
      },
    };
  };
  await farmDrill(hosts, farm, Object.fromEntries(TAKE_STEPS.map((step) => [`taker stood still after: ${step}`, eventOf(step)])), 1);
});
