// The machines of the farm drill, each in its own network namespace: three servers with one card for the clients and one for the storage,
// the Ceph cluster, and the clients. Invariants: each card of a server can be cut separately; a power cut leaves no process, mount, loop
// device or cached block of the server.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { mountTable } from '@rsio/base/daemon/mount-table';
import { CephCluster } from '../support/devices/ceph.ts';
import { DeviceHost } from '../support/devices/devices.ts';
import { emptyRun } from '../support/faults/machine-crash.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import type { Machine, Netlab, Segment } from '../support/netlab/netlab.ts';
import { subnetsOf } from '../support/netlab/two-machines.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { messagesOf } from './parts.ts';

export const SERVERS = ['big-9', 'big-8', 'big-7'] as const;
/** The pools, with the sizes of their images in MiB. */
export const POOLS: Readonly<Record<string, number>> = { fast: 512, slow: 1_536 };
const NETWORK = subnetsOf(1);
const STORAGE = '192.168.46';
const PREFIX_LENGTH = 24;
const [FIRST_SERVER, CEPH] = [10, 5];
const CARDS = { clients: 'eth0', storage: 'eth1' } as const;
const ALL = 1000;
const UP_MS = 30_000;
const SERVED_MS = 60_000;
const GONE_MS = 15_000;

export type Network = keyof typeof CARDS;

export class FarmServer {
  readonly name: string;
  readonly host: Host;
  private readonly machine: Machine;

  constructor(name: string, host: Host, machine: Machine) {
    [this.name, this.host, this.machine] = [name, host, machine];
  }

  /** Drops all packets between this server and one network, or lets them pass again. */
  async cut(network: Network, isOn: boolean): Promise<void> {
    const card = CARDS[network];
    await Promise.all([this.machine.lose(card, isOn ? ALL : 0), this.machine.deafen(card, isOn)]);
  }

  /** Sends a signal to all processes of the machine. */
  signal(how: NodeJS.Signals): void {
    for (const pid of this.host.processes()) signal(pid, how);
  }

  /** Kills the programs below the file systems of the pools. */
  killStorage(): void {
    for (const pid of this.host.processes()) if (isStorage(pid)) signal(pid, 'SIGKILL');
  }

  /** Kills all processes of the machine at once. The kernel keeps the mounts of the machine. */
  async killAll(): Promise<void> {
    const isGone = (): boolean => {
      const left = this.host.processes();
      for (const how of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of left) signal(pid, how);
      return left.length === 0;
    };
    await waitFor(isGone, GONE_MS, `No process of ${this.name}`);
  }

  /** Cuts the power of the machine: from now on, the machine answers nothing and writes nothing back, and all its memory is lost. */
  async powerCut(): Promise<void> {
    for (const pid of this.host.processes()) if (!isStorage(pid)) signal(pid, 'SIGSTOP');
    for (const place of (await this.mounts()).filter(isPool)) {
      const { stderr } = spawnSync('xfs_io', ['-x', '-c', 'shutdown', place], { encoding: 'utf8' });
      // A file system that has already failed cannot be opened.
      if (stderr !== '' && !stderr.includes('Input/output error')) throw new Error(`${place} was not shut down: ${stderr}`);
    }
    await this.end();
    emptyRun(this.host);
  }

  /** Ends all processes, mounts and loop devices of the machine. */
  async end(): Promise<void> {
    await this.killAll();
    const mounts = await this.mounts();
    const [pools, exports] = [mounts.filter(isPool), mounts.filter((mount) => !isPool(mount))];
    for (const place of pools) await unmounted(place);
    // The loop devices are detached before the files of the devices are unmounted, because afterwards a loop device no longer shows its
    // file.
    for (const loop of this.loops()) spawnSync('losetup', ['-d', loop]);
    for (const place of exports) await unmounted(place);
    await waitFor(() => this.loops().length === 0, GONE_MS, `No loop device of ${this.name}`);
  }

  /** True if a pool is mounted on the machine. */
  async hasMounted(pool: string): Promise<boolean> {
    return (await this.mounts()).includes(mountOf(this.host, pool));
  }

  /** The mount points of the machine, the last one first. */
  private async mounts(): Promise<string[]> {
    const places = (await mountTable()).map(({ mountPoint }) => mountPoint);
    return places.filter((place) => place.startsWith(`${this.host.root}/`)).toReversed();
  }

  /** The loop devices over files of the machine. Reads only /sys, because access to a device of a frozen server hangs. */
  private loops(): string[] {
    return readdirSync('/sys/block')
      .filter((name) => textOf(`/sys/block/${name}/loop/backing_file`).startsWith(`${this.host.root}/`))
      .map((name) => `/dev/${name}`);
  }
}

export interface FarmClient {
  readonly name: string;
  readonly host: Host;
}

export interface Site {
  readonly cluster: CephCluster;
  readonly servers: readonly FarmServer[];
  readonly clients: readonly FarmClient[];
  /** The client with a block device. */
  readonly database: FarmClient & { readonly devices: DeviceHost };
  /** Returns the server that took the pool last, and its generation. */
  ownerOf(pool: string): { readonly owner: FarmServer; readonly generation: number };
}

/** Makes all machines, starts their daemons and makes the pools. `takeOverSeconds`: take-over-after of the pools. */
export async function makeSite(hosts: Hosts, netlab: Netlab, clientNames: readonly string[], takeOverSeconds: number): Promise<Site> {
  const segments = { clients: await netlab.segment(), storage: await netlab.segment() };
  // The client with its own mount namespace is made first, because a new namespace gets copies of all mounts.
  const [first = '', ...others] = clientNames;
  const firstMachine = await plugged(netlab, first, segments.clients, 0);
  const devices = new DeviceHost(hosts, firstMachine.command);
  await devices.ready;
  const database = { name: first, host: devices.host, devices };
  const clients: FarmClient[] = [database];
  for (const [index, name] of others.entries()) {
    const machine = await plugged(netlab, name, segments.clients, index + 1);
    clients.push({ name, host: plainHost(hosts, machine) });
  }
  const cluster = await makeCluster(hosts, netlab, segments.storage);
  const servers: FarmServer[] = [];
  for (const index of SERVERS.keys()) servers.push(await makeServer(hosts, netlab, segments, index, clientNames));
  const site: Site = { cluster, servers, clients, database, ownerOf: (pool) => ownerOf(servers, pool) };
  for (const [pool, sizeMib] of Object.entries(POOLS)) await makePool(site, pool, sizeMib, takeOverSeconds);
  for (const [index, { name, host }] of clients.entries()) {
    const device = host === devices.host ? 'block' : 'nbd-socket';
    const addresses = SERVERS.map((_, server) => addressOf(server));
    host.writeConfig('rsiod', clientConfig(NETWORK, { node: name, client: index, serverAddresses: addresses, defaults: { device } }));
    await host.start('rsiod');
    await host.pathsUp(SERVERS.length, UP_MS);
  }
  return site;
}

export function mountOf(host: Host, pool: string): string {
  return path.join(host.root, `srv-${pool}`);
}

async function makeCluster(hosts: Hosts, netlab: Netlab, storage: Segment): Promise<CephCluster> {
  const machine = await netlab.machine('ceph');
  const address = `${STORAGE}.${CEPH}`;
  await machine.plug(storage, CARDS.storage, `${address}/${PREFIX_LENGTH}`);
  const cluster = await CephCluster.start({ command: within(machine), address, network: `${address}/32` });
  hosts.onClean(() => cluster.remove());
  process.env['CEPH_CONF'] = cluster.conf;
  return cluster;
}

async function makeServer(
  hosts: Hosts,
  netlab: Netlab,
  segments: Readonly<Record<Network, Segment>>,
  index: number,
  clientNames: readonly string[],
): Promise<FarmServer> {
  const name = SERVERS[index]!;
  const machine = await netlab.machine(name);
  await machine.plug(segments.clients, CARDS.clients, `${addressOf(index)}/${PREFIX_LENGTH}`);
  await machine.plug(segments.storage, CARDS.storage, `${STORAGE}.${FIRST_SERVER + index}/${PREFIX_LENGTH}`);
  const host = plainHost(hosts, machine);
  const clients = Object.fromEntries(clientNames.map((node) => [node, keyOf(node)]));
  const options = { name, server: { serverid: String(index + 1) }, volumes: {}, clients };
  host.writeConfig('rssrv', serverConfig({ port: NETWORK.port, serverAddresses: [addressOf(index)] }, options));
  await host.start('rssrv');
  const server = new FarmServer(name, host, machine);
  hosts.onClean(() => server.end());
  return server;
}

async function makePool(site: Site, pool: string, sizeMib: number, takeOverSeconds: number): Promise<void> {
  await site.cluster.run('rbd', 'create', `rbd/${pool}`, '--size', String(sizeMib), '--image-feature', 'layering');
  const disk = ['--disk', `rbd:rbd/${pool}`, '--fence', 'rbd', '--owners', SERVERS.join(), '--take-over-after', `${takeOverSeconds}s`];
  for (const { host } of site.servers) await host.rsadmWell('pool', 'add', pool, mountOf(host, pool), ...disk);
  await waitFor(() => site.ownerOf(pool).generation > 0, SERVED_MS, `Pool ${pool} is served`);
}

function ownerOf(servers: readonly FarmServer[], pool: string): { readonly owner: FarmServer; readonly generation: number } {
  const owned = new RegExp(`^Pool ${pool} is owned by this server, generation (\\d+)`);
  const last = servers.map((owner) => {
    const found = messagesOf(owner.host).findLast(({ msg }) => owned.test(msg));
    return { owner, generation: Number(owned.exec(found?.msg ?? '')?.[1] ?? 0) };
  });
  return last.reduce((most, one) => (one.generation > most.generation ? one : most));
}

async function plugged(netlab: Netlab, name: string, segment: Segment, position: number): Promise<Machine> {
  const machine = await netlab.machine(name);
  await machine.plug(segment, CARDS.clients, `${NETWORK.clientAddresses(position)[0]}/${PREFIX_LENGTH}`);
  return machine;
}

/** Makes a host in the network of the machine. `ip netns exec` would give each process copies of the servers' mounts. */
function plainHost(hosts: Hosts, machine: Machine): Host {
  const host = hosts.host(within(machine));
  host.useNoPrefixForCommands();
  return host;
}

function within(machine: Machine): string[] {
  return ['nsenter', `--net=/run/netns/${machine.command.at(-1)}`];
}

function addressOf(server: number): string {
  return NETWORK.subnets[0]!.address(FIRST_SERVER + server);
}

function isPool(mountPoint: string): boolean {
  return path.basename(mountPoint).startsWith('srv-');
}

async function unmounted(place: string): Promise<void> {
  await waitFor(() => spawnSync('umount', [place]).status === 0, GONE_MS, `${place} is unmounted`);
}

function isStorage(pid: number): boolean {
  return textOf(`/proc/${pid}/cmdline`).startsWith('qemu-storage-daemon');
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function signal(pid: number, how: NodeJS.Signals): void {
  try {
    process.kill(pid, how);
  } catch {
    // The process has ended.
  }
}
