// Mirrors with real daemons: two servers with pools, a third server that only votes, and a client. The caller chooses where the daemons
// run, on loopback or on machines of a netlab, and removes the hosts. Invariant: a server is killed with all of its processes.

import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { clientConfig, keyOf, serverConfig } from '../hosts/configs.ts';
import { makeEmptyPool } from '../hosts/empty-pool.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { waitFor } from '../programs/wait-for.ts';

const CLIENT = 'big-2';
const NAMES = ['pi-1', 'pi-2', 'pi-3'];
const WITNESS = 2;
const FIRST_HOST = 10;
const BLOCK_BYTES = 512;
const SOON_MS = 30_000;

/** The hosts and the networks between them. */
export interface MirrorPlaces {
  /** The hosts of the servers. The first two servers get pools, and the third one only votes. */
  readonly servers: readonly Host[];
  readonly client: Host;
  readonly port: number;
  readonly addresses: readonly (readonly string[])[];
  readonly clientAddresses: readonly string[];
}

export interface MirrorOptions {
  readonly poolParent: string;
  /** Keys of `[defaults]` of the client. */
  readonly defaults?: Readonly<Record<string, string>>;
  /** For each volume: the keys of its section in the client's file. */
  readonly volumes?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Hosts on loopback addresses of this machine, with one path from the client to each server. */
export async function loopbackMirrorPlaces(hosts: Hosts): Promise<MirrorPlaces> {
  const network = await hosts.network(1);
  return {
    servers: NAMES.map(() => hosts.host()),
    client: hosts.host(),
    port: network.port,
    addresses: NAMES.map((_, index) => [network.subnets[0]!.address(FIRST_HOST + index)]),
    clientAddresses: network.clientAddresses(),
  };
}

export class MirrorSite {
  readonly client: Host;
  readonly pools: readonly string[];
  private readonly servers: readonly Host[];

  private constructor({ client, servers }: MirrorPlaces, pools: readonly string[]) {
    this.client = client;
    this.servers = servers;
    this.pools = pools;
  }

  /** Starts all daemons, and waits until all paths are up. An action of `onClean` removes the pools. */
  static async start(
    places: MirrorPlaces,
    { poolParent, defaults, volumes }: MirrorOptions,
    onClean: (action: () => void) => void,
  ): Promise<MirrorSite> {
    const { servers, client, port, addresses } = places;
    const pools: string[] = [];
    for (const [index, host] of servers.entries()) {
      const isWitness = index === WITNESS;
      if (!isWitness) {
        const pool = mkdtempSync(join(poolParent, 'rsio-mirror-'));
        onClean(() => rmSync(pool, { recursive: true, force: true }));
        await makeEmptyPool(pool);
        pools.push(pool);
      }
      const text = serverConfig(
        { port, serverAddresses: addresses[index] ?? [] },
        {
          name: NAMES[index]!,
          server: { serverid: String(index + 1), ...(isWitness ? { witness: 'yes' } : {}) },
          volumes: {},
          pools: isWitness ? {} : { fast: { path: pools[index]! } },
          clients: { [CLIENT]: keyOf(CLIENT) },
          rights: { [CLIENT]: 'manage' },
        },
      );
      host.writeConfig('rssrv', text);
      await host.start('rssrv');
    }
    const network = { port, serverAddresses: addresses.flat(), clientAddresses: () => [...places.clientAddresses] };
    const config = clientConfig(network, { serverAddresses: addresses.flat(), defaults: defaults ?? {} });
    const sections = Object.entries(volumes ?? {}).map(sectionOf);
    client.writeConfig('rsiod', [config, ...sections].join(''));
    await client.start('rsiod');
    await client.pathsUp(addresses.flat().length);
    return new MirrorSite(places, pools);
  }

  /** Makes a mirror on the two servers, and attaches it. */
  async addMirror(name: string, sizeBytes: number): Promise<void> {
    const about = { namespace: null, name, universe: 0, sizeBytes, blockSizeBytes: BLOCK_BYTES };
    const servers = NAMES.slice(0, WITNESS);
    await this.client.call('mirror-create', { ...about, servers, witness: NAMES[WITNESS]!, pool: null, request: null });
    await this.client.rsconfigWell('-a', name);
  }

  /** Makes a volume of the first server only, and attaches it. */
  async addVolume(name: string, sizeBytes: number): Promise<void> {
    await this.client.rsconfigWell('volume', 'create', name, '--size', String(sizeBytes), '--server', NAMES[0]!);
    await this.client.rsconfigWell('-a', name);
  }

  /** Whether both replicas are in sync by the last configuration. */
  async isInSync(): Promise<boolean> {
    const { mirrors } = await this.client.call('mirrors', { namespace: null });
    return mirrors.length > 0 && mirrors.every(({ replicas }) => replicas.length === WITNESS && replicas.every(({ inSync }) => inSync));
  }

  async untilInSync(withinMs = SOON_MS): Promise<void> {
    await waitFor(() => this.isInSync(), withinMs, 'both replicas are in sync');
  }

  /** Kills every process of a server at once. */
  kill(index: number): void {
    for (const pid of this.servers[index]!.processes()) process.kill(pid, 'SIGKILL');
  }

  async startAgain(index: number): Promise<void> {
    await this.servers[index]!.start('rssrv');
  }
}

function sectionOf([name, keys]: [string, Readonly<Record<string, string>>]): string {
  return `\n[volume ${name}]\n${Object.entries(keys)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')}`;
}
