// Servers with pools on disks in memory: a pool is local, or lies on a shared disk. Each server is a host of its own with its own address.
// Invariant: the file systems of all pools are made in the same way, and mounted with the same options.

import { setTimeout as after } from 'node:timers/promises';
import { mkdirSync } from 'node:fs';
import { keyOf, startServer } from '@rsio/test/support/hosts/configs';
import type { Host } from '@rsio/test/support/hosts/host';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { waitFor } from '@rsio/test/support/programs/wait-for';
import type { Place, RsioVolume } from '../load/orders.ts';
import { VOLUME } from '../scene.ts';
import { type FarmDisks, mountLocal } from './disks.ts';

/** mkfs.xfs refuses less than 300 MiB. The file of a disk has only the blocks that were written. */
export const DISK_BYTES = 512 * 1024 * 1024;
export const OWNERS = ['big-9', 'big-8'] as const;
/** A fence that proves nothing: no server of the bench takes a pool from another one. */
const FENCE = 'command:/bin/false';
const NODE = 'venus';
const NAMESPACEID = 200;
const SERVED_MS = 30_000;
const READ_AGAIN_MS = 100;

export interface FarmServer {
  readonly host: Host;
  readonly place: Place;
}

/** Starts servers without pools, with the names of OWNERS. */
export async function startServers(hosts: Hosts, disks: FarmDisks, count: number): Promise<FarmServer[]> {
  const network = await hosts.network(count);
  const servers: FarmServer[] = [];
  for (const [index, name] of OWNERS.slice(0, count).entries()) {
    const address = network.serverAddresses[index] ?? '';
    const host = hosts.host();
    disks.users.push(host);
    await startServer(host, { ...network, serverAddresses: [address] }, { name, volumes: {}, server: { serverid: String(index + 1) } });
    servers.push({ host, place: { host: address, port: network.port } });
  }
  return servers;
}

/** Adds a pool on a local file system, and returns its directory. */
export async function addLocalPool({ host }: FarmServer, pool: string, device: string): Promise<string> {
  const directory = host.file(pool);
  mkdirSync(directory);
  mountLocal(device, directory);
  await host.rsadmWell('pool', 'add', pool, directory);
  return directory;
}

/** Adds a pool on a shared disk; the server whose command comes first makes it, and serves it. Returns its directory. */
export async function addSharedPool({ host }: FarmServer, pool: string, device: string, owners: readonly string[]): Promise<string> {
  const directory = host.file(pool);
  await host.rsadmWell('pool', 'add', pool, directory, '--disk', device, '--fence', FENCE, '--owners', owners.join(','));
  return directory;
}

/** Resolves when the server serves the shared pool. */
export async function served({ host }: FarmServer, pool: string): Promise<void> {
  const isServed = async (): Promise<boolean> => {
    const { pools } = JSON.parse((await host.rsadm('farm', '--json')).stdout) as { pools: readonly { name: string; isHere: boolean }[] };
    if (pools.some(({ name, isHere }) => name === pool && isHere)) return true;
    await after(READ_AGAIN_MS);
    return false;
  };
  await waitFor(isServed, SERVED_MS, `Pool ${pool} is served`);
}

/** Makes the volume in the pool, and returns the place where a client opens it. */
export async function addVolume(
  { host, place }: FarmServer,
  pool: string,
  sizeBytes: number,
): Promise<Place & { readonly volume: RsioVolume }> {
  await host.rsadmWell('volume', 'create', VOLUME, '--size', String(sizeBytes), '--pool', pool);
  return { ...place, volume: { kind: 'rsio', namespaceid: NAMESPACEID, nodes: [NODE], nodekey: keyOf(NODE), volumes: [VOLUME] } };
}
