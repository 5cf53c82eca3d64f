// What happens to the application in a round: a fault of its node, a fault of its service, or an order. All random choices come from a seed.
// Invariant: after `heal`, all machines work as before.

import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { ClientMachine, ServerMachine, Site } from '../postgres-mirror/machines.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { type Application, APPLICATION } from './application.ts';

const WAIT_MS = 30_000;
/** A freeze, or a cut from one server, lasts this long. If a freeze is long, another node takes over. */
const FROZEN_SECONDS = [3, 16] as const;
const CUT_MS = [3_000, 9_000] as const;
const FAILED_MS = 1_000;

export interface Scene {
  readonly site: Site;
  readonly app: Application;
  /** The node that has the application. */
  readonly holder: ClientMachine;
  readonly others: readonly ClientMachine[];
  /** A server that is killed at the same moment, or that a fault cuts off. */
  readonly server: ServerMachine;
  readonly random: SeededRandom;
}

export interface Fault {
  readonly name: string;
  /** It is an order, and no failure. */
  readonly isPlanned?: boolean;
  /** The fault ends with the service stopped, and an order then starts it. The measured time begins with this order. */
  readonly endsStopped?: boolean;
  /** The fault leaves a record of failures of the service, which an administrator clears. */
  readonly failsService?: boolean;
  /** Resolves when the old node cannot commit any more, or when the fault is over. Returns what heals it. */
  strike(scene: Scene): Promise<() => Promise<void>>;
}

const nothing = (): Promise<void> => Promise.resolve();

export const FAULTS: readonly Fault[] = [
  {
    name: 'node killed',
    strike: async ({ app, holder }) => {
      await app.crash(holder);
      return () => app.boot(holder);
    },
  },
  {
    name: 'node frozen',
    strike: async ({ holder, random }) => {
      const lasts = random.int(...FROZEN_SECONDS);
      holder.standStill(await holder.processes(), lasts);
      const over = sleep(lasts * 1_000);
      await sleep(FAILED_MS);
      return () => over;
    },
  },
  {
    name: 'cut off from one server',
    strike: async ({ holder, server, random }) => {
      const cut = async (isOn: boolean): Promise<void> => {
        await Promise.all([holder.deaf(isOn, undefined, server), server.deaf(isOn, undefined, holder)]);
      };
      await cut(true);
      await sleep(random.int(...CUT_MS));
      await cut(false);
      return nothing;
    },
  },
  {
    name: 'cut off from all servers',
    strike: async ({ holder }) => {
      await holder.silent(true);
      return () => holder.silent(false);
    },
  },
  {
    name: 'service killed',
    failsService: true,
    strike: async ({ app, holder }) => {
      await app.killService(holder);
      await sleep(FAILED_MS);
      return nothing;
    },
  },
  {
    name: 'service fails on one node',
    failsService: true,
    strike: async ({ app, holder }) => {
      app.setBroken(holder, true);
      const isElsewhere = async (): Promise<boolean> => (await app.view(holder)).on !== holder.name;
      await waitFor(isElsewhere, WAIT_MS, `${holder.name} gives the application away`);
      return async () => app.setBroken(holder, false);
    },
  },
  {
    name: 'service fails on all nodes, app start',
    isPlanned: true,
    endsStopped: true,
    strike: async ({ app, site, holder }) => {
      for (const client of site.clients) app.setBroken(client, true);
      const isStopped = async (): Promise<boolean> => (await app.view(holder)).state === 'stopped';
      await waitFor(isStopped, WAIT_MS, 'It is stopped on all nodes');
      for (const client of site.clients) app.setBroken(client, false);
      return nothing;
    },
  },
  {
    name: 'app move',
    isPlanned: true,
    strike: async ({ app, holder, others, random }) => {
      await app.order(holder, 'move', '--to', random.pick(others).name);
      return nothing;
    },
  },
  {
    name: 'node drain',
    isPlanned: true,
    strike: async ({ holder }) => {
      await holder.host.rsconfigWell('node', 'drain');
      return async () => void (await holder.host.rsconfigWell('node', 'drain', '--end'));
    },
  },
];

/** Starts the stopped application on a node that a seed chooses. */
export async function startAgain({ site, random }: Scene): Promise<void> {
  await random.pick(site.clients).host.rsconfigWell('app', 'start', APPLICATION);
}
