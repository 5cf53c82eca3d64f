// One qemu-storage-daemon, which is the storage client of one generation of a pool: it has the image open, and exports it as a file. Its
// files lie in the folder of the pool. Invariants: all I/O of the pool comes from this one librados client, so a fence of its address ends
// all I/O; librbd caches nothing; a daemon that an earlier process has left is found by its arguments, which name this folder.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock } from '@rsio/base/lib/clock';
import { processesNamed, startTicksOf } from '@rsio/base/daemon/process-facts';
import { mountTable } from '@rsio/base/daemon/mount-table';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { isRecord } from '@rsio/base/lib/shape';
import { withRights } from '../rights.ts';
import { PROGRAM_OUTPUT_MAX_CHARS, RBD_CALL_MS, RBD_PING_S } from '../limits.ts';
import { awaited, runProgram } from './device-programs.ts';
import { detachLoops } from './exported-loop.ts';
import { confName, confWith } from './rbd-access.ts';
import type { RbdImage } from './rbd-helper.ts';
import { adminCommand, qmp } from './rbd-sockets.ts';

const PROGRAM = 'qemu-storage-daemon';
/** The name of the process: the kernel keeps 15 bytes. */
const PROCESS_NAME = PROGRAM.slice(0, 15);
const NODE = 'disk';
/**
 * librados logs each message with the address of its client. The client that gets the map of the cluster is the client that has the image
 * open.
 */
const FIRST_MAP = / -- (\S+) <== mon\.\S+ .*\bosd_map\(\d+\.\.(\d+)/g;

export class RbdDaemon {
  /** Address of the librados client, such as `10.0.0.9:0/2753829952`. */
  readonly address: string;
  private readonly clock: Clock;
  private readonly folder: string;
  private readonly child: Child;
  /** The version of the cluster map that the client had at its start. */
  private readonly firstEpoch: number;

  private constructor(clock: Clock, folder: string, child: Child, first: { readonly address: string; readonly epoch: number }) {
    [this.clock, this.folder, this.child, this.address, this.firstEpoch] = [clock, folder, child, first.address, first.epoch];
  }

  /** Starts a daemon in this folder, and resolves when it has the image open. Throws E_STORAGE. */
  static async start(clock: Clock, folder: string, of: RbdImage): Promise<RbdDaemon> {
    prepare(folder, of);
    const child = new Child(folder, of);
    try {
      // The daemon makes the socket after it has opened the image.
      const isOpen = (): Promise<true | null> =>
        qmp(clock, join(folder, 'qmp'), 'query-block-exports').then(truly, () => child.refuseEnded());
      if ((await awaited(clock, isOpen)) === null) throw child.failure('it does not open the image');
      const first = await awaited(clock, () => firstMap(folder));
      if (first === null) throw child.failure('it logs no address');
      // From here on, the log would only grow.
      for (const [key, value] of [
        ['debug_ms', '0/0'],
        ['log_to_file', 'false'],
      ] as const)
        await adminCommand(clock, join(folder, 'rados'), 'config set', { var: key, val: [value] });
      return new RbdDaemon(clock, folder, child, first);
    } catch (thrown) {
      await child.kill(clock);
      await clearFolder(clock, folder);
      throw thrown;
    }
  }

  /** Returns the version of the client's cluster map, or an older version. */
  async epoch(): Promise<number> {
    const counters = await adminCommand(this.clock, join(this.folder, 'rados'), 'perf dump', { logger: 'objecter', counter: 'map_epoch' });
    const objecter = isRecord(counters) ? counters['objecter'] : null;
    // The counter is 0 until the client gets its second map.
    return Math.max(this.firstEpoch, isRecord(objecter) ? Number(objecter['map_epoch']) : 0);
  }

  /** Exports the image, and returns the path of its file. Throws E_STORAGE. */
  async export(): Promise<string> {
    const [file, fuse] = [exportedIn(this.folder), { type: 'fuse', 'allow-other': 'off', writable: true, growable: true }];
    const args = { ...fuse, id: 'fuse', 'node-name': NODE, mountpoint: file };
    await qmp(this.clock, join(this.folder, 'qmp'), 'block-export-add', args).catch((thrown: unknown) => {
      throw new RsError('E_STORAGE', withRights(toRsError(thrown).message, 'CAP_SYS_ADMIN and /dev/fuse'), {}, thrown);
    });
    return file;
  }

  /**
   * Makes the daemon use the whole image. `sizeBytes` must be the present size of the image, because a smaller size would truncate the
   * image.
   */
  async grow(sizeBytes: number): Promise<void> {
    await qmp(this.clock, join(this.folder, 'qmp'), 'block_resize', { 'node-name': NODE, size: sizeBytes });
  }

  get hasEnded(): boolean {
    return this.child.hasEnded;
  }

  /** Ends the daemon at once. Its exit closes /dev/fuse, and the kernel fails all I/O of the exported file. */
  kill(): Promise<void> {
    return this.child.kill(this.clock);
  }

  /** Ends the daemon after all its I/O. If it does not end in time, it is killed. */
  async quit(): Promise<void> {
    await qmp(this.clock, join(this.folder, 'qmp'), 'quit').catch(() => undefined);
    await awaited(this.clock, () => (this.child.hasEnded ? true : null));
    await this.kill();
  }
}

class Child {
  private readonly child: ChildProcessByStdio<null, null, Readable>;
  private readonly of: RbdImage;
  private said = '';
  hasEnded = false;

  constructor(folder: string, of: RbdImage) {
    this.of = of;
    const { CEPH_ARGS: _, ...env } = of.access.environment;
    // The daemon has its own process group, because a signal from a terminal to rssrv must not end the storage below a mounted file system.
    this.child = spawn(PROGRAM, argumentsIn(folder, of), { stdio: ['ignore', 'ignore', 'pipe'], detached: true, cwd: '/', env });
    this.child.on('error', (error) => this.ended(errnoName(error) === 'ENOENT' ? `${PROGRAM} is not installed` : error.message));
    this.child.on('close', () => this.ended(''));
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.said = (this.said + text).slice(-PROGRAM_OUTPUT_MAX_CHARS)));
  }

  /** Returns null while the daemon runs. */
  refuseEnded(): null {
    if (this.hasEnded) throw this.failure('it has ended');
    return null;
  }

  failure(what: string): RsError {
    const { pool, image } = this.of;
    const reason = this.said.trim().split('\n').at(-1) || what;
    const remedy = 'install qemu-system-common and qemu-block-extra, check "ceph -s", and try: rbd info';
    return new RsError('E_STORAGE', `${PROGRAM} cannot open ${pool}/${image} (${reason}): ${remedy} ${pool}/${image}`, {
      pool,
      image,
      reason,
    });
  }

  async kill(clock: Clock): Promise<void> {
    // Node has not yet waited for this child, so the pid still belongs to the child.
    killChild(this.child);
    if ((await awaited(clock, () => (this.hasEnded ? true : null))) === null) throw this.failure('it does not end after SIGKILL');
  }

  private ended(said: string): void {
    this.hasEnded = true;
    this.said += said;
  }
}

/**
 * Ends the daemons, loop devices and mounts that storage clients in this folder have left. Throws E_STORAGE if one of them cannot be ended.
 */
export async function clearFolder(clock: Clock, folder: string): Promise<void> {
  // End the daemon first, because I/O of the device then fails and cannot hang. Unmount last, because the kernel finds the file of the
  // device through the mount.
  await endDaemons(clock, folder);
  const file = exportedIn(folder);
  await detachLoops(clock, file);
  while ((await mountTable()).some(({ mountPoint }) => mountPoint === file)) await runProgram(clock, 'umount', [file]);
  rmSync(folder, { recursive: true, force: true });
}

async function endDaemons(clock: Clock, folder: string): Promise<void> {
  const mark = monitorOf(folder);
  for (const { pid } of processesNamed((name) => name === PROCESS_NAME)) {
    const ticks = startTicksOf(pid);
    if (ticks === undefined || !argumentsOf(pid).includes(mark) || startTicksOf(pid) !== ticks) continue;
    process.kill(pid, 'SIGKILL');
    if ((await awaited(clock, () => (startTicksOf(pid) === ticks ? null : true))) === null)
      throw new RsError('E_STORAGE', `${PROGRAM} (process ${pid}) does not end after SIGKILL: restart this machine`, { pid });
  }
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch (thrown) {
    // The process has ended.
    if (errnoName(thrown) === undefined) throw thrown;
    return [];
  }
}

/** The file over which the image is mounted. */
export function exportedIn(folder: string): string {
  return join(folder, 'disk');
}

function monitorOf(folder: string): string {
  return `socket,id=qmp,path=${join(folder, 'qmp').replaceAll(',', ',,')},server=on,wait=off`;
}

function argumentsIn(folder: string, { pool, image, access }: RbdImage): string[] {
  const cache = { direct: true, 'no-flush': false };
  const place = { driver: 'rbd', pool, image, user: access.user, conf: join(folder, confName(access)) };
  const disk = { ...place, 'node-name': NODE, cache, discard: 'unmap' };
  return ['--blockdev', JSON.stringify(disk), '--chardev', monitorOf(folder), '--monitor', 'chardev=qmp'];
}

function prepare(folder: string, { access }: RbdImage): void {
  const conf = confOf(access.conf);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (readdirSync(folder).length > 0) {
    throw new RsError('E_STORAGE', `${folder} has files of an earlier storage client: restart rssrv, which ends that client`, { folder });
  }
  writeFileSync(exportedIn(folder), '', { mode: 0o600 });
  const lines = [
    `admin_socket = ${join(folder, 'rados')}`,
    `log_file = ${join(folder, 'log')}`,
    'log_to_file = true',
    'debug_ms = 1/1',
    `client_mount_timeout = ${RBD_CALL_MS / 1_000}`,
    // The pings bring a new map of the cluster soon (RbdClient.open).
    `objecter_tick_interval = ${RBD_PING_S}`,
    // By default, librbd ignores a discard of less than 64 KiB. The loop device zeroes by discards, and zeros must be zeros.
    'rbd_skip_partial_discard = false',
  ];
  writeFileSync(join(folder, confName(access)), confWith(conf, access, lines), { mode: 0o600 });
}

function confOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (errno === undefined) throw thrown;
    throw new RsError('E_STORAGE', `Cannot read ${path} (${errno}): install the configuration of Ceph, or set CEPH_CONF`, { path, errno });
  }
}

function firstMap(folder: string): { address: string; epoch: number } | null {
  const found = [...logOf(folder).matchAll(FIRST_MAP)].at(-1);
  return found === undefined ? null : { address: plain(found[1] ?? ''), epoch: Number(found[2]) };
}

function logOf(folder: string): string {
  try {
    return readFileSync(join(folder, 'log'), 'utf8');
  } catch (thrown) {
    if (errnoName(thrown) === undefined) throw thrown;
    return '';
  }
}

/** Removes the version of the protocol, such as `v2:`, which addresses in the list of fenced clients lack. */
function plain(address: string): string {
  return address.replace(/^(?:v1|v2|any):/, '');
}

function truly(): true {
  return true;
}
