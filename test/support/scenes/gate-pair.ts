// Two gates of one name, as on two machines, for one volume `oracle` of a server with a pool. Each gate is a client with a root of its own.
// Invariant: when the scene has begun, the first gate has the volume, and the second one shows it as a standby.

import type { ProxyEnd } from '../faults/chaos-proxy.ts';
import { keyOf, serverConfig, startClient } from '../hosts/configs.ts';
import { emptyPool } from '../hosts/empty-pool.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts, TestNetwork } from '../hosts/hosts.ts';
import { freePort } from '../hosts/loopback.ts';
import { waitFor } from '../programs/wait-for.ts';

const NODES = ['big-2', 'venus'] as const;
const WAIT_MS = 60_000;
/** `mars` is no gate. */
const clients = Object.fromEntries([...NODES, 'mars'].map((node) => [node, keyOf(node)]));

/** The number of a gate in this scene, counted from 0. The `member` of the gate is this number plus 1. */
export type GateIndex = 0 | 1;

export class GatePair {
  readonly network: TestNetwork;
  readonly server: Host;
  readonly gates: readonly [Host, Host];
  /** Where each gate listens for hosts. */
  readonly targets: readonly [ProxyEnd, ProxyEnd];
  nqn = '';

  private constructor(hosts: Hosts, network: TestNetwork, targets: readonly [ProxyEnd, ProxyEnd]) {
    this.network = network;
    this.server = hosts.host();
    this.gates = [hosts.host(), hosts.host()];
    this.targets = targets;
  }

  /**
   * `serverAddresses`: where the second gate looks for the server; default: the addresses of the server. `options`: further options of
   * gate add.
   */
  static async begin(
    hosts: Hosts,
    network: TestNetwork,
    serverAddresses?: readonly string[],
    options: readonly string[] = [],
  ): Promise<GatePair> {
    const [address = ''] = network.clientAddresses();
    const targets = [
      { address, port: await freePort(address) },
      { address, port: await freePort(address) },
    ] as const;
    const pair = new GatePair(hosts, network, targets);
    const { server, gates } = pair;
    const pool = await emptyPool(server);
    server.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: { fast: { path: pool } }, clients }));
    await server.start('rssrv');
    await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
    for (const [at, gate] of gates.entries()) {
      const relayed = at === 1 && serverAddresses !== undefined ? { serverAddresses } : {};
      await startClient(gate, network, { node: NODES[at]!, client: at, ...relayed });
      const { port } = targets[at]!;
      const keys = ['--hosts', 'all', '--offers', 'oracle', '--member', String(at + 1), ...options, '--reload'];
      await gate.rsconfigWell('gate', 'add', 'pair', `${address}:${port}`, ...keys);
    }
    await waitFor(async () => (await gates[0].rsconfig('-q')).stdout.includes('oracle'), WAIT_MS, 'The client sees the volume');
    await gates[0].rsconfigWell('-a', 'oracle');
    pair.nqn = (await pair.viewOf(0)).nqn;
    await pair.isIn(1, 'standby');
    return pair;
  }

  async viewOf(at: GateIndex) {
    const [found] = (await this.gates[at].call('gates', {})).gates;
    return found ?? { nqn: '', hosts: [], listening: [], volumes: [] };
  }

  /** Resolves when a gate shows the volume in this state. */
  async isIn(at: GateIndex, state: string): Promise<void> {
    const isThere = async (): Promise<boolean> => (await this.viewOf(at)).volumes.some((one) => one.state === state);
    await waitFor(isThere, WAIT_MS, `The volume is ${state} at gate ${at + 1}`);
  }

  /** Returns the gate that has the volume. */
  async active(): Promise<GateIndex> {
    const isActive = async (at: GateIndex): Promise<boolean> => (await this.viewOf(at)).volumes.some(({ state }) => state === 'active');
    return (await isActive(0)) ? 0 : 1;
  }
}
