// The usual scene of a test: a running server with volumes and a running client, over their own subnets, with all paths up. The test
// attaches volumes and makes faults.

import { type ClientConfigOptions, type ServerConfigOptions, startClient, startServer } from './configs.ts';
import type { Host } from './host.ts';
import type { Hosts, TestNetwork } from './hosts.ts';

export interface Pair {
  readonly server: Host;
  readonly client: Host;
  readonly network: TestNetwork;
}

/**
 * `volumes` gets the host of the server, so that it can make files for the volumes, and returns the volumes. `subnets`: number of subnets;
 * default 2.
 */
export async function startPair(
  hosts: Hosts,
  volumes: (server: Host) => ServerConfigOptions['volumes'],
  options: ClientConfigOptions & { readonly subnets?: number } = {},
): Promise<Pair> {
  const pair = { server: hosts.host(), client: hosts.host(), network: await hosts.network(options.subnets ?? 2) };
  await startServer(pair.server, pair.network, { volumes: volumes(pair.server) });
  await startClient(pair.client, pair.network, options);
  return pair;
}
