// A small Ceph cluster for tests: one monitor, one manager, one OSD with its data in memory, all on one address. The cluster has its own
// keys, and its files are in a temporary folder. Invariants: the kernel kills the daemons if the test process ends; `remove` leaves no
// process and no file.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Running, runWell, start } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';

/** Longer than any test. */
const LIFE_MS = 43_200_000;
const START_MS = 30_000;
const NEEDED = ['ceph-mon', 'ceph-mgr', 'ceph-osd', 'ceph-authtool', 'rbd', 'qemu-storage-daemon', 'losetup', 'setpriv'];
const PACKAGES = 'ceph-mon, ceph-mgr, ceph-osd, ceph-common, qemu-system-common, qemu-block-extra';

/** Returns what this machine lacks for tests with Ceph; null if it lacks nothing. */
export function missingForCeph(): string | null {
  const missing = NEEDED.find((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
  if (missing !== undefined) return `needs ${missing}: install ${PACKAGES}`;
  if (process.geteuid?.() !== 0) return 'needs root, to make loop devices';
  if (!existsSync('/dev/fuse') || !existsSync('/dev/loop-control')) return 'needs /dev/fuse and /dev/loop-control';
  const modules = spawnSync('/usr/bin/python3', ['-c', 'import rados, rbd']);
  return modules.status === 0 ? null : 'needs python3-rados and python3-rbd: install ceph-common';
}

/**
 * The place of the daemons: their address, and a prefix of their command lines. The prefix must replace its own process with the program
 * (exec).
 */
export interface CephPlace {
  readonly command: readonly string[];
  readonly address: string;
  readonly network: string;
}

const ON_LOOPBACK: CephPlace = { command: [], address: '127.0.0.1', network: '127.0.0.0/8' };

export class CephCluster {
  readonly folder: string;
  readonly conf: string;
  private readonly place: CephPlace;
  private readonly daemons = new Map<string, Running>();

  private constructor(folder: string, place: CephPlace) {
    this.folder = folder;
    this.place = place;
    this.conf = path.join(folder, 'ceph.conf');
  }

  /** Starts a cluster with a pool `rbd`. Takes about 5 s. */
  static async start(place: CephPlace = ON_LOOPBACK): Promise<CephCluster> {
    const cluster = new CephCluster(mkdtempSync(path.join(tmpdir(), 'ceph-')), place);
    try {
      await cluster.startMonitor();
      await cluster.startOthers();
      return cluster;
    } catch (thrown) {
      await cluster.remove();
      throw thrown;
    }
  }

  /** Variables with which a program reaches the cluster. */
  get environment(): Record<string, string> {
    return { PATH: process.env['PATH'] ?? '', CEPH_CONF: this.conf };
  }

  /** Runs ceph, rados or rbd, and returns its output. */
  run(program: string, ...words: readonly string[]): Promise<string> {
    const [first = '', ...rest] = [...this.place.command, program, ...words];
    return runWell(first, rest, { env: this.environment });
  }

  /** The OSD answers nothing until `resume`. */
  hang(): void {
    this.daemons.get('osd')?.kill('SIGSTOP');
  }

  /** The monitor answers nothing until `resume`. */
  hangMonitor(): void {
    this.daemons.get('mon')?.kill('SIGSTOP');
  }

  resume(): void {
    for (const daemon of this.daemons.values()) daemon.kill('SIGCONT');
  }

  async remove(): Promise<void> {
    for (const daemon of this.daemons.values()) daemon.kill();
    await Promise.allSettled([...this.daemons.values()].map((daemon) => daemon.ended));
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async startMonitor(): Promise<void> {
    const { folder } = this;
    const { address, network } = this.place;
    const [v2, v1] = [await freePort(), await freePort()];
    const addresses = `[v2:${address}:${v2},v1:${address}:${v1}]`;
    const id = '5c3f1a3e-0000-4000-8000-000000000001';
    writeFileSync(this.conf, confText(folder, id, addresses, network));
    for (const name of ['mon', 'osd', 'mgr', 'run']) mkdirSync(path.join(folder, name));
    const keys = path.join(folder, 'mon.keyring');
    const all = ['mon', 'osd', 'mgr'].flatMap((name) => ['--cap', name, 'allow *']);
    await this.run('ceph-authtool', '--create-keyring', keys, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *');
    await this.run('ceph-authtool', '--create-keyring', path.join(folder, 'keyring'), '--gen-key', '-n', 'client.admin', ...all);
    await this.run('ceph-authtool', keys, '--import-keyring', path.join(folder, 'keyring'));
    const map = path.join(folder, 'monmap');
    await this.run('monmaptool', '--create', '--fsid', id, '--addv', 'a', addresses, map);
    await this.run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map, '--keyring', keys);
    this.daemon('mon', 'ceph-mon', '-i', 'a');
  }

  private async startOthers(): Promise<void> {
    const { folder } = this;
    const keyOf = (name: string, kind: string, ...caps: readonly string[]): Promise<string> =>
      this.run('ceph', 'auth', 'get-or-create', name, ...caps, '-o', path.join(folder, kind, 'keyring'));
    await keyOf('mgr.x', 'mgr', 'mon', 'allow profile mgr', 'osd', 'allow *');
    this.daemon('mgr', 'ceph-mgr', '-i', 'x');
    await this.run('ceph', 'osd', 'create');
    await keyOf('osd.0', 'osd', 'mon', 'allow profile osd', 'osd', 'allow *', 'mgr', 'allow profile osd');
    await this.run('ceph-osd', '--mkfs', '-i', '0');
    this.daemon('osd', 'ceph-osd', '-i', '0');
    await waitFor(async () => (await this.run('ceph', 'osd', 'stat')).includes('1 up'), START_MS, 'The OSD is up');
    await this.run('ceph', 'osd', 'pool', 'create', 'rbd', '8');
    await this.run('rbd', 'pool', 'init', 'rbd');
  }

  private daemon(kind: string, program: string, ...words: readonly string[]): void {
    const [first = '', ...rest] = [...this.place.command, 'setpriv', '--pdeathsig', 'KILL', '--', program, '-f', ...words];
    this.daemons.set(kind, start(first, rest, { env: this.environment, timeoutMs: LIFE_MS }));
  }
}

function confText(folder: string, id: string, addresses: string, network: string): string {
  return `[global]
fsid = ${id}
mon_host = ${addresses}
public_network = ${network}
keyring = ${folder}/keyring
run_dir = ${folder}/run
admin_socket = ${folder}/run/$name.$pid.$cctid
log_file = ${folder}/$name.log
mon_data = ${folder}/mon
mgr_data = ${folder}/mgr
osd_data = ${folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_data_avail_warn = 1
mon_data_avail_crit = 1
mgr_initial_modules =
[mgr]
keyring = ${folder}/mgr/keyring
[osd]
keyring = ${folder}/osd/keyring
`;
}

/** Returns a port that is currently free. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
