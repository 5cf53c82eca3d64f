// Opens, locks and reads the pools of a running server. pool-verbs.ts changes their volumes. Invariants: a pool is used only while this
// process holds its lock, so that two servers never serve one pool. A pool without pool.json is never written to, because its file system
// is probably not mounted. A pool that cannot be used does not affect the other pools.

import { resolve } from 'node:path';
import type { PoolConfig } from '@rsio/common/config/schema/types';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { PoolState } from './catalogue.ts';
import { answers } from './disk/answers.ts';
import type { Manifest } from './disk/manifest.ts';
import { PoolFiles } from './disk/pool-files.ts';
import { POOL_CHANGE_MS, POOL_FINDINGS_MAX, POOL_SILENT_MS, SPACE_WAIT_MS, SPARE_ROOM_BYTES } from './limits.ts';
import type { FoundPart, RemovedVolume } from './disk/pool-scan.ts';
import { settleImages } from './repair/image-repair.ts';
import { settleMoves } from './repair/move-repair.ts';
import { settleParts } from './repair/part-repair.ts';
import {
  account,
  changeError,
  contentOf,
  findingsOf,
  lostIn,
  missingFindings,
  report,
  silentText,
  UNTRUSTED,
  spaceOf,
  withPart,
  withPurged,
  withRemoved,
  withSnapshots,
  withVolume,
} from './pool-content.ts';
import { checkPlace, type OpenPool, PoolOpenings, type ReadPorts, unusedPool, whyNotOwned } from './open-pool.ts';
import { PoolSpace } from './pool-space.ts';
import { PoolWork } from './pool-work.ts';
import { checkSnapshots, settleSnapshots } from './repair/snapshot-repair.ts';
import { NO_SNAPSHOTS, type PoolContentScan, scanContent, type VolumeSnapshots } from './snapshots/snapshot-scan.ts';

export interface PoolsPorts extends ReadPorts {
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Called when the file system of a shared pool has failed, so that it must be mounted again. */
  storageFailed(name: string, why: string): void;
  /** Called with the states of all pools when pools or their volumes have changed. */
  changed(states: readonly PoolState[]): void;
  /** Called when the free space of the pools was measured. */
  measured?(): void;
}

/** Pools that are opened for a new configuration, which is not yet in force. */
export interface PoolsChange {
  readonly states: readonly PoolState[];
  /**
   * Makes this server the owner of the pools that `prepare` has opened. Must be called before a volume of these pools is served. A pool
   * that cannot be owned gets a `trouble`, and is not open.
   */
  own(): Promise<void>;
  /** Puts the pools into force. Must be called before a volume of a new pool is served, and in the same turn of the event loop. */
  enter(): void;
  /** Closes the pools that are no longer configured, after `enter`. The volumes of these pools must already have been released. */
  commit(): Promise<void>;
  /** Closes the pools that `prepare` has opened. */
  undo(): Promise<void>;
}

/** A pool by its state at some earlier time, or by its name now. A reload may give a name to another pool while a job or a step aside runs. */
type PoolKey = Pick<PoolState, 'name' | 'identity'> | string;

function isPool({ name, identity }: PoolState, key: PoolKey): boolean {
  if (typeof key === 'string') return name === key;
  return key.identity === null ? name === key.name : identity?.id === key.identity.id;
}

function nameOf(key: PoolKey): string {
  return typeof key === 'string' ? key : key.name;
}

export class Pools {
  readonly space = new PoolSpace();
  /** Ids of volumes that are being created, and whose files no worker has opened yet. */
  readonly created = new Set<string>();
  /** Ids of volumes whose files are being made in the background. On disk, these files look like the files of an interrupted change. */
  readonly making = new Set<string>();
  /** Paths at which a pool is being made, even after the caller has stopped waiting. */
  readonly makingAt = new Set<string>();
  private readonly ports: PoolsPorts;
  private list: readonly OpenPool[] = [];
  /** Paths of pools with a `look` in progress. */
  private readonly measuring = new Set<string>();
  private readonly openings: PoolOpenings;
  private readonly work = new PoolWork();
  /** Open shared pools whose file system has failed. */
  private readonly untrusted = new WeakSet<PoolFiles>();
  /** For each shared pool that this server has left: a promise that resolves when this process has closed the pool. */
  private readonly leaving = new Map<string, Promise<void>>();
  /** Open pools whose file system has not answered yet. */
  private readonly silent = new Set<PoolFiles>();

  constructor(ports: PoolsPorts) {
    this.ports = ports;
    this.openings = new PoolOpenings(ports);
  }

  get states(): readonly PoolState[] {
    return this.list.map(({ state }) => state);
  }

  /**
   * Opens the pools of a configuration. Open pools stay open, even if their name changes. Open pools with a `trouble` are read again.
   * A pool that cannot be used gets a `trouble`.
   */
  async prepare(configs: readonly PoolConfig[]): Promise<PoolsChange> {
    const { all, opened } = await this.openAll(configs);
    const next = configs.map(({ name, path, limitBytes, reserve, overcommit, shared }, index): OpenPool => {
      const pool = all[index]!;
      return { ...pool, state: { ...pool.state, name, path, limitBytes, reserve, overcommit, isShared: shared !== null } };
    });
    await this.settle(next);
    let before: readonly OpenPool[] = [];
    let isEntered = false;
    const enter = (): void => {
      if (isEntered) return;
      isEntered = true;
      before = this.list;
      this.keepSilences(next);
      this.list = next;
      for (const { files } of next) if (opened.some((pool) => pool.files === files)) this.ports.ledgers.inForce(files);
      opened.length = 0;
    };
    return {
      get states() {
        return next.map(({ state }) => state);
      },
      own: async () => {
        const own = async (pool: OpenPool, index: number): Promise<void> => {
          if (pool.lock === null || !opened.some(({ files }) => files === pool.files)) return;
          if (await this.repaired(pool, (files) => this.ports.ledgers.own(files, pool.state))) return;
          next[index] = unusedPool(pool, pool.state.trouble ?? '');
          await this.release(pool);
        };
        await Promise.all(next.map(own));
      },
      enter,
      commit: async () => {
        enter();
        const kept = new Set(next.map(({ lock }) => lock));
        for (const pool of before) if (!kept.has(pool.lock)) await this.release(pool);
        this.ports.changed(this.states);
        const states = next.map(({ state }) => state);
        const was = before.map(({ state }) => state);
        const reported = was.flatMap((state) => findingsOf(state, was));
        const wasOf = (now: PoolState): PoolState | undefined => was.find(({ name }) => name === now.name);
        for (const state of states) report(this.ports.log, state, wasOf(state), findingsOf(state, states), reported);
      },
      undo: async () => {
        this.takeParts(next);
        const left = next.filter(({ files }) => opened.some((pool) => pool.files === files));
        for (const { lock, files } of left) {
          this.ports.ledgers.left(files);
          await lock?.close();
        }
      },
    };
  }

  /** `all`: the pools of the configuration, in its order. `opened`: those of them that were not open before. */
  private async openAll(configs: readonly PoolConfig[]): Promise<{ readonly all: OpenPool[]; readonly opened: OpenPool[] }> {
    for (const { state, files } of this.list)
      if (state.isOpen && state.trouble !== null && !this.silent.has(files)) await this.readAgain(state.name);
    const known = new Map(this.list.filter(({ state }) => state.isOpen).map((pool) => [resolve(pool.state.path), pool]));
    const all = await Promise.all(configs.map(async (config) => known.get(resolve(config.path)) ?? (await this.openings.open(config))));
    const isNew = (pool: OpenPool): boolean => !this.list.includes(pool);
    // A pool that this configuration removes is still in force, so a copy of the pool must not replace it yet.
    const ids = new Map(this.list.filter(({ lock }) => lock !== null).map(({ state }) => [state.identity?.id, state.path]));
    const opened: OpenPool[] = [];
    for (const [index, pool] of all.entries()) {
      const { identity, path } = pool.state;
      const same = identity === null ? undefined : ids.get(identity.id);
      if (isNew(pool) && same !== undefined) {
        await pool.lock?.close();
        this.ports.ledgers.left(pool.files);
        all[index] = unusedPool(pool, `it has the id of the pool at ${same}, of which it is a copy: remove one of the two sections [pool]`);
      } else if (isNew(pool)) {
        opened.push(pool);
        if (identity !== null) ids.set(identity.id, path);
      }
    }
    return { all, opened };
  }

  /** Throws E_POOL if the pool cannot be changed. */
  private usable(key: PoolKey): OpenPool {
    const pool = this.list.find(({ state }) => isPool(state, key));
    const name = pool?.state.name ?? nameOf(key);
    const silence = pool !== undefined && this.silent.has(pool.files) ? 'its file system does not answer' : null;
    const trouble = pool === undefined || pool.lock === null ? 'it is not open' : (pool.state.trouble ?? silence);
    if (pool === undefined || trouble !== null) throw new RsError('E_POOL', `Pool ${name} cannot be used: ${trouble}`, { pool: name });
    return pool;
  }

  /** Records a volume that was created or changed on disk. */
  put(pool: PoolKey, manifest: Manifest): void {
    this.change(pool, (state) => withVolume(state, manifest));
    this.ports.changed(this.states);
  }

  /** Records that a volume was moved to the removed volumes. */
  remove(pool: PoolKey, removed: RemovedVolume): void {
    this.change(pool, (state) => withRemoved(state, removed));
    this.ports.changed(this.states);
  }

  /** Records that a removed volume was deleted for good. Parts of a volume of several files may still exist. */
  purge(pool: PoolKey, manifest: Manifest): void {
    this.change(pool, (state) => withPurged(state, manifest));
  }

  /** Records a part that was created, or changed on disk. */
  putPart(pool: PoolKey, part: FoundPart): void {
    this.change(pool, (state) => withPart(state, part));
  }

  /** Records a change of the snapshots of a volume. */
  putSnapshots(pool: PoolKey, volumeId: string, change: (snapshots: VolumeSnapshots) => VolumeSnapshots): void {
    this.change(pool, (state) => {
      const before = state.snapshots.get(volumeId) ?? NO_SNAPSHOTS;
      const after = change(before);
      checkSnapshots(before, after);
      return withSnapshots(state, volumeId, after);
    });
  }

  /**
   * Finishes or undoes unfinished changes of volumes of several files, snapshots, moves and images in all pools. A failure is logged and
   * becomes the `trouble` of the pool.
   */
  async settleParts(): Promise<void> {
    await this.settle(this.list);
    this.ports.changed(this.states);
  }

  private async settle(pools: readonly OpenPool[]): Promise<void> {
    // Snapshots come first, because the description of a snapshot decides whether its parts are kept.
    await settleSnapshots(pools, (pool, work) => this.repaired(pool, work));
    await settleParts(pools, (pool, work) => this.repaired(pool, work));
    await settleMoves(pools, (pool, work) => this.repaired(pool, work));
    await settleImages(pools, (pool, work) => this.repaired(pool, work));
    account(pools);
  }

  private async repaired(pool: OpenPool, work: (files: PoolFiles) => Promise<void>): Promise<boolean> {
    const { files } = pool;
    const { name } = pool.state;
    const ended = this.work.track(
      files,
      checkPlace(pool).then(() => work(files)),
    );
    if (!(await answers(this.ports.clock, POOL_CHANGE_MS, () => ended))) {
      pool.state = { ...pool.state, trouble: silentText(POOL_CHANGE_MS) };
      this.fellSilent(files, POOL_CHANGE_MS, ended, name);
      return false;
    }
    try {
      await ended;
      return true;
    } catch (thrown) {
      const trouble = toRsError(thrown).message;
      pool.state = { ...pool.state, trouble };
      this.ports.log.error(`Pool ${name} cannot be used: ${trouble}`);
      return false;
    }
  }

  /**
   * If a pool has stopped answering since `prepare` copied its state, copies its `trouble` to the new state. A pool may have stopped
   * answering during background work or a job.
   */
  private keepSilences(next: readonly OpenPool[]): void {
    for (const pool of next) {
      const now = this.list.find(({ files }) => files === pool.files);
      if (now !== undefined && this.silent.has(pool.files))
        pool.state = { ...pool.state, trouble: now.state.trouble ?? pool.state.trouble };
    }
  }

  /** Adopts the states that `prepare` has repaired. The repairs stay on disk although the prepared change is undone. */
  private takeParts(pools: readonly OpenPool[]): void {
    for (const pool of this.list) {
      const { volumes, parts, purging, snapshots } = pools.find(({ files }) => files === pool.files)?.state ?? pool.state;
      pool.state = { ...pool.state, volumes, parts, purging, snapshots };
    }
    account(this.list);
  }

  /**
   * Measures the free space of the open pools. A pool whose file system does not answer within SPACE_WAIT_MS keeps its old figures,
   * and is measured again only after its file system has answered.
   */
  async measure(): Promise<void> {
    for (const { state } of this.list) {
      const why = whyNotOwned(state, this.ports.ownershipOf);
      if (why !== null) this.change(state.name, (now) => ({ ...now, trouble: why }));
    }
    const measured = ({ state: { name, path } }: OpenPool): Promise<void> =>
      spaceOf(path).then(
        (space) => this.change(name, (now) => ({ ...now, space })),
        () => this.change(name, (now) => ({ ...now, space: null })),
      );
    await Promise.all(this.list.map((pool) => this.look(pool, () => measured(pool))));
    this.ports.measured?.();
  }

  /** Makes spare files in the open pools that have room for them. Failures are logged. */
  async fillSpare(): Promise<void> {
    for (const pool of this.list) {
      const { files, state } = pool;
      if (state.trouble !== null || !files.spare.isWanted || (state.space?.freeBytes ?? 0) < SPARE_ROOM_BYTES) continue;
      const filled = (): Promise<void> =>
        this.work.track(
          files,
          checkPlace(pool).then(() => files.spare.fill()),
        );
      const failed = (thrown: unknown): void => this.ports.log.warn(`Pool ${state.name} has no spare files: ${toRsError(thrown).message}`);
      await this.look(pool, () => filled().catch(failed));
    }
  }

  /**
   * Executes `work` on an open pool, unless the work of an earlier call of `look` is still running on the pool. Waits for the work at most
   * SPACE_WAIT_MS.
   */
  private async look({ files, state: { path, isOpen } }: OpenPool, work: () => Promise<void>): Promise<void> {
    if (!isOpen || this.measuring.has(path) || this.silent.has(files)) return;
    this.measuring.add(path);
    const ended = work().finally(() => this.measuring.delete(path));
    await answers(this.ports.clock, SPACE_WAIT_MS, () => ended);
  }

  /** Returns true if the file system of an open pool has answered the last measurement. */
  answers(name: string): boolean {
    return this.list.some(({ state, files }) => state.name === name && !this.measuring.has(state.path) && !this.silent.has(files));
  }

  /**
   * Executes a change of the files of a pool. Throws E_POOL if the change fails, and E_TIMEOUT if it takes longer than `limitMs`.
   * After E_TIMEOUT the outcome is unknown. No further change of the pool begins until this change has ended and the pool has been
   * read again.
   */
  async onDisk<T>(pool: PoolKey, limitMs: number, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    return this.limited(this.usable(pool), limitMs, work);
  }

  /**
   * Executes a change of the ledger of a pool, or work on a gate record, like `onDisk`. The pool must be open, but it may have volumes that
   * cannot be read, because the holders of the other volumes must still be saved.
   */
  async onLedger<T>(poolId: string, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    const pool = this.list.find(({ state, lock }) => state.identity?.id === poolId && lock !== null);
    if (pool === undefined) throw new RsError('E_POOL', `Pool id ${poolId} is not open: mount it, then run rsadm reload`, { poolId });
    const { name } = pool.state;
    if (this.silent.has(pool.files))
      throw new RsError('E_POOL', `Pool ${name} cannot be used: its file system does not answer`, { pool: name });
    return this.limited(pool, POOL_CHANGE_MS, work);
  }

  private async limited<T>(pool: OpenPool, limitMs: number, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    const { files } = pool;
    const { name } = pool.state;
    const ended = this.work.track(
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
      const errno = errnoName(thrown) ?? '';
      if (pool.state.isShared && UNTRUSTED.includes(errno)) this.distrust(pool, errno);
      throw changeError(pool.state, thrown);
    }
  }

  /**
   * Called when the file system of a shared pool has failed, perhaps because another server has fenced this one. From now on, the file
   * system may show data that is only in memory. The pool is therefore not read again until it has been mounted again.
   */
  private distrust({ files, state: { name } }: OpenPool, what: string): void {
    this.untrusted.add(files);
    this.change(name, (state) => ({ ...state, trouble: `its file system has reported ${what}` }));
    this.ports.storageFailed(name, `its file system has reported ${what}`);
  }

  /**
   * Reads a pool again after its file system has not answered, or after a change has failed. Finishes or undoes an interrupted change.
   * If the reading or the repair fails, the pool has a `trouble` until the next reload.
   */
  async readAgain(name: string): Promise<void> {
    const pool = this.list.find(({ state }) => state.name === name);
    if (pool === undefined || pool.state.identity === null || this.untrusted.has(pool.files)) return;
    const { files, state: before } = pool;
    const { path, identity } = pool.state;
    let scan: PoolContentScan;
    try {
      let scanning: Promise<PoolContentScan> | null = null;
      const isAnswered = await answers(this.ports.clock, POOL_SILENT_MS, (heard) => {
        scanning = this.work.track(
          files,
          checkPlace(pool).then(() => scanContent(path, identity!, true, heard, { snapshots: pool.state.snapshots, volumes: this.making })),
        );
        return scanning;
      });
      if (!isAnswered) return this.fellSilent(files, POOL_SILENT_MS, scanning!);
      scan = await scanning!;
      const lost = lostIn(before, scan);
      if (lost !== null) throw new RsError('E_POOL', `${lost} cannot be read: restore it, and reload`);
    } catch (thrown) {
      const trouble = toRsError(thrown).message;
      this.change(name, (state) => ({ ...state, trouble }));
      this.ports.log.error(`Pool ${name} cannot be used: ${trouble}`);
      return;
    }
    this.change(name, (state) => ({ ...state, trouble: null, ...contentOf(scan) }));
    await this.settle(this.list);
    this.ports.changed(this.states);
    if (before.trouble !== null) this.ports.log.info(`Pool ${name} answers again`);
  }

  /**
   * Reads an open pool again, and records findings about files that its volumes do not explain. Changes nothing on disk. The caller
   * must make no change while this runs. Throws E_VOLUME if a folder of the pool cannot be read, and E_TIMEOUT if the file system of
   * the pool does not answer.
   */
  async check(name: string): Promise<void> {
    const pool = this.list.find(({ state }) => state.name === name);
    if (pool === undefined || pool.state.identity === null || pool.state.trouble !== null) return;
    const { path, identity } = pool.state;
    const scan = scanContent(path, identity, false);
    if (!(await answers(this.ports.clock, POOL_CHANGE_MS, () => scan)))
      throw new RsError(
        'E_TIMEOUT',
        `Pool ${name} at ${path} does not answer within ${printDuration(POOL_CHANGE_MS)}: check its file system`,
        { pool: name, path },
      );
    const present = await scan;
    const missing = missingFindings(pool.state, present);
    this.change(name, (state) => ({ ...state, findings: [...missing, ...present.findings].slice(0, POOL_FINDINGS_MAX) }));
  }

  /**
   * Executes `commit`, which moves a volume with its snapshots to another open pool. Before `commit` begins, their holders are durable in
   * that pool.
   */
  carry<T>(id: string, snapshotIds: readonly string[], targetId: string, commit: () => Promise<T>): Promise<T> {
    const mayBeThere = (): boolean => {
      const now = this.states.find(({ identity }) => identity?.id === targetId);
      return now === undefined || now.trouble !== null || now.volumes.has(id);
    };
    return this.ports.ledgers.carry([id, ...snapshotIds], targetId, commit, mayBeThere);
  }

  /**
   * Stops using a shared pool that stays configured, for the reason `trouble`. Its volumes must already have been released. `closed` waits
   * for the end of the work in progress.
   */
  leave(name: string, trouble: string): void {
    const pool = this.list.find(({ state, lock }) => state.name === name && lock !== null);
    if (pool === undefined) return;
    this.list = this.list.map((one) => (one === pool ? unusedPool(pool, trouble) : one));
    account(this.list);
    this.ports.changed(this.states);
    this.leaving.set(
      name,
      this.work.idle(pool.files).then(() => this.release(pool)),
    );
  }

  /** Resolves when this process has no file open in the pool that it has left. */
  async closed(name: string): Promise<void> {
    await this.leaving.get(name);
    this.leaving.delete(name);
  }

  /** Releases the locks of all pools. The volumes of the pools must already have been released. */
  async close(): Promise<void> {
    const { list } = this;
    this.list = [];
    for (const pool of list) await this.release(pool);
  }

  /** Releases the lock of a pool, but only once no change of its files is in progress, because another server may then use the pool. */
  private async release({ files, lock }: Pick<OpenPool, 'files' | 'lock'>): Promise<void> {
    this.ports.ledgers.left(files);
    if (this.work.isIdle(files)) await lock?.close();
    else
      void this.work
        .idle(files)
        .then(() => this.release({ files, lock }))
        .catch((thrown: unknown) => this.ports.log.error(toRsError(thrown).message));
  }

  private change(key: PoolKey, change: (state: PoolState) => PoolState): void {
    for (const pool of this.list) if (isPool(pool.state, key)) pool.state = change(pool.state);
    account(this.list);
  }

  /**
   * Called when a pool does not answer. Gives the pool a `trouble` that refuses changes, and reports to the owner when `ended`
   * settles, because the pool then answers again.
   */
  private fellSilent(files: PoolFiles, silentMs: number, ended: Promise<unknown>, known = ''): void {
    const now = (): string | undefined => this.list.find((pool) => pool.files === files)?.state.name;
    const name = now() ?? known;
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
}
