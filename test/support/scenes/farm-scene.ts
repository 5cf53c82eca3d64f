// A farm: servers that share a disk, which is a file here, and pools on it. Invariant: the command that fences a server succeeds only after
// the machine of this server has ended: its processes are killed, and its mount is gone with all that it has sent.

import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'vitest';
import { needPrograms } from '@rsio/common/testing/needs';
import { serverConfig, startClient } from '../hosts/configs.ts';
import type { Host } from '../hosts/host.ts';
import type { useHosts } from '../hosts/hosts.ts';
import { waitFor } from '../programs/wait-for.ts';

const DISK_BYTES = 512 * 1024 * 1024;
const KNOWN_MS = 30_000;
const FENCE_LOOK_MS = 50;

type Hosts = ReturnType<typeof useHosts>;

export class FarmScene {
  readonly names: readonly string[];
  readonly servers: readonly Host[];
  readonly holder: Host;
  private readonly place: string;

  private constructor(names: readonly string[], servers: readonly Host[], holder: Host, place: string) {
    this.names = names;
    this.servers = servers;
    this.holder = holder;
    this.place = place;
  }

  /** Starts the servers and a client, and makes the pools on the shared disks. Skips the test if a program is missing. */
  static async start(context: TestContext, hosts: Hosts, names: readonly string[], pools: readonly string[]): Promise<FarmScene> {
    needPrograms(context, 'perl', 'mkfs.xfs', 'mount', 'losetup');
    if (process.geteuid?.() !== 0) context.skip('only root can mount');
    const servers = names.map(() => hosts.host());
    const holder = hosts.host();
    const network = await hosts.network(names.length);
    const place = holder.file('shared');
    mkdirSync(place);
    const scene = new FarmScene(names, servers, holder, place);
    hosts.onClean(() => scene.unmountAll(pools));
    const fences = setInterval(() => scene.fenceWanted(pools), FENCE_LOOK_MS);
    hosts.onClean(() => clearInterval(fences));
    const fence = path.join(place, 'fence.sh');
    const script = `#!/bin/sh\ntouch ${place}/want-$1\nfor i in $(seq 500); do [ -e ${place}/dead-$1 ] && exit 0; sleep 0.05; done\nexit 1\n`;
    writeFileSync(fence, script, { mode: 0o755 });
    for (const [index, server] of servers.entries()) {
      const place = { ...network, serverAddresses: [network.serverAddresses[index]!] };
      const numbered = { name: names[index]!, server: { serverid: String(index + 1) } };
      server.writeConfig('rssrv', serverConfig(place, { ...numbered, volumes: {} }));
      await server.start('rssrv');
    }
    for (const pool of pools) {
      const disk = path.join(place, `disk-${pool}`);
      const file = openSync(disk, 'w');
      ftruncateSync(file, DISK_BYTES);
      closeSync(file);
      const keys = ['--disk', disk, '--fence', `command:${fence}`, '--owners', names.join(), '--take-over-after', '3s'];
      for (const server of servers) await server.rsadmWell('pool', 'add', pool, scene.mountOf(server, pool), ...keys);
      await scene.served(pool);
    }
    await startClient(holder, network);
    return scene;
  }

  /** Resolves with the owner that serves the pool. */
  async served(pool: string): Promise<Host> {
    let owner: Host | undefined;
    const isServed = async (): Promise<boolean> => {
      for (const server of this.servers) {
        const { code, stdout } = await server.rsadm('farm', '--json');
        if (code !== 0 || stdout === '') continue;
        const { pools } = JSON.parse(stdout) as { pools: readonly { name: string; isHere: boolean }[] };
        if (pools.some(({ name, isHere }) => name === pool && isHere)) owner = server;
      }
      return owner !== undefined;
    };
    await waitFor(isServed, KNOWN_MS, `Pool ${pool} is served`);
    return owner!;
  }

  nameOf(server: Host): string {
    return this.names[this.servers.indexOf(server)]!;
  }

  mountOf(server: Host, pool: string): string {
    return path.join(server.root, `srv-${pool}`);
  }

  /** Starts the machine of a server again. */
  async revive(server: Host): Promise<void> {
    for (const what of ['want', 'dead']) rmSync(path.join(this.place, `${what}-${this.nameOf(server)}`), { force: true });
    await server.start('rssrv');
  }

  /** Ends the machines that the fence command wants to have ended. */
  private fenceWanted(pools: readonly string[]): void {
    if (!existsSync(this.place)) return;
    for (const file of readdirSync(this.place)) {
      const server = this.servers[this.names.indexOf(file.replace(/^want-/, ''))];
      const dead = path.join(this.place, file.replace(/^want-/, 'dead-'));
      if (!file.startsWith('want-') || server === undefined || existsSync(dead)) continue;
      for (const pid of server.processes()) process.kill(pid, 'SIGKILL');
      if (server.processes().length > 0) continue;
      const isGone = pools.every((pool) => {
        const mount = this.mountOf(server, pool);
        return spawnSync('mountpoint', ['-q', mount]).status !== 0 || spawnSync('umount', [mount]).status === 0;
      });
      if (isGone) writeFileSync(dead, '');
    }
  }

  private async unmountAll(pools: readonly string[]): Promise<void> {
    for (const server of this.servers)
      for (const pool of pools) {
        const mount = this.mountOf(server, pool);
        if (spawnSync('mountpoint', ['-q', mount]).status === 0) spawnSync('umount', ['-l', mount]);
      }
    for (const pool of pools) {
      const disk = path.join(this.place, `disk-${pool}`);
      const loops = spawnSync('losetup', ['-j', disk, '-n', '-O', 'NAME'], { encoding: 'utf8' }).stdout.split('\n');
      for (const loop of loops) if (loop.trim() !== '') spawnSync('losetup', ['-d', loop.trim()]);
    }
  }
}
