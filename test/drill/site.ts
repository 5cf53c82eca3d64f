// The daemons of the drill: two servers with two pools each on file systems with reflink, a witness, and a client. Invariant: a fault is
// over only when every daemon that it has ended is running again.

import path from 'node:path';
import { mkdirSync } from 'node:fs';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { makeEmptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { workersOf } from '../support/hosts/served-by.ts';
import { type RunResult, wellOf } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

export const SERVERS = ['pi-1', 'pi-2', 'pi-3'] as const;
export const POOLS = ['a', 'b'] as const;
const WITNESS = 2;
const CLIENT = 'big-2';
const FIRST_HOST = 10;
const POOL_DISK_BYTES = 2 * 1024 ** 3;
const ATTACHED_MS = 30_000;

export const FAULTS = ['server killed', 'listener killed', 'server process killed', 'rsiod killed'] as const;
export type Fault = (typeof FAULTS)[number];

export class DrillSite {
  readonly client: Host;
  readonly servers: readonly Host[];
  readonly backups: string;

  private constructor(client: Host, servers: readonly Host[]) {
    this.client = client;
    this.servers = servers;
    this.backups = client.file('backups');
    mkdirSync(this.backups);
  }

  /** Returns null if this machine can mount no file system with reflink. */
  static async start(hosts: Hosts): Promise<DrillSite | null> {
    const network = await hosts.network(1);
    const { port } = network;
    const addresses = SERVERS.map((_, index) => network.subnets[0]!.address(FIRST_HOST + index));
    const servers = SERVERS.map(() => hosts.host());
    const client = hosts.host();
    for (const [index, host] of servers.entries()) {
      const pools: Record<string, Record<string, string>> = {};
      for (const pool of index === WITNESS ? [] : POOLS) {
        const mount = makeReflinkDisk(hosts, host, POOL_DISK_BYTES, 'xfs', `disk-${pool}`);
        if (mount === null) return null;
        const folder = path.join(mount, 'pool');
        mkdirSync(folder);
        await makeEmptyPool(folder);
        pools[pool] = { path: folder };
      }
      const text = serverConfig(
        { port, serverAddresses: [addresses[index]!] },
        {
          name: SERVERS[index]!,
          server: { serverid: String(index + 1), ...(index === WITNESS ? { witness: 'yes' } : {}) },
          volumes: {},
          pools,
          clients: { [CLIENT]: keyOf(CLIENT) },
          rights: { [CLIENT]: 'manage' },
        },
      );
      host.writeConfig('rssrv', text);
      await host.start('rssrv');
    }
    const clientNetwork = { port, serverAddresses: addresses, clientAddresses: () => network.clientAddresses() };
    client.writeConfig('rsiod', clientConfig(clientNetwork, { serverAddresses: addresses }));
    await client.start('rsiod');
    await client.pathsUp(addresses.length);
    return new DrillSite(client, servers);
  }

  /** Runs `rsconfig ARGS`, which must succeed. */
  async order(...args: readonly string[]): Promise<string> {
    return wellOf(`rsconfig ${args.join(' ')}`, await this.client.rsconfig(...args));
  }

  tryOrder(...args: readonly string[]): Promise<RunResult> {
    return this.client.rsconfig(...args);
  }

  async attach(name: string, ...options: readonly string[]): Promise<void> {
    await this.order('-a', name, ...options);
    await this.untilAttached(name);
  }

  async untilAttached(name: string): Promise<void> {
    const isThere = async (): Promise<boolean> => {
      const nbd = await NbdIo.open(this.client.rsiodPaths.nbdSocket, `osl/${name}`);
      nbd.close();
      return true;
    };
    await waitFor(isThere, ATTACHED_MS, `${name} is attached`);
  }

  /** Reads the whole content of an attached volume or snapshot. */
  async read(name: string): Promise<Buffer> {
    const nbd = await NbdIo.open(this.client.rsiodPaths.nbdSocket, `osl/${name}`, ATTACHED_MS);
    return nbd.whole().finally(() => nbd.close());
  }

  async fault(fault: Fault, server: number): Promise<void> {
    const host = this.servers[server]!;
    if (fault === 'rsiod killed') {
      await this.client.kill('rsiod');
      await this.client.start('rsiod');
    } else if (fault === 'server killed') {
      for (const pid of host.processes()) process.kill(pid, 'SIGKILL');
      await waitFor(() => host.processes().length === 0, ATTACHED_MS, 'the processes of the server are gone');
      await host.start('rssrv');
    } else if (fault === 'listener killed') {
      await host.kill('rssrv');
      await host.start('rssrv');
    } else {
      const [worker] = workersOf(host);
      if (worker !== undefined) process.kill(worker, 'SIGKILL');
    }
    await this.client.pathsUp(SERVERS.length, ATTACHED_MS);
  }

  logs(): string {
    const all: readonly (readonly [Host, 'rssrv' | 'rsiod'])[] = [
      ...this.servers.map((host) => [host, 'rssrv'] as const),
      [this.client, 'rsiod'],
    ];
    return all.map(([host, program]) => `--- ${program} ${host.root}\n${host.log(program).split('\n').slice(-60).join('\n')}\n`).join('');
  }
}
