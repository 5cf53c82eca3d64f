// A farm: servers that share disks, and pools on these disks. The disks are files with a fence command, or images of Ceph RBD. Invariant:
// the fence command succeeds only after the machine of the fenced server has ended, as after a power cut: its processes are killed, the
// unwritten data in its memory is lost, and everything that it has sent to the disk has ended. An unmount alone proves nothing: another
// mount namespace, such as that of a concurrent test, may have a copy of the mount, and the file system then continues to write.

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'vitest';
import { parseMountTable } from '@rsio/base/daemon/mount-table';
import { needPrograms } from '@rsio/base/testing/needs';
import { CephCluster } from '../devices/ceph.ts';
import { endMounts } from '../devices/end-mounts.ts';
import { type ClientConfigOptions, serverConfig, startClient } from '../hosts/configs.ts';
import type { Host } from '../hosts/host.ts';
import type { useHosts } from '../hosts/hosts.ts';
import { type RunResult, wellOf } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';

export const DISK_BYTES = 512 * 1024 * 1024;
const KNOWN_MS = 60_000;
const FENCE_LOOK_MS = 50;
const STOPS_MS = 5_000;
/** While programs of other tests have copies of a mount, its pool does not move: refusals that match COPIED are tried again for so long. */
export const COPIES_END_MS = 30_000;
export const COPIED = /has a copy of its mount/;
const STORAGE_PROGRAMS = { daemon: /qemu-storage-daemon/, storage: /qemu-storage-daemon|farm-rbd/ };

/** Name of a file. While this file is in the folder of the farm, the fence command fails. */
const UNPROVEN = 'unproven';

type Hosts = ReturnType<typeof useHosts>;
/** `faulty`: the server for tests (test/support/faulty-server). */
type ServerProgram = 'rssrv' | 'faulty';

/** Without `owners`, all servers own the pool. */
interface FarmPool {
  readonly name: string;
  readonly owners?: readonly string[];
}

interface FarmOptions {
  readonly names: readonly string[];
  readonly pools: readonly FarmPool[];
  readonly program: ServerProgram;
  /** Further keys of `[server]`. */
  readonly server?: Readonly<Record<string, string>>;
  readonly client?: ClientConfigOptions;
}

interface Storage {
  /** Makes a disk, and returns the values of the keys `disk` and `fence`. */
  make(pool: string): Promise<{ readonly disk: string; readonly fence: string }>;
  grow(pool: string, sizeBytes: number): Promise<void>;
}

export class FarmScene {
  readonly names: readonly string[];
  readonly servers: readonly Host[];
  readonly holder: Host;
  private readonly place: string;
  private readonly pools: readonly FarmPool[];
  private readonly program: ServerProgram;
  private storage: Storage | null = null;
  private addresses: readonly string[] = [];

  private constructor(hosts: Hosts, { names, pools, program }: FarmOptions) {
    this.names = names;
    this.pools = pools;
    this.program = program;
    this.servers = names.map(() => hosts.host());
    this.holder = hosts.host();
    this.place = this.holder.file('shared');
    mkdirSync(this.place);
    hosts.onClean(() => this.endAll());
  }

  /** Starts servers with pools on files. Skips the test if a program is missing. */
  static async onFiles(
    context: TestContext,
    hosts: Hosts,
    names: readonly string[],
    pools: readonly string[],
    program: ServerProgram = 'rssrv',
  ): Promise<FarmScene> {
    needPrograms(context, 'mkfs.xfs', 'mount', 'losetup');
    if (process.geteuid?.() !== 0) context.skip('only root can mount');
    return await FarmScene.startOnFiles(hosts, { names, pools: pools.map((name) => ({ name })), program });
  }

  /** The same where root, XFS and loop devices are known to be there, as in a drill that needs them. */
  static async startOnFiles(hosts: Hosts, options: FarmOptions): Promise<FarmScene> {
    const scene = new FarmScene(hosts, options);
    const fences = setInterval(() => scene.endWanted(), FENCE_LOOK_MS);
    hosts.onClean(() => clearInterval(fences));
    const { place } = scene;
    const { fence } = scene;
    const refusal = `[ -e ${place}/${UNPROVEN} ] && { echo "the power switch of $1 does not answer"; exit 1; }`;
    const script = `#!/bin/sh\n${refusal}\ntouch ${place}/want-$1\nfor i in $(seq 500); do [ -e ${place}/dead-$1 ] && exit 0; sleep 0.05; done\nexit 1\n`;
    writeFileSync(fence, script, { mode: 0o755 });
    await scene.start(hosts, options, {
      make: async (pool) => {
        const file = openSync(scene.diskOf(pool), 'w');
        ftruncateSync(file, DISK_BYTES);
        closeSync(file);
        return { disk: scene.diskOf(pool), fence: `command:${fence}` };
      },
      grow: async (pool, sizeBytes) => truncateSync(scene.diskOf(pool), sizeBytes),
    });
    return scene;
  }

  /** Starts servers with pools on images of a Ceph cluster, which the programs of this process reach by CEPH_CONF. */
  static async onCeph(
    hosts: Hosts,
    cluster: CephCluster,
    names: readonly string[],
    pools: readonly string[],
    program: ServerProgram = 'rssrv',
  ): Promise<FarmScene> {
    process.env['CEPH_CONF'] = cluster.conf;
    hosts.onClean(() => void delete process.env['CEPH_CONF']);
    const options = { names, pools: pools.map((name) => ({ name })), program };
    const scene = new FarmScene(hosts, options);
    await scene.start(hosts, options, {
      make: async (pool) => {
        await cluster.run('rbd', 'create', `rbd/${pool}`, '--size', String(DISK_BYTES >> 20), '--image-feature', 'layering');
        return { disk: `rbd:rbd/${pool}`, fence: 'rbd' };
      },
      grow: async (pool, sizeBytes) => void (await cluster.run('rbd', 'resize', `rbd/${pool}`, '--size', String(sizeBytes >> 20))),
    });
    return scene;
  }

  /** Resolves with the owner that serves the pool. Stopped servers are not asked. */
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

  /** The fence command of pools on files. */
  get fence(): string {
    return path.join(this.place, 'fence.sh');
  }

  /** Makes the disk of the pool larger, as an administrator of the storage does. */
  async growDisk(pool: string, sizeBytes: number): Promise<void> {
    await this.storage?.grow(pool, sizeBytes);
  }

  /** Address of the server with its port. */
  addressOf(server: Host): string {
    return this.addresses[this.servers.indexOf(server)]!;
  }

  serverOf(name: string): Host {
    return this.servers[this.names.indexOf(name)]!;
  }

  nameOf(server: Host): string {
    return this.names[this.servers.indexOf(server)]!;
  }

  /**
   * Moves a pool by a command at `asked`, and returns its output. While programs of other tests have copies of the mount, the move is
   * refused, and is tried again. Throws at once if it is refused for another reason.
   */
  async movePool(asked: Host, pool: string, to: string): Promise<string> {
    const command = ['pool', 'move', pool, '--to', to];
    const move = async (): Promise<RunResult | null> => {
      const result = await asked.rsadm(...command);
      return result.code !== 0 && COPIED.test(result.stderr) ? null : result;
    };
    return wellOf(`rsadm ${command.join(' ')}`, await waitFor(move, COPIES_END_MS, 'Copies of the mount end'));
  }

  mountOf(server: Host, pool: string): string {
    return path.join(server.root, `srv-${pool}`);
  }

  isMounted(server: Host, pool: string): boolean {
    return this.deviceOf(server, pool) !== null;
  }

  /**
   * Returns the number of the device, such as `7:3`; null if the pool is not mounted. The mount point is not read, because it may return
   * only errors.
   */
  private deviceOf(server: Host, pool: string): string | null {
    const place = this.mountOf(server, pool);
    return parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8')).find(({ mountPoint }) => mountPoint === place)?.device ?? null;
  }

  /** Sends a signal to all processes of the server, only to those that reach its storage, or only to the daemon below its file system. */
  signal(server: Host, signal: NodeJS.Signals, which: 'all' | 'daemon' | 'storage' = 'all'): void {
    for (const pid of server.processes()) {
      try {
        if (which === 'all' || STORAGE_PROGRAMS[which].test(textOf(pid, 'cmdline'))) process.kill(pid, signal);
      } catch {
        // The process has ended in the meantime.
      }
    }
    // The kernel stops a process a little later. Until then, the process looks as if it could answer.
    if (signal === 'SIGSTOP' && which === 'all') spinUntil(() => this.isStopped(server));
  }

  /** If `isOn`, the fence command fails at once. Only for pools on files. */
  breakFence(isOn: boolean): void {
    const file = path.join(this.place, UNPROVEN);
    if (isOn) writeFileSync(file, '');
    else rmSync(file);
  }

  /** Ends the machine of a server as a power cut does, so that its unwritten data is lost. */
  async cutPower(server: Host): Promise<void> {
    this.signal(server, 'SIGKILL');
    const isOff = (): boolean => server.processes().length === 0 && this.pools.every(({ name }) => this.hasLostPower(server, name));
    await waitFor(isOff, KNOWN_MS, `Server ${this.nameOf(server)} is off`);
  }

  /** What the fence command has done to the machine of the server since its last start: it has asked for its end, or has ended it. */
  fenceOf(server: Host): 'none' | 'asked' | 'ended' {
    const has = (what: string): boolean => existsSync(path.join(this.place, `${what}-${this.nameOf(server)}`));
    return has('dead') ? 'ended' : has('want') ? 'asked' : 'none';
  }

  /** Starts the machine of a server again. */
  async revive(server: Host): Promise<void> {
    for (const what of ['want', 'dead']) rmSync(path.join(this.place, `${what}-${this.nameOf(server)}`), { force: true });
    await this.startServer(server);
  }

  private async startServer(server: Host): Promise<void> {
    if (this.program === 'rssrv') await server.start('rssrv');
    else await server.startFaulty({});
  }

  private async start(hosts: Hosts, { server: keys, client }: FarmOptions, storage: Storage): Promise<void> {
    this.storage = storage;
    const network = await hosts.network(this.names.length);
    this.addresses = network.serverAddresses.map((address) => `${address}:${network.port}`);
    for (const [index, server] of this.servers.entries()) {
      const own = { ...network, serverAddresses: [network.serverAddresses[index]!] };
      const numbered = { name: this.names[index]!, server: { serverid: String(index + 1), ...keys } };
      server.writeConfig('rssrv', serverConfig(own, { ...numbered, volumes: {} }));
      await this.startServer(server);
    }
    for (const { name: pool, owners = this.names } of this.pools) {
      const { disk, fence } = await storage.make(pool);
      const settings = ['--disk', disk, '--fence', fence, '--owners', owners.join(), '--take-over-after', '3s'];
      for (const owner of owners.map((name) => this.serverOf(name)))
        await owner.rsadmWell('pool', 'add', pool, this.mountOf(owner, pool), ...settings);
      await this.served(pool);
    }
    await startClient(this.holder, network, client);
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

  /** Ends the machines whose end the fence command has requested. */
  private endWanted(): void {
    if (!existsSync(this.place)) return;
    for (const file of readdirSync(this.place)) {
      const server = this.servers[this.names.indexOf(file.replace(/^want-/, ''))];
      const dead = path.join(this.place, file.replace(/^want-/, 'dead-'));
      if (!file.startsWith('want-') || server === undefined || existsSync(dead)) continue;
      this.signal(server, 'SIGKILL');
      if (server.processes().length > 0) continue;
      if (this.pools.every(({ name }) => this.hasLostPower(server, name))) writeFileSync(dead, '');
    }
  }

  /**
   * Shuts down the file system of a pool at a server whose processes have ended. Returns true when no more I/O of the file system reaches
   * its disk.
   */
  private hasLostPower(server: Host, pool: string): boolean {
    const device = this.deviceOf(server, pool);
    if (device === null) return true;
    const place = this.mountOf(server, pool);
    const { stderr } = spawnSync('xfs_io', ['-x', '-c', 'shutdown', place], { encoding: 'utf8' });
    // A file system that has already failed cannot be opened.
    if (stderr !== '' && !stderr.includes('Input/output error')) return false;
    const [reads, writes] = readFileSync(`/sys/dev/block/${device}/inflight`, 'utf8').trim().split(/\s+/);
    return reads === '0' && writes === '0' && spawnSync('umount', [place]).status === 0;
  }

  private async endAll(): Promise<void> {
    const roots = [this.holder, ...this.servers].map(({ root }) => root);
    for (const server of this.servers) this.signal(server, 'SIGKILL');
    await waitFor(() => this.servers.every((server) => server.processes().length === 0), KNOWN_MS, 'All servers have ended');
    await endMounts(roots);
  }
}

/** Blocks this process, and therefore all its tests, for up to STOPS_MS. */
function spinUntil(isDone: () => boolean): void {
  const endMs = performance.now() + STOPS_MS;
  while (!isDone()) if (performance.now() > endMs) throw new Error('The server does not stop');
}

function textOf(pid: number, file: 'cmdline' | 'status'): string {
  return readFileSync(`/proc/${pid}/${file}`, 'utf8');
}
