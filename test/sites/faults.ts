// The faults of a drill with two sites: kills of every process of replication, and cuts of the paths between the servers. Invariant: a
// fault has ended when its function has resolved: every server that it ended runs again, and every proxy carries again.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { ChaosProxy, Faults } from '../support/faults/chaos-proxy.ts';
import { killServer } from '../support/faults/machine-crash.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Sites } from './site.ts';

const DOWN_MAX_MS = 1_500;
/** Longer than the time after which a silent path counts as dead. */
const LINE_MAX_MS = 6_000;

export interface FaultStage {
  readonly sites: Sites;
  /** In front of the addresses of the source, for the paths between the servers. */
  readonly proxies: readonly ChaosProxy[];
  readonly random: SeededRandom;
}

export interface SiteFault {
  readonly name: string;
  /** Whether commands at the target may fail meanwhile. */
  readonly isAtTarget: boolean;
  run(stage: FaultStage): Promise<void>;
}

/** The process of the peer at the target. Undefined while it has ended. */
function peerOf(host: Host): number | undefined {
  return host.processes().find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('rssrv: peer');
    } catch {
      return false;
    }
  });
}

async function again(host: Host, random: SeededRandom, end: () => Promise<unknown>): Promise<void> {
  await end();
  await sleep(random.int(0, DOWN_MAX_MS));
  await host.start('rssrv');
}

async function line({ proxies, random }: FaultStage, faults: Faults, isCut: boolean): Promise<void> {
  for (const proxy of proxies) {
    proxy.set(faults);
    if (isCut) proxy.cut();
  }
  await sleep(random.int(0, LINE_MAX_MS));
  for (const proxy of proxies) proxy.heal();
}

export const SITE_FAULTS: readonly SiteFault[] = [
  {
    name: 'source: listener killed',
    isAtTarget: false,
    run: ({ sites: { source }, random }) => again(source, random, () => source.kill('rssrv')),
  },
  {
    name: 'source: all killed',
    isAtTarget: false,
    run: ({ sites: { source }, random }) => again(source, random, () => killServer(source)),
  },
  {
    name: 'source: restarted',
    isAtTarget: false,
    run: ({ sites: { source }, random }) => again(source, random, () => source.stop('rssrv')),
  },
  {
    name: 'target: listener killed',
    isAtTarget: true,
    run: ({ sites: { target }, random }) => again(target, random, () => target.kill('rssrv')),
  },
  { name: 'target: all killed', isAtTarget: true, run: ({ sites: { target }, random }) => again(target, random, () => killServer(target)) },
  {
    name: 'target: restarted',
    isAtTarget: true,
    run: ({ sites: { target }, random }) => again(target, random, () => target.stop('rssrv')),
  },
  {
    name: 'target: peer process killed',
    isAtTarget: false,
    run: async ({ sites: { target } }) => {
      const pid = peerOf(target);
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    },
  },
  { name: 'a path cut', isAtTarget: false, run: async ({ proxies, random }) => void random.pick(proxies).cut() },
  {
    name: 'all paths cut',
    isAtTarget: false,
    run: async ({ proxies }) => {
      for (const proxy of proxies) proxy.cut();
    },
  },
  { name: 'line down', isAtTarget: false, run: (stage) => line(stage, { newConnections: 'refuse' }, true) },
  {
    name: 'line silent',
    isAtTarget: false,
    run: (stage) => line(stage, { toServer: { isHalted: true }, toClient: { isHalted: true } }, false),
  },
];
