// A farm: servers that share disks, and pools on them. The disks are files with a fence command, or images of Ceph RBD. Invariant: the fence
// command succeeds only after the machine of the fenced server has ended: its processes are killed, and its mount is gone with all that it
// has sent.

import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'vitest';
import { needPrograms } from '@rsio/common/testing/needs';
import { CephCluster } from '../devices/ceph.ts';
import { endMounts } from '../devices/end-mounts.ts';
import { serverConfig, startClient } from '../hosts/configs.ts';
import type { Host } from '../hosts/host.ts';
import type { useHosts } from '../hosts/hosts.ts';
import { waitFor } from '../programs/wait-for.ts';

const DISK_BYTES = 512 * 1024 * 1024;
const KNOWN_MS = 60_000;
const FENCE_LOOK_MS = 50;
const STORAGE_PROGRAMS = { daemon: /qemu-storage-daemon/, storage: /qemu-storage-daemon|farm-rbd/ };

type Hosts = ReturnType<typeof useHosts>;

interface Storage {
  /** Makes a disk, and returns the values of the keys `disk` and `fence`. */
  make(pool: string): Promise<{ readonly disk: string; readonly fence: string }>;
}

export class FarmScene {
  readonly names: readonly string[];
  readonly servers: readonly Host[];
  readonly holder: Host;
  private readonly place: string;
  private readonly pools: readonly string[];

  private constructor(names: readonly string[], pools: readonly string[], hosts: Hosts) {
    this.names = names;
    this.pools = pools;
    this.servers = names.map(() => hosts.host());
    this.holder = hosts.host();
    this.place = this.holder.file('shared');
    mkdirSync(this.place);
    hosts.onClean(() => this.endAll());
  }

  /** Starts servers with pools on files. Skips the test if a program is missing. */
  static async onFiles(context: TestContext, hosts: Hosts, names: readonly string[], pools: readonly string[]): Promise<FarmScene> {
    needPrograms(context, 'perl', 'mkfs.xfs', 'mount', 'losetup');
    if (process.geteuid?.() !== 0) context.skip('only root can mount');
    const scene = new FarmScene(names, pools, hosts);
    const fences = setInterval(() => scene.endWanted(), FENCE_LOOK_MS);
    hosts.onClean(() => clearInterval(fences));
    const { place } = scene;
    const fence = path.join(place, 'fence.sh');
    const script = `#!/bin/sh\ntouch ${place}/want-$1\nfor i in $(seq 500); do [ -e ${place}/dead-$1 ] && exit 0; sleep 0.05; done\nexit 1\n`;
    writeFileSync(fence, script, { mode: 0o755 });
    await scene.start(hosts, {
      make: async (pool) => {
        const file = openSync(scene.diskOf(pool), 'w');
        ftruncateSync(file, DISK_BYTES);
        closeSync(file);
        return { disk: scene.diskOf(pool), fence: `command:${fence}` };
      },
    });
    return scene;
  }

  /** Starts servers with pools on images of a Ceph cluster, which the programs of this process reach by CEPH_CONF. */
  static async onCeph(hosts: Hosts, cluster: CephCluster, names: readonly string[], pools: readonly string[]): Promise<FarmScene> {
    process.env['CEPH_CONF'] = cluster.conf;
    hosts.onClean(() => void delete process.env['CEPH_CONF']);
    const scene = new FarmScene(names, pools, hosts);
    await scene.start(hosts, {
      make: async (pool) => {
        await cluster.run('rbd', 'create', `rbd/${pool}`, '--size', String(DISK_BYTES >> 20), '--image-feature', 'layering');
        return { disk: `rbd:rbd/${pool}`, fence: 'rbd' };
      },
    });
    return scene;
  }

  /** Resolves with the owner that serves the pool. A server that does not run is not asked. */
  async served(pool: string): Promise<Host> {
    let owner: Host | undefined;
    const isServed = async (): Promise<boolean> => {
      for (const server of this.servers) {
        if (this.isStopped(server)) continue;
        const { code, stdout } = await server.rsadm('farm', '--json');
        if (code === null || stdout === '') continue;
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

  isMounted(server: Host, pool: string): boolean {
    return spawnSync('mountpoint', ['-q', this.mountOf(server, pool)]).status === 0;
  }

  /** Sends a signal to all processes of the server, only to those that reach its storage, or only to the daemon below its file system. */
  signal(server: Host, signal: NodeJS.Signals, which: 'all' | 'daemon' | 'storage' = 'all'): void {
    for (const pid of server.processes()) {
      try {
        if (which === 'all' || STORAGE_PROGRAMS[which].test(textOf(pid, 'cmdline'))) process.kill(pid, signal);
      } catch {
        // The process has ended meanwhile.
      }
    }
  }

  /** Starts the machine of a server again. */
  async revive(server: Host): Promise<void> {
    for (const what of ['want', 'dead']) rmSync(path.join(this.place, `${what}-${this.nameOf(server)}`), { force: true });
    await server.start('rssrv');
  }

  private async start(hosts: Hosts, storage: Storage): Promise<void> {
    const network = await hosts.network(this.names.length);
    for (const [index, server] of this.servers.entries()) {
      const own = { ...network, serverAddresses: [network.serverAddresses[index]!] };
      const numbered = { name: this.names[index]!, server: { serverid: String(index + 1) } };
      server.writeConfig('rssrv', serverConfig(own, { ...numbered, volumes: {} }));
      await server.start('rssrv');
    }
    for (const pool of this.pools) {
      const { disk, fence } = await storage.make(pool);
      const keys = ['--disk', disk, '--fence', fence, '--owners', this.names.join(), '--take-over-after', '3s'];
      for (const server of this.servers) await server.rsadmWell('pool', 'add', pool, this.mountOf(server, pool), ...keys);
      await this.served(pool);
    }
    await startClient(this.holder, network);
  }

  private diskOf(pool: string): string {
    return path.join(this.place, `disk-${pool}`);
  }

  private isStopped(server: Host): boolean {
    try {
      return /^State:\s+[TZ]/m.test(textOf(server.pid('rssrv'), 'status'));
    } catch {
      return true;
    }
  }

  /** Ends the machines that the fence command wants to have ended. */
  private endWanted(): void {
    if (!existsSync(this.place)) return;
    for (const file of readdirSync(this.place)) {
      const server = this.servers[this.names.indexOf(file.replace(/^want-/, ''))];
      const dead = path.join(this.place, file.replace(/^want-/, 'dead-'));
      if (!file.startsWith('want-') || server === undefined || existsSync(dead)) continue;
      this.signal(server, 'SIGKILL');
      if (server.processes().length > 0) continue;
      const isGone = this.pools.every(
        (pool) => !this.isMounted(server, pool) || spawnSync('umount', [this.mountOf(server, pool)]).status === 0,
      );
      if (isGone) writeFileSync(dead, '');
    }
  }

  private async endAll(): Promise<void> {
    const roots = [this.holder, ...this.servers].map(({ root }) => root);
    for (const server of this.servers) this.signal(server, 'SIGKILL');
    await waitFor(() => this.servers.every((server) => server.processes().length === 0), KNOWN_MS, 'All servers have ended');
    await endMounts(roots);
  }
}

function textOf(pid: number, file: 'cmdline' | 'status'): string {
  return readFileSync(`/proc/${pid}/${file}`, 'utf8');
}
