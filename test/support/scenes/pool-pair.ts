// A server with a pool that can make snapshots, and a client with the right to manage the volumes of the server. Skips the test without
// root, loop devices or xfsprogs, because a snapshot needs reflink.

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'vitest';
import { reflinkDisk } from '../devices/reflink-disk.ts';
import { startClient, startServer } from '../hosts/configs.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';

/** Starts rssrv with the pool `fast`, and rsiod of the client big-2. */
export async function startPoolPair(hosts: Hosts, context: TestContext): Promise<{ readonly server: Host; readonly client: Host }> {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const pool = path.join(reflinkDisk(hosts, server, context), 'pool');
  mkdirSync(pool);
  await startServer(server, network, { volumes: {}, rights: { 'big-2': 'manage' } });
  await server.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  await startClient(client, network);
  return { server, client };
}
