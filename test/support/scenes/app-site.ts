// A site with several clients: two servers with pools, a third server that only votes, and nodes. All are on loopback, each with a root of
// its own. Invariant: a server or a node is killed with all of its processes.

import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { clientConfig, keyOf, serverConfig } from '../hosts/configs.ts';
import { emptyPool } from '../hosts/empty-pool.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts, TestNetwork } from '../hosts/hosts.ts';

/** Folder of the control groups of version 2; undefined: this machine has none. */
export const CGROUPS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((folder) => existsSync(path.join(folder, 'cgroup.procs')));

const SERVERS = ['pi-1', 'pi-2', 'pi-3'];
const WITNESS = 2;
const FIRST_HOST = 10;
const QUICK = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms' };

export interface AppSiteOptions {
  readonly nodes: readonly string[];
  /** Further keys of `[defaults]` of the nodes. */
  readonly defaults?: Readonly<Record<string, string>>;
  /** Text at the end of the configuration of each node. */
  readonly text?: string;
  /** Makes the host of a node; default: a usual host. */
  readonly newNode?: (node: string) => Host;
}

export class AppSite {
  readonly servers: readonly Host[];
  readonly nodes: Readonly<Record<string, Host>>;

  private constructor(servers: readonly Host[], nodes: Readonly<Record<string, Host>>) {
    this.servers = servers;
    this.nodes = nodes;
  }

  static async start(hosts: Hosts, { nodes: names, ...options }: AppSiteOptions): Promise<AppSite> {
    const network = await hosts.network(1);
    const addresses = SERVERS.map((_, index) => network.subnets[0]!.address(FIRST_HOST + index));
    const servers = await Promise.all(SERVERS.map((_, index) => startServer(hosts, network, addresses[index]!, index, names)));
    const startNode = async (node: string, client: number): Promise<[string, Host]> => {
      const host = options.newNode?.(node) ?? hosts.host();
      const config = clientConfig(network, { node, client, serverAddresses: addresses, defaults: { ...QUICK, ...options.defaults } });
      host.writeConfig('rsiod', `${config}\n${options.text ?? ''}`);
      await host.start('rsiod');
      await host.pathsUp(SERVERS.length);
      return [node, host];
    };
    return new AppSite(servers, Object.fromEntries(await Promise.all(names.map(startNode))));
  }

  node(name: string): Host {
    const host = this.nodes[name];
    if (host === undefined) throw new Error(`There is no node ${name}`);
    return host;
  }

  async createMirror(name: string, sizeBytes: number): Promise<void> {
    const about = { namespace: null, name, universe: 0, sizeBytes, blockSizeBytes: 512 };
    const [node] = Object.values(this.nodes);
    await node!.call('mirror-create', {
      ...about,
      servers: SERVERS.slice(0, WITNESS),
      witness: SERVERS[WITNESS]!,
      pool: null,
      request: null,
    });
  }

  killServer(index: number): void {
    kill(this.servers[index]!, 'SIGKILL');
  }
}

/** Signals every process of a host. */
export function kill(host: Host, signal: NodeJS.Signals): void {
  for (const pid of host.processes()) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has just ended.
    }
  }
}

/** Removes the empty control groups of each rsapp that has its own root. */
export function removeAppGroups(): void {
  const folders = CGROUPS === undefined ? [] : readdirSync(CGROUPS).filter((one) => one.startsWith('rsio-applications-'));
  for (const folder of folders.map((name) => path.join(CGROUPS!, name))) {
    const inner = readdirSync(folder).filter((name) => name.startsWith('app-'));
    for (const name of [...inner, '']) {
      try {
        rmdirSync(path.join(folder, name));
      } catch {
        // Processes of another test are in this group.
      }
    }
  }
}

async function startServer(hosts: Hosts, network: TestNetwork, address: string, index: number, nodes: readonly string[]): Promise<Host> {
  const host = hosts.host();
  const isWitness = index === WITNESS;
  const pools = isWitness ? {} : { fast: { path: await emptyPool(host) } };
  const text = serverConfig(
    { port: network.port, serverAddresses: [address] },
    {
      name: SERVERS[index]!,
      server: { serverid: String(index + 1), ...(isWitness ? { witness: 'yes' } : {}) },
      volumes: {},
      pools,
      clients: Object.fromEntries(nodes.map((node) => [node, keyOf(node)])),
      rights: Object.fromEntries(nodes.map((node) => [node, 'manage'])),
    },
  );
  host.writeConfig('rssrv', text);
  await host.start('rssrv');
  return host;
}
