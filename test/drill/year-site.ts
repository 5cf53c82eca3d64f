// The machines of the administrator's year: two servers with two pools each on XFS, a witness, and a client. Each server copies from the
// other one. Invariant: a server has one address, one clock and one build at any time; the file of the client says where it is.

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { ReplicationView } from '@rsio/api/views/views';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { OtherBuild } from '../support/drills/other-build.ts';
import { emptyRun, killServer } from '../support/faults/machine-crash.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts, TestNetwork } from '../support/hosts/hosts.ts';
import { run, type RunResult, wellOf } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

export const SERVERS = ['pi-1', 'pi-2', 'pi-3'] as const;
export const POOLS = ['a', 'b'] as const;
export const CLIENT = 'big-2';
export type Place = 0 | 1;
const WITNESS = 2;
const [FIRST_ADDRESS, DISK_BYTES, ATTACHED_MS] = [10, 2 * 1024 ** 3, 60_000];
/** Debian package libfaketime. The program reads the offset of its clock from a file. */
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

export interface Image {
  readonly folder: string;
}

export function other(place: Place): Place {
  return place === 0 ? 1 : 0;
}

export class YearSite {
  readonly client: Host;
  readonly servers: readonly Host[];
  readonly backups: string;
  readonly hosts: Hosts;
  private readonly network: TestNetwork;
  private readonly addresses: string[];
  private readonly disks: string[] = [];
  private readonly builds: (OtherBuild | null)[] = SERVERS.map(() => null);
  /** Names of the sections for the servers in the file of the client. */
  private readonly sections = SERVERS.map((_, index) => `big-9-${index + 1}`);
  private nextAddress = FIRST_ADDRESS;
  private images = 0;

  private constructor(hosts: Hosts, network: TestNetwork) {
    this.hosts = hosts;
    this.network = network;
    this.servers = SERVERS.map(() => hosts.host());
    this.client = hosts.host();
    this.backups = this.client.file('backups');
    mkdirSync(this.backups);
    this.addresses = SERVERS.map(() => this.newAddress());
  }

  /** Returns null if this machine can mount no file system with reflink. */
  static async start(hosts: Hosts): Promise<YearSite | null> {
    const site = new YearSite(hosts, await hosts.network(1));
    for (const [index, host] of site.servers.entries()) {
      for (const pool of index === WITNESS ? [] : POOLS) {
        const mount = makeReflinkDisk(hosts, host, DISK_BYTES, 'xfs', `disk-${pool}`);
        if (mount === null) return null;
        mkdirSync(path.join(mount, 'pool'));
        site.disks.push(mount);
      }
      site.writeServer(index);
      await site.startServer(index);
      for (const pool of index === WITNESS ? [] : POOLS)
        await site.adm(index, 'pool', 'add', pool, path.join(site.diskOf(index as Place, pool), 'pool'), '--reserve', '0%');
    }
    for (const place of [0, 1] as const) await site.addPeer(place);
    site.writeClient();
    await site.startClient();
    return site;
  }

  private newAddress(): string {
    return this.network.subnets[0]!.address(this.nextAddress++);
  }

  private writeServer(index: number): void {
    const peers = index === WITNESS ? [] : [SERVERS[1 - index]!];
    const clients = Object.fromEntries([CLIENT, ...peers].map((name) => [name, keyOf(name)]));
    const options = {
      name: SERVERS[index]!,
      server: { serverid: String(index + 1), ...(index === WITNESS ? { witness: 'yes' } : {}) },
      volumes: {},
      clients,
      rights: { [CLIENT]: 'manage', ...Object.fromEntries(peers.map((peer) => [peer, 'copy'])) },
    };
    this.servers[index]!.writeConfig(
      'rssrv',
      serverConfig({ port: this.network.port, serverAddresses: [this.addresses[index]!] }, options),
    );
  }

  private writeClient(): void {
    const about = { port: this.network.port, serverAddresses: this.addresses, clientAddresses: () => this.network.clientAddresses() };
    const text = clientConfig(about, { serverAddresses: this.addresses, defaults: { stall: 'forever' } });
    this.client.writeConfig('rsiod', text);
  }

  async addPeer(place: Place): Promise<void> {
    const [from, host] = [other(place), this.servers[place]!];
    const key = host.file('key');
    writeFileSync(key, keyOf(SERVERS[place]!));
    await this.adm(place, 'peer', 'add', SERVERS[from]!, '--address', `${this.addresses[from]!}:${this.network.port}`, '--key-file', key);
  }

  diskOf(place: Place, pool: string): string {
    return this.disks[place * POOLS.length + (pool === POOLS[0] ? 0 : 1)]!;
  }

  // --- daemons

  async startServer(index: number): Promise<void> {
    const [host, build] = [this.servers[index]!, this.builds[index]!];
    await this.withClock(host, () => (build === null ? host.start('rssrv') : build.startServer(host)));
  }

  async startClient(): Promise<void> {
    await this.withClock(this.client, () => this.client.start('rsiod'));
    await this.client.pathsUp(SERVERS.length, ATTACHED_MS);
  }

  /** A daemon that starts meanwhile has the clock of this host. */
  private async withClock(host: Host, action: () => Promise<unknown>): Promise<void> {
    if (!YearSite.hasClocks) return void (await action());
    const file = host.file('clock');
    if (readdirSync(host.root).includes('clock') === false) writeFileSync(file, '+0');
    const about = { LD_PRELOAD: FAKETIME, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
    Object.assign(process.env, about);
    try {
      await action();
    } finally {
      for (const name of Object.keys(about)) delete process.env[name];
    }
  }

  static readonly hasClocks = isThere(FAKETIME);

  /** Steps the clock of a server, while it runs. */
  setClock(index: number, offsetS: number): void {
    writeFileSync(this.servers[index]!.file('clock'), `${offsetS < 0 ? '' : '+'}${offsetS}`);
  }

  async restartServer(index: number, how: 'stopped' | 'killed'): Promise<void> {
    const host = this.servers[index]!;
    if (how === 'stopped') await host.stop('rssrv');
    await killServer(host);
    await this.startServer(index);
  }

  async killServer(index: number): Promise<void> {
    await killServer(this.servers[index]!);
  }

  /** The server gets another address. Its peer is told; the client is not. Returns what tells the client. */
  async moveServer(index: number): Promise<() => Promise<void>> {
    const [host, old, next] = [this.servers[index]!, this.addresses[index]!, this.newAddress()];
    await host.stop('rssrv');
    this.addresses[index] = next;
    replaceIn(host.rssrvPaths.configFile, old, next);
    await this.startServer(index);
    if (index !== WITNESS) {
      const peer = other(index as Place);
      replaceIn(this.servers[peer]!.rssrvPaths.configFile, old, next);
      await this.adm(peer, 'reload');
    }
    return async () => {
      const name = `${SERVERS[index]!}-at-${next.replaceAll('.', '-')}`;
      await this.order('server', 'add', name, next, '--namespace', 'osl', '--reload');
      await this.client.pathsUp(SERVERS.length, ATTACHED_MS);
      await this.order('server', 'remove', this.sections[index]!, '--namespace', 'osl', '--reload');
      this.sections[index] = name;
    };
  }

  /** The server runs another build from its next start on; or the first one again. */
  chooseBuild(index: number): void {
    this.builds[index] = this.builds[index] === null ? OtherBuild.make(this.hosts) : null;
  }

  hasOtherBuild(): boolean {
    return this.builds.some((build) => build !== null);
  }

  // --- images

  async takeImage(place: Place): Promise<Image> {
    const host = this.servers[place]!;
    const folder = path.join(this.diskOf(place, POOLS[0]), `image-${++this.images}`);
    await host.stop('rssrv');
    await killServer(host);
    for (const pool of POOLS) {
      const to = pool === POOLS[0] ? folder : path.join(this.diskOf(place, pool), `image-${this.images}`);
      mkdirSync(to);
      await well('cp', '-a', '--reflink=always', path.join(this.diskOf(place, pool), 'pool'), to);
    }
    await well('cp', '-a', host.rssrvPaths.stateDir, path.join(folder, 'state'));
    await this.startServer(place);
    return { folder };
  }

  /** As a restored backup of all disks of the server does. */
  async setBack(place: Place, { folder }: Image): Promise<void> {
    const host = this.servers[place]!;
    await killServer(host);
    const { stateDir } = host.rssrvPaths;
    for (const pool of POOLS) {
      const disk = this.diskOf(place, pool);
      emptyFolder(path.join(disk, 'pool'));
      const from = pool === POOLS[0] ? folder : path.join(disk, path.basename(folder));
      await well('cp', '-a', '--reflink=always', `${from}/pool/.`, path.join(disk, 'pool'));
    }
    emptyFolder(stateDir);
    await well('cp', '-a', `${folder}/state/.`, stateDir);
    // As docs/OPERATING.md says of a restored server.
    rmSync(path.join(stateDir, 'identity.json'), { force: true });
    emptyRun(host);
    await this.startServer(place);
  }

  dropImage(place: Place, { folder }: Image): void {
    rmSync(folder, { recursive: true, force: true });
    rmSync(path.join(this.diskOf(place, POOLS[1]), path.basename(folder)), { recursive: true, force: true });
  }

  /** A machine with the files of the client, as a copied virtual machine has them. */
  clonedClient(): Host {
    const clone = this.hosts.host();
    for (const name of ['etc', 'var']) cpSync(path.join(this.client.root, name), path.join(clone.root, name), { recursive: true });
    return clone;
  }

  /** Fills a file system up to a few blocks. Returns the file that takes the space. */
  async fill(place: Place, pool: string): Promise<string> {
    const disk = this.diskOf(place, pool);
    const { bavail, bsize } = statfsSync(disk);
    const file = path.join(disk, 'filler');
    // The file system keeps some of the free blocks for itself.
    for (let blocks = bavail - 64; blocks > 0; blocks = Math.floor(blocks * 0.98))
      if ((await run('fallocate', ['-l', String(blocks * bsize), file])).code === 0) return file;
    throw new Error(`Nothing fits into ${disk}`);
  }

  // --- commands

  async adm(index: number, ...args: readonly string[]): Promise<string> {
    return wellOf(`${SERVERS[index]}: rsadm ${args.join(' ')}`, await this.servers[index]!.rsadm(...args));
  }

  async order(...args: readonly string[]): Promise<string> {
    return wellOf(`rsconfig ${args.join(' ')}`, await this.client.rsconfig(...args));
  }

  tryOrder(...args: readonly string[]): Promise<RunResult> {
    return this.client.rsconfig(...args);
  }

  async untilAttached(name: string): Promise<void> {
    const open = async (): Promise<void> => (await NbdIo.open(this.client.rsiodPaths.nbdSocket, `osl/${name}`)).close();
    await waitFor(async () => open().then(() => true), ATTACHED_MS, `${name} is attached`);
  }

  async read(name: string): Promise<Buffer> {
    const nbd = await NbdIo.open(this.client.rsiodPaths.nbdSocket, `osl/${name}`, ATTACHED_MS);
    return nbd.whole().finally(() => nbd.close());
  }

  async replications(place: Place): Promise<readonly ReplicationView[]> {
    return (await callServer(this.servers[place]!.rssrvPaths.controlSocket, 'replication-list', {})).replications;
  }

  logs(): string {
    const all: readonly (readonly [Host, 'rssrv' | 'rsiod'])[] = [
      ...this.servers.map((host) => [host, 'rssrv'] as const),
      [this.client, 'rsiod'],
    ];
    return all.map(([host, program]) => `--- ${program} ${host.root}\n${host.log(program).split('\n').slice(-60).join('\n')}\n`).join('');
  }
}

function replaceIn(file: string, old: string, next: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(new RegExp(`\\b${old.replaceAll('.', '\\.')}\\b`, 'g'), next));
}

function emptyFolder(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { recursive: true });
}

function isThere(file: string): boolean {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}

async function well(program: string, ...args: readonly string[]): Promise<void> {
  wellOf(program, await run(program, args));
}
