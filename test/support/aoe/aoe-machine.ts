// A machine in a network namespace with a server, a client and a gate for AoE, and an Ethernet segment of one cable to a host.
// Invariant: the frames of the test stay between the two namespaces.

import type { AoeGateView } from '@rsio/api/rsiod/methods';
import { clientConfig, serverConfig } from '../hosts/configs.ts';
import { emptyPool } from '../hosts/empty-pool.ts';
import type { Host } from '../hosts/host.ts';
import type { TestNetwork } from '../hosts/hosts.ts';
import type { Machine, Netlab } from '../netlab/netlab.ts';
import { runWell } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';

export const SHELF = 7;
export const AOE_CARD = 'aoe0';
const WAIT_MS = 60_000;
const NETWORK: TestNetwork = {
  port: 5000,
  subnets: [],
  serverAddresses: ['127.45.0.10'],
  clientAddresses: () => ['127.45.0.20'],
};

export class AoeMachine {
  readonly machine: Machine;
  readonly host: Host;
  pool = '';

  private constructor(machine: Machine) {
    this.machine = machine;
    this.host = machine.host;
  }

  /** Starts rssrv, with a pool and the volume `oracle` of 16 MiB, and rsiod, which attaches it. */
  static async start(netlab: Netlab): Promise<AoeMachine> {
    const made = new AoeMachine(await netlab.machine('gate'));
    const { host } = made;
    made.pool = await emptyPool(host);
    host.writeConfig('rssrv', serverConfig(NETWORK, { volumes: {}, pools: { fast: { path: made.pool } } }));
    await host.start('rssrv');
    await host.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
    host.writeConfig('rsiod', clientConfig(NETWORK));
    await host.start('rsiod');
    await host.pathsUp(1);
    await host.rsconfigWell('-a', 'oracle');
    return made;
  }

  /** Adds the cable to the other machine. Both ends have the name AOE_CARD. */
  async plug(other: string): Promise<void> {
    const peer = ['peer', 'name', AOE_CARD, 'netns', other, 'mtu', '9000'];
    await this.machine.ip('link', 'add', AOE_CARD, 'mtu', '9000', 'type', 'veth', ...peer);
    await this.machine.ip('link', 'set', AOE_CARD, 'up');
    await runWell('ip', ['-n', other, 'link', 'set', AOE_CARD, 'up']);
  }

  /** Adds the gate, and waits until it answers. */
  async addGate(card: string, ...options: readonly string[]): Promise<void> {
    const offers = options.includes('--offers') ? [] : ['--offers', 'all'];
    await this.host.rsconfigWell(
      'gate',
      'add',
      'boot',
      card,
      '--aoe',
      '--shelf',
      `${SHELF}`,
      '--hosts',
      'all',
      ...offers,
      ...options,
      '--reload',
    );
    await this.answers();
  }

  /** Replaces the gate by one with other options. */
  async changeGate(...options: readonly string[]): Promise<void> {
    await this.host.rsconfigWell('gate', 'remove', 'boot');
    await this.addGate(AOE_CARD, ...options);
  }

  async answers(): Promise<void> {
    await waitFor(async () => (await this.gate()).mac !== null, WAIT_MS, 'The gate has its packet socket');
  }

  async gate(): Promise<AoeGateView> {
    const [gate] = (await this.host.call('gates', {})).aoe ?? [];
    if (gate === undefined) throw new Error('rsiod has no gate for AoE');
    return gate;
  }
}
