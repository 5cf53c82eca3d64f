// The daemons of the upgrades in place: two servers with a pool on XFS, a witness, a client with devices, a gate and a mounted file system,
// and a client that was lost with its volume. Each host has a folder of programs of its own, which is replaced as a package replaces it.
// Invariant: a host runs one release at any time, apart from daemons that were not restarted yet.

import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { DeviceHost } from '../../../support/devices/devices.ts';
import { makeReflinkDisk } from '../../../support/devices/reflink-disk.ts';
import { killServer } from '../../../support/faults/machine-crash.ts';
import { clientConfig, keyOf, serverConfig } from '../../../support/hosts/configs.ts';
import type { Host } from '../../../support/hosts/host.ts';
import type { Hosts, TestNetwork } from '../../../support/hosts/hosts.ts';
import { freePort } from '../../../support/hosts/loopback.ts';
import { type Running, type RunResult, run, start, wellOf } from '../../../support/programs/programs.ts';
import { waitFor } from '../../../support/programs/wait-for.ts';
import { NbdIo } from '../../../support/io/nbd-io.ts';

export const SERVERS = ['pi-1', 'pi-2', 'pi-3'] as const;
const WITNESS = 2;
/** Names of clients: one with a file system and a gate, one that is lost with its volume, and one that is fenced. */
export const [CLIENT, LOST, FENCED] = ['big-2', 'venus', 'ghost'] as const;
/** The volume that is a device. */
export const MOUNTED = 'files';
const FIRST_ADDRESS = 10;
const DISK_BYTES = 1024 ** 3;
const WAIT_MS = 60_000;
const BESIDE_MS = 3_600_000;

/** The programs of a release, unpacked as a package unpacks them. */
export interface Programs {
  readonly name: string;
  readonly folder: string;
}

export class InPlaceSite {
  readonly client: Host;
  readonly lost: Host;
  readonly servers: readonly Host[];
  readonly devices: DeviceHost;
  private readonly hosts: Hosts;
  private readonly network: TestNetwork;
  private readonly addresses: readonly string[];
  private gatePort = 0;

  private constructor(hosts: Hosts, network: TestNetwork) {
    this.hosts = hosts;
    this.network = network;
    this.servers = SERVERS.map(() => hosts.host());
    this.devices = new DeviceHost(hosts);
    this.client = this.devices.host;
    this.lost = hosts.host();
    this.addresses = SERVERS.map((_, index) => network.subnets[0]!.address(FIRST_ADDRESS + index));
  }

  /** Starts all daemons with these programs. Throws if this machine cannot mount XFS with reflink. */
  static async start(hosts: Hosts, programs: Programs): Promise<InPlaceSite> {
    const site = new InPlaceSite(hosts, await hosts.network(1));
    await site.devices.ready;
    for (const host of [...site.servers, site.client, site.lost]) site.install(host, programs);
    for (const [index, host] of site.servers.entries()) await site.beginServer(index, host);
    for (const [to, from] of [
      [1, 0],
      [0, 1],
    ] as const) {
      const key = site.servers[to]!.file('key');
      writeFileSync(key, keyOf(SERVERS[to]));
      const address = `${site.addresses[from]!}:${site.network.port}`;
      await site.adm(to, 'peer', 'add', SERVERS[from], '--address', address, '--key-file', key);
    }
    const about = { port: site.network.port, serverAddresses: site.addresses };
    for (const [host, node, number, more] of [
      [site.client, CLIENT, 0, `\n[volume ${MOUNTED}]\ndevice = block\n`],
      [site.lost, LOST, 1, ''],
    ] as const) {
      const clientAddresses = (): string[] => site.network.clientAddresses(number);
      const options = { node, serverAddresses: site.addresses, defaults: { stall: 'forever' } };
      host.writeConfig('rsiod', `${clientConfig({ ...about, clientAddresses }, options)}${more}`);
      await site.startDaemon(host, 'rsiod');
    }
    return site;
  }

  private async beginServer(index: number, host: Host): Promise<void> {
    const peers = index === WITNESS ? [] : [SERVERS[1 - index]!];
    const clients = Object.fromEntries([CLIENT, LOST, FENCED, ...peers].map((name) => [name, keyOf(name)]));
    const options = {
      name: SERVERS[index]!,
      server: { serverid: String(index + 1), ...(index === WITNESS ? { witness: 'yes' } : {}) },
      volumes: {},
      clients,
      rights: { [CLIENT]: 'admin', [LOST]: 'use', ...Object.fromEntries(peers.map((peer) => [peer, 'use'])) },
    };
    host.writeConfig('rssrv', serverConfig({ port: this.network.port, serverAddresses: [this.addresses[index]!] }, options));
    await this.startDaemon(host, 'rssrv');
    if (index === WITNESS) return;
    const mount = makeReflinkDisk(this.hosts, host, DISK_BYTES, 'xfs');
    if (mount === null) throw new Error('Needs xfsprogs, and the right to mount a loop device with XFS (root)');
    mkdirSync(path.join(mount, 'pool'));
    await this.adm(index, 'pool', 'add', 'fast', path.join(mount, 'pool'), '--reserve', '0%');
  }

  // --- programs

  /** Replaces the programs of a host. Its daemons go on until they are restarted. */
  install(host: Host, { folder }: Programs): void {
    const [next, now, old] = ['next', 'now', 'old'].map((name) => host.file(`programs/${name}`)) as [string, string, string];
    cpSync(folder, next, { recursive: true, verbatimSymlinks: true });
    if (host.launchers !== null) renameSync(now, old);
    renameSync(next, now);
    rmSync(old, { recursive: true, force: true });
    host.launchers = path.join(now, 'usr/sbin');
  }

  private async startDaemon(host: Host, program: 'rssrv' | 'rsiod'): Promise<void> {
    await host.start(program);
    if (program === 'rsiod') await this.connected(host);
  }

  async replaceServer(index: number, programs: Programs, how: 'stopped' | 'killed'): Promise<void> {
    const host = this.servers[index]!;
    this.install(host, programs);
    if (how === 'stopped') await host.stop('rssrv');
    await killServer(host);
    await this.startDaemon(host, 'rssrv');
    await this.connected(this.client);
  }

  /** As the package does: rsiod is replaced under its keeper, and devices stay. */
  async replaceClient(programs: Programs): Promise<void> {
    this.install(this.client, programs);
    await this.order('restart');
    await this.connected(this.client);
  }

  private async connected(host: Host): Promise<void> {
    const isUp = async (): Promise<boolean> =>
      (await host.rsconfig('-m', 'status')).stdout.match(/connected tx: ok/g)?.length === SERVERS.length;
    await waitFor(isUp, WAIT_MS, 'All paths are up');
  }

  // --- commands

  async adm(index: number, ...args: readonly string[]): Promise<string> {
    return wellOf(`${SERVERS[index]}: rsadm ${args.join(' ')}`, await this.servers[index]!.rsadm(...args));
  }

  async order(...args: readonly string[]): Promise<string> {
    return wellOf(`rsconfig ${args.join(' ')}`, await this.client.rsconfig(...args));
  }

  /** Runs a command of a release on a host that has another one. */
  async foreign({ folder }: Programs, host: Host, program: 'rsconfig' | 'rsadm', args: readonly string[]): Promise<RunResult> {
    const file = path.join(folder, 'usr/sbin', program);
    return run(file, ['--root', host.root, ...args], { env: host.environment() });
  }

  /** Starts a program with the mounts of the client. */
  beside(program: string, args: readonly string[]): Running {
    const [first = '', ...rest] = this.devices.command;
    return start(first, [...rest, program, ...args], { timeoutMs: BESIDE_MS });
  }

  device(name: string): string {
    return path.join(this.client.root, 'dev/av0', name);
  }

  async read(name: string): Promise<Buffer> {
    const nbd = await NbdIo.open(this.client.rsiodPaths.nbdSocket, `osl/${name}`, WAIT_MS);
    return nbd.whole().finally(() => nbd.close());
  }

  // --- the gate

  async addGate(offered: string): Promise<void> {
    const address = this.network.clientAddresses()[0]!;
    this.gatePort = await freePort(address);
    await this.order('gate', 'add', 'g1', `${address}:${this.gatePort}`, '--hosts', 'all', '--offers', offered, '--reload');
  }

  /** A host logs in to the gate as it did before. */
  async gateHost(nqn: string): Promise<SocketHost> {
    const address = this.network.clientAddresses()[0]!;
    const { admin, io } = await waitFor(
      () => SocketHost.both(this.gatePort, { nqn }, address).catch(() => null),
      WAIT_MS,
      'The host logs in',
    );
    this.hosts.onClean(() => {
      admin.close();
      io.close();
    });
    return io;
  }

  logs(): string {
    const all: readonly (readonly [Host, 'rssrv' | 'rsiod'])[] = [
      ...this.servers.map((host) => [host, 'rssrv'] as const),
      [this.client, 'rsiod'],
    ];
    return all.map(([host, program]) => `--- ${program} ${host.root}\n${host.log(program).split('\n').slice(-40).join('\n')}\n`).join('');
  }
}
