// The pools of a running server: opened, locked and read. pool-verbs.ts changes their volumes. Invariants: a pool is used only while this
// process holds its lock, so that two servers never serve one pool; a pool without pool.json is never written to, because its file system
// is probably not mounted; a pool that cannot be used never stops the others.

import type { FileHandle } from 'node:fs/promises';
import { open, stat, statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { PoolConfig } from '@rsio/common/config/schema/types';
import { errnoName, errnoRemedy, RsError, toRsError } from '@rsio/common/lib/errors';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { printDuration } from '@rsio/common/lib/units';
import type { Log } from '@rsio/common/log/log';
import type { takeLocks } from '../volumes/file-locks.ts';
import { type PoolState, volumeText } from './catalogue.ts';
import type { Manifest } from './disk/manifest.ts';
import { type Allocate, PoolFiles, poolPaths } from './disk/pool-files.ts';
import { POOL_FINDINGS_MAX } from './disk/limits.ts';
import { POOL_CHANGE_MS, POOL_SILENT_MS, SPACE_WAIT_MS } from './limits.ts';
import { type PoolScan, type RemovedVolume, readIdentity, scanPool } from './disk/pool-scan.ts';

export interface PoolsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly takeLocks: typeof takeLocks;
  readonly allocate: Allocate;
  /** Called after each step on disk. Tests stop the process there. */
  readonly reached?: ((step: string) => void) | undefined;
  /**
   * Called when the file system of a pool has answered after it was silent. The caller then calls `readAgain`, as a change. If the pool is
   * not open, the caller reloads.
   */
  answersAgain(name: string): void;
  /** Called when pools or their volumes have changed. */
  changed(): void;
}

interface OpenPool {
  state: PoolState;
  readonly files: PoolFiles;
  /** Holds the lock of the pool; null if the pool cannot be used. */
  readonly lock: FileHandle | null;
}

/** Pools that are opened for a new configuration, which is not yet in force. */
export interface PoolsChange {
  readonly states: readonly PoolState[];
  /** Puts the pools into force, and closes those that are no longer configured. Call it when their volumes have been released. */
  commit(): Promise<void>;
  /** Closes what was opened. */
  undo(): Promise<void>;
}

export class Pools {
  private readonly ports: PoolsPorts;
  private list: readonly OpenPool[] = [];
  /** Paths of pools whose free space is being measured. */
  private readonly measuring = new Set<string>();
  /** Paths of pools that are being opened. Opening may last longer than anybody waits for it. */
  private readonly opening = new Set<string>();
  /** The change or scan in progress in each pool. It may last longer than anybody waits for it. */
  private readonly working = new Map<PoolFiles, Promise<unknown>>();
  /** Open pools whose file system has not answered yet. */
  private readonly silent = new Set<PoolFiles>();

  constructor(ports: PoolsPorts) {
    this.ports = ports;
  }

  get states(): readonly PoolState[] {
    return this.list.map(({ state }) => state);
  }

  /**
   * Opens the pools of a configuration. Those that are already open stay open, also under another name, and are read again if there was
   * trouble. A pool that cannot be used has a `trouble`.
   */
  async prepare(configs: readonly PoolConfig[]): Promise<PoolsChange> {
    for (const { state, files } of this.list)
      if (state.isOpen && state.trouble !== null && !this.silent.has(files)) await this.readAgain(state.name);
    const known = new Map(this.list.filter(({ state }) => state.isOpen).map((pool) => [resolve(pool.state.path), pool]));
    const all = await Promise.all(configs.map(async (config) => known.get(resolve(config.path)) ?? (await this.open(config))));
    const isNew = (pool: OpenPool): boolean => !this.list.includes(pool);
    const ids = new Map(all.filter((pool) => !isNew(pool)).map(({ state }) => [state.identity?.id, state.path]));
    const opened: OpenPool[] = [];
    for (const [index, pool] of all.entries()) {
      const { identity, path } = pool.state;
      const same = identity === null ? undefined : ids.get(identity.id);
      if (isNew(pool) && same !== undefined) {
        await pool.lock?.close();
        all[index] = unusedPool(pool, `it has the id of the pool at ${same}, of which it is a copy: remove one of the two sections [pool]`);
      } else if (isNew(pool)) {
        opened.push(pool);
        if (identity !== null) ids.set(identity.id, path);
      }
    }
    const next = configs.map(({ name, path, limitBytes, reserve }, index): OpenPool => {
      const pool = all[index]!;
      return { ...pool, state: { ...pool.state, name, path, limitBytes, reserve } };
    });
    return {
      states: next.map(({ state }) => state),
      commit: async () => {
        const before = this.list;
        this.list = next;
        opened.length = 0;
        const kept = new Set(next.map(({ lock }) => lock));
        for (const pool of before) if (!kept.has(pool.lock)) await this.release(pool);
        this.ports.changed();
        for (const { state } of next) this.report(state, before.find((one) => one.state.name === state.name)?.state);
      },
      undo: async () => {
        for (const { lock } of opened) await lock?.close();
      },
    };
  }

  /** Throws E_POOL if the pool cannot be changed. */
  private usable(name: string): OpenPool {
    const pool = this.list.find(({ state }) => state.name === name);
    const trouble = pool === undefined || pool.lock === null ? 'it is not open' : pool.state.trouble;
    if (pool === undefined || trouble !== null) throw new RsError('E_POOL', `Pool ${name} cannot be used: ${trouble}`, { pool: name });
    return pool;
  }

  /** Records a volume that was created or changed on disk. */
  put(name: string, manifest: Manifest): void {
    this.change(name, (state) => ({
      ...state,
      volumes: new Map([...state.volumes, [manifest.id, manifest]]),
      removed: without(state.removed, manifest.id),
    }));
    this.ports.changed();
  }

  /** Records a volume that was moved to the removed ones. */
  remove(name: string, removed: RemovedVolume): void {
    const { id } = removed.manifest;
    this.change(name, (state) => ({
      ...state,
      volumes: without(state.volumes, id),
      removed: new Map([...state.removed, [id, removed]]),
    }));
    this.ports.changed();
  }

  /** Records that a removed volume was deleted. */
  purge(name: string, id: string): void {
    this.change(name, (state) => ({ ...state, removed: without(state.removed, id) }));
  }

  /**
   * Measures the free space of the open pools. A pool whose file system does not answer within SPACE_WAIT_MS keeps its old figures, and is
   * not asked again before it has answered.
   */
  async measure(): Promise<void> {
    await Promise.all(
      this.list.map(async ({ files, state: { name, path, isOpen } }) => {
        if (!isOpen || this.measuring.has(path) || this.silent.has(files)) return;
        this.measuring.add(path);
        const measured = spaceOf(path)
          .then(
            (space) => this.change(name, (now) => ({ ...now, space })),
            () => this.change(name, (now) => ({ ...now, space: null })),
          )
          .finally(() => this.measuring.delete(path));
        await answers(this.ports.clock, SPACE_WAIT_MS, () => measured);
      }),
    );
  }

  /** Returns true if the file system of an open pool has answered the last measurement. */
  answers(name: string): boolean {
    return this.list.some(({ state, files }) => state.name === name && !this.measuring.has(state.path) && !this.silent.has(files));
  }

  /**
   * Executes a change of the files of a pool. Throws E_POOL if it fails, and E_TIMEOUT if it takes more than `limitMs`. After E_TIMEOUT the
   * outcome is unknown, and the pool is not changed any more until the change has ended and the pool was read again.
   */
  async onDisk<T>(name: string, limitMs: number, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    const pool = this.usable(name);
    const { files } = pool;
    const { path } = pool.state;
    const ended = this.track(
      files,
      checkPlace(pool).then(() => work(files)),
    );
    if (!(await answers(this.ports.clock, limitMs, () => ended))) {
      this.fellSilent(files, limitMs, ended);
      throw new RsError(
        'E_TIMEOUT',
        `Pool ${name} does not answer within ${printDuration(limitMs)}: whether the change was made is not known`,
        { pool: name },
      );
    }
    try {
      return await ended;
    } catch (thrown) {
      if (thrown instanceof RsError) throw thrown;
      const errno = errnoName(thrown);
      const what = errno ?? toRsError(thrown).message;
      throw new RsError(
        'E_POOL',
        `Pool ${name} at ${path} cannot be changed (${what}): ${remedyOf(errno)}`,
        { pool: name, path, errno },
        thrown,
      );
    }
  }

  /**
   * Reads a pool again after its file system was silent, or after a change failed. A change that was in progress is finished or undone. If
   * this fails, the pool has a `trouble` until the next reload.
   */
  async readAgain(name: string): Promise<void> {
    const pool = this.list.find(({ state }) => state.name === name);
    if (pool === undefined || pool.state.identity === null) return;
    const { files, state: before } = pool;
    const { path, identity } = pool.state;
    let scan: PoolScan;
    try {
      let scanning: Promise<PoolScan> | null = null;
      const isAnswered = await answers(this.ports.clock, POOL_SILENT_MS, (heard) => {
        scanning = this.track(
          files,
          checkPlace(pool).then(() => scanPool(path, identity!, true, heard)),
        );
        return scanning;
      });
      if (!isAnswered) return this.fellSilent(files, POOL_SILENT_MS, scanning!);
      scan = await scanning!;
      const present = new Set([...scan.volumes, ...scan.removed.map(({ manifest }) => manifest)].map(({ id }) => id));
      const lost = [...before.volumes.keys()].find((id) => !present.has(id));
      if (lost !== undefined) throw new RsError('E_POOL', `${poolPaths.volume(path, lost)} cannot be read: restore it, and reload`);
    } catch (thrown) {
      const trouble = toRsError(thrown).message;
      this.change(name, (state) => ({ ...state, trouble }));
      this.ports.log.error(`Pool ${name} cannot be used: ${trouble}`);
      return;
    }
    const { findings } = scan;
    this.change(name, (state) => ({ ...state, trouble: null, ...volumesOf(scan), findings }));
    this.ports.changed();
    if (before.trouble !== null) this.ports.log.info(`Pool ${name} answers again`);
  }

  /**
   * Reads an open pool again, and records what its volumes do not explain. Changes nothing on disk. The caller makes no change meanwhile.
   * Throws E_VOLUME if a folder of the pool cannot be read, and E_TIMEOUT if its file system does not answer.
   */
  async check(name: string): Promise<void> {
    const pool = this.list.find(({ state }) => state.name === name);
    if (pool === undefined || pool.state.identity === null || pool.state.trouble !== null) return;
    const { path, identity, volumes } = pool.state;
    const scan = scanPool(path, identity, false);
    if (!(await answers(this.ports.clock, POOL_CHANGE_MS, () => scan)))
      throw new RsError(
        'E_TIMEOUT',
        `Pool ${name} at ${path} does not answer within ${printDuration(POOL_CHANGE_MS)}: check its file system`,
        {
          pool: name,
          path,
        },
      );
    const present = await scan;
    const found = new Set(present.volumes.map(({ id }) => id));
    const isExplained = (folder: string): boolean => present.findings.some((finding) => finding.includes(folder));
    const lost = [...volumes.values()].flatMap((volume) => {
      const folder = poolPaths.volume(path, volume.id);
      if (found.has(volume.id) || isExplained(folder)) return [];
      return [`${folder} of volume ${volumeText(volume)} is missing: restore it from a backup of the pool`];
    });
    this.change(name, (state) => ({ ...state, findings: [...lost, ...present.findings].slice(0, POOL_FINDINGS_MAX) }));
  }

  /** Releases the locks. Call it only after the volumes of the pools have been released. */
  async close(): Promise<void> {
    const { list } = this;
    this.list = [];
    for (const pool of list) await this.release(pool);
  }

  private track<T>(files: PoolFiles, work: Promise<T>): Promise<T> {
    const done = (): void => {
      if (this.working.get(files) === tracked) this.working.delete(files);
    };
    const tracked = work.then(done, done);
    this.working.set(files, tracked);
    return work;
  }

  /** Releases the lock of a pool. While a change of its files is in progress, no other server may use the pool, and the lock stays. */
  private async release({ files, lock }: OpenPool): Promise<void> {
    const working = this.working.get(files);
    if (working === undefined) await lock?.close();
    else void working.then(() => lock?.close()).catch((thrown: unknown) => this.ports.log.error(toRsError(thrown).message));
  }

  private change(name: string, change: (state: PoolState) => PoolState): void {
    for (const pool of this.list) if (pool.state.name === name) pool.state = change(pool.state);
  }

  /** Waits until `ended` settles. Until then, the pool is not changed. */
  private fellSilent(files: PoolFiles, silentMs: number, ended: Promise<unknown>): void {
    const now = (): string | undefined => this.list.find((pool) => pool.files === files)?.state.name;
    const name = now() ?? '';
    const trouble = silentText(silentMs);
    this.silent.add(files);
    this.change(name, (state) => ({ ...state, trouble }));
    this.ports.log.error(`Pool ${name} cannot be used: ${trouble}`);
    const answered = (): void => {
      this.silent.delete(files);
      this.ports.answersAgain(now() ?? name);
    };
    ended.then(answered, answered);
  }

  /** Opens a pool. If its file system is silent, the pool has a `trouble`, and `answersAgain` is called at the end of the silence. */
  private async open(config: PoolConfig): Promise<OpenPool> {
    const { name, path } = config;
    const failed = unusedPool({ files: this.newFiles(path), lock: null, state: emptyState(config) }, silentText(POOL_SILENT_MS));
    // Each attempt would occupy another thread of this process.
    if (this.opening.has(path)) return failed;
    this.opening.add(path);
    let reading: Promise<OpenPool> | null = null;
    const isAnswered = await answers(this.ports.clock, POOL_SILENT_MS, (heard) => {
      reading = this.read(config, heard).finally(() => this.opening.delete(path));
      return reading;
    });
    if (isAnswered) return reading!;
    void (reading! as Promise<OpenPool>).then(async ({ lock }) => {
      await lock?.close();
      this.ports.answersAgain(name);
    });
    return failed;
  }

  /** Reads and locks a pool. `heard` is called whenever its file system has answered. */
  private async read(config: PoolConfig, heard: () => void): Promise<OpenPool> {
    const { path } = config;
    const files = this.newFiles(path);
    const empty = emptyState(config);
    let lock: FileHandle | null = null;
    try {
      const identity = await readIdentity(path);
      if (identity === null)
        throw new RsError('E_POOL', `${poolPaths.identity(path)} does not exist: mount the file system of the pool, then run rsadm reload`);
      lock = await this.takeLock(path);
      heard();
      const scan = await scanPool(path, identity, true, heard);
      const { findings } = scan;
      const state = { ...empty, identity, isOpen: true, trouble: null, space: await spaceOf(path), ...volumesOf(scan), findings };
      return { files, lock, state };
    } catch (thrown) {
      await lock?.close().catch(() => undefined);
      return unusedPool({ files, lock: null, state: empty }, toRsError(thrown).message);
    }
  }

  private newFiles(path: string): PoolFiles {
    return new PoolFiles(path, { allocate: this.ports.allocate, reached: this.ports.reached });
  }

  /** Locks pool.json. The lock lasts until the handle is closed or the process exits. */
  private async takeLock(path: string): Promise<FileHandle> {
    const file = poolPaths.identity(path);
    let handle: FileHandle;
    try {
      handle = await open(file, 'r+');
    } catch (thrown) {
      const errno = errnoName(thrown);
      throw new RsError(
        'E_POOL',
        `${file} cannot be opened for writing (${errno ?? '?'}): ${errnoRemedy(errno) ?? 'let rssrv write to the pool'}`,
        { file, errno },
        thrown,
      );
    }
    const [outcome] = await this.ports.takeLocks([{ descriptor: handle.fd, shared: false }]);
    if (outcome === 'held') return handle;
    await handle.close();
    if (outcome === 'taken')
      throw new RsError(
        'E_POOL',
        `${file} is locked, because another rssrv or another section [pool] uses the pool: stop that rssrv, or remove that section`,
        { file },
      );
    throw new RsError('E_POOL', `${file} cannot be locked: install perl (Debian: perl-base), and use a file system that has locks`, {
      file,
    });
  }

  private report(now: PoolState, before: PoolState | undefined): void {
    const { log } = this.ports;
    if (now.trouble !== null) log.error(`Pool ${now.name} cannot be used: ${now.trouble}`);
    else if (before?.trouble !== null) log.info(`Pool ${now.name} at ${now.path} has ${now.volumes.size} volumes`);
    const known = new Set(before?.findings);
    for (const finding of now.findings) if (!known.has(finding)) log.warn(`Pool ${now.name}: ${finding}`);
  }
}

/** Returns what to do after a change of a pool's files has failed. */
function remedyOf(errno: string | undefined): string {
  switch (errno) {
    case 'EFBIG':
      return 'its file system has no files of this size; choose a smaller size, or a pool on XFS';
    case 'EOPNOTSUPP':
      return 'its file system cannot allocate space; create the volume without --thick';
    case 'EACCES':
    case 'EPERM':
      return 'let rssrv write there';
    case 'ENOENT':
      return 'check that its file system is mounted';
    default:
      return errnoRemedy(errno) ?? "find the cause in the system's log (dmesg)";
  }
}

/**
 * Throws E_POOL if the path of an open pool no longer leads to the pool.json that is locked, for example because the file system was
 * unmounted. Nothing may then be written there.
 */
async function checkPlace({ lock, state: { path } }: OpenPool): Promise<void> {
  const file = poolPaths.identity(path);
  const [locked, named] = await Promise.all([lock?.stat(), stat(file).catch(() => null)]);
  if (named !== null && locked?.ino === named.ino && locked.dev === named.dev) return;
  throw new RsError('E_POOL', `${file} is not the file that was opened: mount the file system of the pool, or restart rssrv`, { file });
}

/**
 * Returns true if the work settles before it has been silent for this time. The work calls `heard` when it has made progress.
 */
export function answers(clock: Clock, silentMs: number, work: (heard: () => void) => Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const arm = (): Timer => clock.after(silentMs, () => resolve(false));
    let timer = arm();
    const settled = (): void => {
      timer.cancel();
      resolve(true);
    };
    work(() => {
      timer.cancel();
      timer = arm();
    }).then(settled, settled);
  });
}

function silentText(silentMs: number): string {
  return `its file system has not answered for ${printDuration(silentMs)}`;
}

function emptyState({ name, path, limitBytes, reserve }: PoolConfig): PoolState {
  const nothing = { identity: null, isOpen: false, trouble: null, space: null, findings: [] };
  return { name, path, limitBytes, reserve, ...nothing, volumes: new Map(), removed: new Map() };
}

function unusedPool({ files, state }: OpenPool, trouble: string): OpenPool {
  const nothing = { identity: null, isOpen: false, space: null, findings: [] };
  return { files, lock: null, state: { ...state, ...nothing, trouble, volumes: new Map(), removed: new Map() } };
}

function volumesOf({ volumes, removed }: PoolScan): Pick<PoolState, 'volumes' | 'removed'> {
  return {
    volumes: new Map(volumes.map((manifest) => [manifest.id, manifest])),
    removed: new Map(removed.map((one) => [one.manifest.id, one])),
  };
}

async function spaceOf(path: string): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
  const { bsize, blocks, bavail } = await statfs(path);
  return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
}

function without<T>(map: ReadonlyMap<string, T>, key: string): ReadonlyMap<string, T> {
  if (!map.has(key)) return map;
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}
