// The usual scene of a netlab: a server and a client, each with a card in each of some subnets, 192.168.45.0/24 and so on as in the manual.
// The test configures and starts daemons.

import type { TestNetwork } from '../hosts/hosts.ts';
import type { Machine, Netlab, Segment } from './netlab.ts';

const PREFIX_LENGTH = 24;
const PORT = 5000;
const FIRST_SUBNET = 45;
const SERVER_HOST = 10;
const CLIENT_HOST = 20;

export interface TwoMachines {
  readonly server: Machine;
  readonly client: Machine;
  /** The segments in the order of the subnets. Each machine has the card eth0 in the first segment, eth1 in the second one, and so on. */
  readonly segments: readonly Segment[];
  readonly network: TestNetwork;
}

export async function twoMachines(netlab: Netlab, subnetCount: number): Promise<TwoMachines> {
  const server = await netlab.machine('server');
  const client = await netlab.machine('client');
  const network = subnetsOf(subnetCount);
  const segments: Segment[] = [];
  for (const [index, address] of network.serverAddresses.entries()) {
    const segment = await netlab.segment();
    await server.plug(segment, `eth${index}`, `${address}/${PREFIX_LENGTH}`);
    await client.plug(segment, `eth${index}`, `${network.clientAddresses()[index]}/${PREFIX_LENGTH}`);
    segments.push(segment);
  }
  return { server, client, segments, network };
}

/** Returns the addresses of the subnets. The addresses need no reservation, because they exist only in the namespaces of the machines. */
export function subnetsOf(subnetCount: number): TestNetwork {
  const subnets = Array.from({ length: subnetCount }, (_, index) => ({
    address: (host: number) => `192.168.${FIRST_SUBNET + index}.${host}`,
    release: async () => undefined,
  }));
  return {
    port: PORT,
    subnets,
    serverAddresses: subnets.map((subnet) => subnet.address(SERVER_HOST)),
    clientAddresses: (client = 0) => subnets.map((subnet) => subnet.address(CLIENT_HOST + client)),
  };
}
