// The daemons of the table of kinds and operations: a server with three pools, a second server for replicas, and two clients. Invariant:
// the test fails if a refusal lacks the reason or the remedy.

import { spawnSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { TestContext } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, serverConfig, startServer } from '../support/hosts/configs.ts';
import { makeEmptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

export const MIB = 1024 * 1024;
export const SIZE_MIB = 8;
const BLOCK = 4096;
const KNOWN_MS = 30_000;
/** MATE: name of the second server. MATE_HOST: number of this server in the network. */
export const MATE = 'mate';
const MATE_HOST = 40;

/** A refusal of a command. */
export class Refused extends Error {}

/** A volume of one kind. `mark`: number in the first block of the volume. */
export interface TableVolume {
  readonly name: string;
  readonly isReadonly: boolean;
  mark: number;
}

export class TableScene {
  readonly server: Host;
  /** Server with the second replica of a mirror. */
  readonly mate: Host;
  readonly clients: readonly [Host, Host];
  private constructor(hosts: Hosts) {
    this.server = hosts.host();
    this.mate = hosts.host();
    this.clients = [hosts.host(), hosts.host()];
  }

  static async start(hosts: Hosts, context: TestContext): Promise<TableScene> {
    const scene = new TableScene(hosts);
    const { server, clients } = scene;
    const disk = reflinkDisk(hosts, server, context);
    const pools: Record<string, Record<string, string>> = {};
    for (const name of ['fast', 'slow', 'third', MATE]) {
      const folder = path.join(disk, name);
      mkdirSync(folder);
      await makeEmptyPool(folder);
      pools[name] = { path: folder };
    }
    const { [MATE]: far = {}, ...own } = pools;
    const device = loopDevice(hosts, server, context);
    const size = `${SIZE_MIB}m`;
    const volumes = {
      sect: { path: server.file('sect.img'), size },
      ram: { type: 'memory', size },
      disk: { path: device },
    };
    const network = await hosts.network(1);
    const rights = { 'big-2': 'admin', venus: 'admin' };
    await startServer(server, network, { volumes, pools: own, rights });
    const address = network.subnets[0]!.address(MATE_HOST);
    const second = { volumes: {}, pools: { far }, rights, name: MATE, server: { serverid: '2' } };
    scene.mate.writeConfig('rssrv', serverConfig({ ...network, serverAddresses: [address] }, second));
    await scene.mate.start('rssrv');
    const serverAddresses = [...network.serverAddresses, address];
    for (const [client, node] of ['big-2', 'venus'].entries()) {
      clients[client]!.writeConfig('rsiod', clientConfig(network, { node, client, serverAddresses }));
      await clients[client]!.start('rsiod');
    }
    for (const client of clients) await client.pathsUp(serverAddresses.length);
    return scene;
  }

  /** Runs rsconfig on a client. Throws Refused with the message. */
  async command(args: readonly string[], client = this.clients[0]): Promise<string> {
    const { code, stdout, stderr } = await client.rsconfig(...args);
    if (code === 0) return stdout;
    throw new Refused(stderr.replace(/^rsconfig: /, '').replace(/ \[E_\w+\]\n$/, ''));
  }

  /** Runs an order as administrator of the server. */
  async order(method: 'client-fence' | 'client-unfence', name: string): Promise<void> {
    await callServer(this.server.rssrvPaths.controlSocket, method, { name });
  }

  /** Runs `work` with an NBD connection to an attached volume. */
  async withExport<T>(name: string, work: (nbd: NbdIo) => Promise<T>, client = this.clients[0]): Promise<T> {
    const [volume, universe] = name.split('@');
    const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${volume}${universe === undefined ? '' : `@${universe}`}`);
    try {
      return await work(nbd);
    } finally {
      nbd.close();
    }
  }

  async attached<T>(name: string, work: (nbd: NbdIo) => Promise<T>, ...options: readonly string[]): Promise<T> {
    await this.command(['-a', ...options, name]);
    try {
      return await this.withExport(name, work);
    } finally {
      await waitFor(
        () =>
          this.command(['-d', name]).then(
            () => true,
            () => false,
          ),
        KNOWN_MS,
        `${name} is detached`,
      );
    }
  }

  async write(volume: TableVolume, mark: number): Promise<void> {
    volume.mark = mark;
    await this.attached(volume.name, async (nbd) => {
      await nbd.write(0, Buffer.alloc(BLOCK, mark));
      await nbd.flush();
    });
  }

  async markOf(name: string): Promise<number> {
    return this.attached(name, async (nbd) => (await nbd.read(0, BLOCK))[0] ?? -1, '--read-only');
  }
}

function loopDevice(hosts: Hosts, server: Host, context: TestContext): string {
  const image = server.file('disk.img');
  writeFileSync(image, '');
  truncateSync(image, SIZE_MIB * MIB);
  const { status, stdout } = spawnSync('losetup', ['--find', '--show', image], { encoding: 'utf8' });
  context.skip(status !== 0, 'needs a free loop device (root, modprobe loop)');
  const device = stdout.trim();
  hosts.onClean(() => void spawnSync('losetup', ['--detach', device], { stdio: 'ignore' }));
  return device;
}
