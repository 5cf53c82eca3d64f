// Faults of one server, or of rsiod on the client that has the mirror. All random choices come from a seed. Invariant: after a fault, the
// machine works as before the fault. Only the replica may lack writes that the machine has missed.

import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { emptyRun, killServer, serverFreezer } from '../support/faults/machine-crash.ts';
import { type ClientMachine, type ServerMachine, signal } from './machines.ts';

export interface ServerFault {
  readonly name: string;
  /** Whether the fault is only for servers with a replica. */
  readonly needsReplica?: boolean;
  /** Makes the fault, and resolves when it is over. `node`: node name of the client that has the mirror. */
  strike(server: ServerMachine, random: SeededRandom, node: string): Promise<void>;
}

export interface ClientFault {
  readonly name: string;
  strike(client: ClientMachine, random: SeededRandom): Promise<void>;
}

export const SERVER_FAULTS: readonly ServerFault[] = [
  {
    name: 'kill -9',
    strike: async ({ host }, random) => {
      await killServer(host);
      await sleep(random.int(200, 6_000));
      await host.start('rssrv');
    },
  },
  { name: 'power cut', strike: powerCut },
  {
    name: 'cut off',
    strike: async (server, random) => {
      await server.silent(true);
      await sleep(random.int(1_000, 9_000));
      await server.silent(false);
    },
  },
  {
    name: 'SIGSTOP',
    strike: async ({ host }, random) => {
      const pids = host.processes();
      for (const pid of pids) signal(pid, 'SIGSTOP');
      await sleep(random.int(2_000, 10_000));
      for (const pid of pids) signal(pid, 'SIGCONT');
    },
  },
  {
    name: 'hears nothing',
    strike: async (server, random) => {
      await server.deaf(true);
      await sleep(random.int(1_000, 9_000));
      await server.deaf(false);
    },
  },
  {
    name: 'power cut twice',
    strike: async (server, random, node) => {
      await powerCut(server, random, node);
      // After this pause, the second fault may hit the server while its replica is being copied.
      await sleep(random.int(0, 3_000));
      await powerCut(server, random, node);
    },
  },
  {
    name: 'is not heard',
    strike: async (server, random) => {
      await server.mute(true);
      await sleep(random.int(1_000, 9_000));
      await server.mute(false);
    },
  },
  {
    name: 'disk fails',
    strike: async ({ host, disk }, random) => {
      await disk.cut(random.chance(0.3));
      await sleep(random.int(0, 3_000));
      await killServer(host);
      await disk.mount();
      emptyRun(host);
      await host.start('rssrv');
    },
  },
  {
    name: 'process of the session killed',
    needsReplica: true,
    strike: async ({ host }, _, node) => process.kill(host.worker(node), 'SIGKILL') && undefined,
  },
  {
    name: 'one link cut',
    strike: async (server, random) => {
      await server.silent(true, server.firstCard);
      await sleep(random.int(1_000, 9_000));
      await server.silent(false, server.firstCard);
    },
  },
];

export const CLIENT_FAULTS: readonly ClientFault[] = [
  { name: 'rsiod killed', strike: async ({ host }) => process.kill((await host.call('daemon', {})).pid, 'SIGKILL') && undefined },
  { name: 'rsiod restarted', strike: async ({ host }) => void (await host.rsconfigWell('restart')) },
  {
    name: 'rsiod stands still',
    strike: async (client, random) => {
      const [{ pid }, lasts] = [await client.host.call('daemon', {}), random.int(2, 8)];
      client.standStill([pid], lasts);
      await sleep(lasts * 1_000);
    },
  },
];

/** The machine falls silent, its unsynced data is lost, and after a while it starts again. */
async function powerCut(server: ServerMachine, random: SeededRandom, _node: string): Promise<void> {
  const { host, disk } = server;
  const freeze = serverFreezer(host);
  await server.silent(true);
  freeze();
  await disk.cut(random.chance(0.3));
  await killServer(host);
  await sleep(random.int(200, 6_000));
  await disk.mount();
  emptyRun(host);
  await server.silent(false);
  await host.start('rssrv');
}
