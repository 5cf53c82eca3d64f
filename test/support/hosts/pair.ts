// The usual scene of a test: a running server with volumes and a running client, over subnets of their own, with all paths up. Attaching,
// and all faults, are the test's job.

import { type ClientConfigOptions, type ServerConfigOptions, startClient, startServer } from './configs.ts';
import type { Host } from './host.ts';
import type { Hosts, TestNetwork } from './hosts.ts';

export interface Pair {
  readonly server: Host;
  readonly client: Host;
  readonly network: TestNetwork;
}

/** `volumes`: of the server, given a directory for its files. `subnets`: default 2. */
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
