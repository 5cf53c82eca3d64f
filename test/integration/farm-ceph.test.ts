// A shared pool on Ceph RBD moves between three servers while a client writes. Earlier owners return as zombies: resumed servers that were
// frozen, servers of which only the listener was frozen, and servers that were cut off from the storage but not from the network of their
// clients. RUNS: rounds.

import { expect, it } from 'vitest';
import { CephCluster, missingForCeph } from '../support/devices/ceph.ts';
import { type FarmEvent, farmDrill, KILL, MOVE, STOP } from '../support/drills/farm-drill.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import type { Host } from '../support/hosts/host.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';

const NAMES = ['big-9', 'big-8', 'big-7'];
const RUNS = Number(process.env['RUNS'] ?? 1);
const ENDS_MS = 60_000;

/** Resumes a zombie, which must notice that it no longer owns the pool, and unmount it. */
async function wakes(farm: FarmScene, zombie: Host, which: 'all' | 'storage' = 'all'): Promise<void> {
  farm.signal(zombie, 'SIGCONT', which);
  await waitFor(() => !farm.isMounted(zombie, 'fast'), ENDS_MS, `The zombie ${farm.nameOf(zombie)} has unmounted the pool`);
  expect(zombie.log('rssrv')).toMatch(/Pool fast is no longer owned by this server/);
}

const FROZEN: FarmEvent = { happens: (farm, owner) => farm.signal(owner, 'SIGSTOP'), after: (farm, owner) => wakes(farm, owner) };

const LISTENER_FROZEN: FarmEvent = {
  happens: (_, owner) => void process.kill(owner.pid('rssrv'), 'SIGSTOP'),
  after: (farm, owner) => wakes(farm, owner),
};

const CUT_OFF: FarmEvent = {
  happens: (farm, owner) => farm.signal(owner, 'SIGSTOP', 'storage'),
  after: (farm, owner) => wakes(farm, owner, 'storage'),
};

const hosts = useHosts('file');

const DAEMON_KILLED: FarmEvent = { mayReturn: true, happens: (farm, owner) => farm.signal(owner, 'SIGKILL', 'daemon') };

it('on Ceph RBD the holder of a volume goes on, and no zombie is seen', { timeout: RUNS * 400_000 }, async (context) => {
  const missing = missingForCeph();
  context.skip(missing !== null, missing ?? '');
  const cluster = await CephCluster.start();
  hosts.onClean(() => cluster.remove());
  const farm = await FarmScene.onCeph(hosts, cluster, NAMES, ['fast']);
  const events = {
    move: MOVE,
    'killed server': KILL,
    'frozen server that goes on': FROZEN,
    'frozen listener that goes on': LISTENER_FROZEN,
    'server cut off from the storage': CUT_OFF,
    'killed storage daemon': DAEMON_KILLED,
    'stopped server': STOP,
  };
  await farmDrill(hosts, farm, events, RUNS);
});
