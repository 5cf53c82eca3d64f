// The machines of the drills, each in its own network namespace with two cards: two servers with a replica, a server that only votes, and
// clients. All durable data of a server is on a disk whose power can be cut. faults.ts has the faults.

import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DeviceHost } from '../support/devices/devices.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import type { Machine, Netlab, Segment } from '../support/netlab/netlab.ts';
import { subnetsOf } from '../support/netlab/two-machines.ts';
import { RELEASE } from '../support/programs/reaper.ts';
import { run } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { CutDisk } from '../support/power-cuts/cut-disk.ts';

export const MIRROR = 'db';
export const MIRROR_BYTES = 768 * 1024 ** 2;
const DISK_BYTES = 2 * 1024 ** 3;
const SERVERS = ['pi-1', 'pi-2', 'pi-3'] as const;
const LINKS = 2;
const CARDS = Array.from({ length: LINKS }, (_, index) => `eth${index}`);
const NETWORK = subnetsOf(LINKS);
const FIRST_SERVER = 10;
const PREFIX_LENGTH = 24;
const ALL = 1000;
/** Folder with the state of rssrv and its pool. */
const STATE = 'var/lib/rsio';
const GONE_MS = 10_000;
const UP_MS = 30_000;

/** A machine whose cards can be silenced in each direction. */
class Cabled {
  readonly name: string;
  readonly machine: Machine;
  readonly addresses: readonly string[];

  constructor(name: string, machine: Machine, addresses: readonly string[]) {
    [this.name, this.machine, this.addresses] = [name, machine, addresses];
  }

  /** Drops the packets that the machine sends if `isOn`; otherwise lets them pass. */
  async mute(isOn: boolean, cards: readonly string[] = CARDS): Promise<void> {
    for (const card of cards) await this.machine.lose(card, isOn ? ALL : 0);
  }

  /** Drops the packets that other machines send to the machine if `isOn`; otherwise lets them pass. `from`: only its packets. */
  async deaf(isOn: boolean, cards: readonly string[] = CARDS, from: Cabled | null = null): Promise<void> {
    for (const card of cards) await this.machine.deafen(card, isOn, from?.addresses ?? []);
  }

  async silent(isOn: boolean, cards: readonly string[] = CARDS): Promise<void> {
    await Promise.all([this.mute(isOn, cards), this.deaf(isOn, cards)]);
  }

  /** The first of the two cards, for faults of a single link. */
  get firstCard(): readonly string[] {
    return CARDS.slice(0, 1);
  }
}

export class ServerMachine extends Cabled {
  readonly host: Host;
  readonly disk: CutDisk;
  readonly hasReplica: boolean;

  constructor(name: string, machine: Machine, addresses: readonly string[], host: Host, disk: CutDisk, hasReplica: boolean) {
    super(name, machine, addresses);
    [this.host, this.disk, this.hasReplica] = [host, disk, hasReplica];
  }

  replicaFile(): string {
    const pool = path.join(this.host.root, STATE, 'pool');
    const files = readdirSync(pool, { recursive: true, encoding: 'utf8' }).map((name) => path.join(pool, name));
    const [data, ...others] = files.filter((file) => statSync(file).isFile() && statSync(file).size === MIRROR_BYTES);
    if (data === undefined || others.length > 0) throw new Error(`${pool} has ${others.length + 1} files of ${MIRROR_BYTES} bytes`);
    return data;
  }
}

export class ClientMachine extends Cabled {
  readonly devices: DeviceHost;
  private readonly position: number;

  constructor(name: string, machine: Machine, devices: DeviceHost, position: number) {
    super(name, machine, NETWORK.clientAddresses(position));
    [this.devices, this.position] = [devices, position];
  }

  get host(): Host {
    return this.devices.host;
  }

  get device(): string {
    return path.join(this.host.root, 'dev/av0', MIRROR);
  }

  configure(): void {
    const addresses = SERVERS.flatMap((_, server) => addressesOf(FIRST_SERVER + server));
    const options = { node: this.name, client: this.position, serverAddresses: addresses, defaults: { device: 'block' } };
    this.host.writeConfig('rsiod', clientConfig(NETWORK, options));
  }

  async start(): Promise<void> {
    await this.host.start('rsiod');
    await this.host.pathsUp(SERVERS.length * LINKS, UP_MS);
  }

  /** Returns all processes of the machine except the one that keeps its mounts. */
  async processes(): Promise<number[]> {
    const { stdout } = await run('ip', ['netns', 'pids', this.machine.command.at(-1)!]);
    const holder = this.devices.command[this.devices.command.indexOf('--target') + 1];
    return stdout
      .split('\n')
      .filter((line) => line !== '' && line !== holder)
      .map(Number);
  }

  /** Stops the processes for this time, and lets them continue afterwards even if this program has ended or is blocked. */
  standStill(pids: readonly number[], seconds: number): void {
    for (const pid of pids) signal(pid, 'SIGSTOP');
    const words = ['-c', 'sleep "$1"; shift; kill -CONT "$@"', 'sh', String(seconds), ...pids.map(String)];
    spawn('sh', words, { detached: true, stdio: 'ignore' }).unref();
  }

  /** Ends the machine abruptly. Afterwards, no file system of the machine is mounted. */
  async end(): Promise<void> {
    const isGone = async (): Promise<boolean> => {
      const left = await this.processes();
      for (const pid of left) signal(pid, 'SIGKILL');
      return left.length === 0;
    };
    await waitFor(isGone, GONE_MS, `No process of ${this.name}`);
    await this.devices.shell(RELEASE, this.host.root);
    // Empties these folders, as a boot does.
    await this.devices.well('rm -rf "$1/dev/av0" "$1/run/rsio"', this.host.root);
  }
}

export interface Site {
  readonly servers: readonly ServerMachine[];
  readonly clients: readonly [ClientMachine, ...ClientMachine[]];
}

/** Makes all machines and starts their daemons. `nodes`: names of the clients. */
export async function makeSite(hosts: Hosts, netlab: Netlab, nodes: readonly string[]): Promise<Site> {
  const segments: Segment[] = [];
  for (const _ of CARDS) segments.push(await netlab.segment());
  // Makes the clients first. A new mount namespace gets copies of all current mounts, and a copy of a server's mount would keep the disk of
  // this server busy.
  const clients: ClientMachine[] = [];
  for (const [position, name] of nodes.entries()) {
    const machine = await plugged(netlab, name, segments, NETWORK.clientAddresses(position));
    const devices = new DeviceHost(hosts, machine.command);
    await devices.ready;
    clients.push(new ClientMachine(name, machine, devices, position));
  }
  const servers: ServerMachine[] = [];
  for (const [index, name] of SERVERS.entries()) servers.push(await makeServer(hosts, netlab, segments, index, name, nodes));
  for (const client of clients) {
    client.configure();
    await client.start();
  }
  const [first, ...others] = clients;
  return { servers, clients: [first!, ...others] };
}

async function makeServer(
  hosts: Hosts,
  netlab: Netlab,
  segments: readonly Segment[],
  index: number,
  name: string,
  nodes: readonly string[],
): Promise<ServerMachine> {
  const addresses = addressesOf(FIRST_SERVER + index);
  const machine = await plugged(netlab, name, segments, addresses);
  // Uses nsenter, because `ip netns exec` would give each process copies of the mounts of other servers.
  const host = hosts.host(['nsenter', `--net=/run/netns/${machine.command.at(-1)}`]);
  const disk = CutDisk.make(hosts, host, DISK_BYTES, STATE);
  if (disk === null) throw new Error('No XFS on a loop device here');
  const hasReplica = index < SERVERS.length - 1;
  const pools = hasReplica ? { fast: { path: await emptyPool(host, `${STATE}/pool`), reserve: '0%' } } : {};
  const text = serverConfig(
    { port: NETWORK.port, serverAddresses: addresses },
    {
      name,
      server: { serverid: String(index + 1), ...(hasReplica ? {} : { witness: 'yes' }) },
      volumes: {},
      pools,
      clients: Object.fromEntries(nodes.map((node) => [node, keyOf(node)])),
      rights: Object.fromEntries(nodes.map((node) => [node, 'manage'])),
    },
  );
  host.writeConfig('rssrv', text);
  await host.start('rssrv');
  return new ServerMachine(name, machine, addresses, host, disk, hasReplica);
}

async function plugged(netlab: Netlab, name: string, segments: readonly Segment[], addresses: readonly string[]): Promise<Machine> {
  const machine = await netlab.machine(name);
  for (const [index, segment] of segments.entries()) await machine.plug(segment, CARDS[index]!, `${addresses[index]}/${PREFIX_LENGTH}`);
  return machine;
}

function addressesOf(host: number): string[] {
  return NETWORK.subnets.map((subnet) => subnet.address(host));
}

export function signal(pid: number, how: NodeJS.Signals): void {
  try {
    process.kill(pid, how);
  } catch {
    // Ignores the error: the process has ended.
  }
}
