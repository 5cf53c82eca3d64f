// Creates, grows, renames, changes, removes and restores volumes of the pools. catalogue.ts decides, pool-files.ts changes the disk, and the
// listener starts and stops serving the volume. The caller makes one change at a time. Invariants: a change is answered only when it is
// durable; a request that is repeated with the same id is answered without being executed again (P5), also after a restart, because the id
// is committed together with the change.

import { isDeepStrictEqual } from 'node:util';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { allocateLimitMs } from './disk/allocate.ts';
import { type Asker, checkRole } from './asker.ts';
import {
  type Catalogue,
  type CreateRequest,
  decideCreate,
  decideGrow,
  decideRemove,
  decideRename,
  decideRestore,
  decideSet,
  findVolume,
  type Found,
  type NamedVolume,
  type PoolState,
  type Settings,
  type VolumeName,
  volumeText,
} from './catalogue.ts';
import { isRequestId, type Manifest } from './disk/manifest.ts';
import type { PoolFiles } from './disk/pool-files.ts';
import { volumeConfigOf } from './pool-volume.ts';
import type { Pools } from './pools.ts';
import { REQUEST_ID_MAX_CHARS } from './disk/limits.ts';
import { POOL_CHANGE_MS, REMOVED_KEPT_MS } from './limits.ts';

export interface PoolVerbsPorts {
  readonly pools: Pools;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Returns a new random UUID in lower case. */
  readonly newId: () => string;
  /** Volumes of sections [volume]. */
  configured(): readonly NamedVolume[];
  /** Throws E_HELD, naming the clients, if this change of a volume is not possible while they use it. Null: the volume does not exist. */
  check(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): void;
  /** Serves the volume as it is now, or stops serving it, and tells the clients. Throws and changes nothing if it cannot. */
  apply(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): Promise<void>;
}

export class PoolVerbs {
  private readonly ports: PoolVerbsPorts;
  /** Ids of volumes that are not served, although the pool may have them. */
  private readonly doubtful = new Set<string>();

  constructor(ports: PoolVerbsPorts) {
    this.ports = ports;
  }

  private get catalogue(): Catalogue {
    return { pools: this.ports.pools.states, configured: this.ports.configured() };
  }

  async create(request: CreateRequest, asker: Asker, requestId: string | null): Promise<Found> {
    checkRole(asker, 'manage', 'create volumes');
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    await this.ports.pools.measure();
    const stamp = { id: this.ports.newId(), request: requestId, nowMs: this.ports.clock.wallMs() };
    const { pool, manifest: wanted } = decideCreate(this.catalogue, request, asker, stamp);
    const manifest = await this.onDisk(pool, allocateMs(request.thick ? request.sizeBytes : 0), (files) => files.create(wanted));
    this.ports.pools.put(pool.name, manifest);
    await this.serve(pool, null, manifest);
    return { pool, manifest };
  }

  /** `sizeBytes`: the new size, more than the old one. */
  async grow(name: VolumeName, sizeBytes: number, asker: Asker, requestId: string | null): Promise<Found> {
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    await this.ports.pools.measure();
    const found = findVolume(this.catalogue, name);
    const { pool, manifest: was } = found;
    const manifest = decideGrow(this.catalogue, found, sizeBytes, asker, requestId);
    const limitMs = allocateMs(was.thick ? sizeBytes - was.sizeBytes : 0);
    this.ports.check(volumeConfigOf(pool, was), volumeConfigOf(pool, manifest));
    await this.onDisk(pool, limitMs, (files) => files.extend(was.id, was.sizeBytes, sizeBytes, was.thick));
    return this.replace(found, manifest);
  }

  async rename(name: VolumeName, to: VolumeName, asker: Asker, requestId: string | null): Promise<Found> {
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    const found = findVolume(this.catalogue, name);
    return this.replace(found, decideRename(this.catalogue, found, to, asker, requestId));
  }

  async set(name: VolumeName, settings: Settings, asker: Asker, requestId: string | null): Promise<Found> {
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    const found = findVolume(this.catalogue, name);
    return this.replace(found, decideSet(found, settings, asker, requestId));
  }

  /** Moves the volume to the removed ones, where it stays for REMOVED_KEPT_MS. */
  async remove(name: VolumeName, asker: Asker, requestId: string | null): Promise<Found> {
    const before = this.removedBy(requestId);
    if (before !== null) return before;
    const found = findVolume(this.catalogue, name);
    const { pool, manifest } = found;
    decideRemove(found, asker);
    const was = volumeConfigOf(pool, manifest);
    this.ports.check(was, null);
    const removal = { removedMs: this.ports.clock.wallMs(), by: asker.node, request: requestId };
    await this.ports.apply(was, null);
    this.doubtful.add(manifest.id);
    await this.onDisk(pool, POOL_CHANGE_MS, (files) => files.remove(manifest.id, removal));
    this.doubtful.delete(manifest.id);
    this.ports.pools.remove(pool.name, { manifest, removal });
    return found;
  }

  /** Brings back the volume of this name that was removed last. */
  async restore(name: VolumeName, asker: Asker, requestId: string | null): Promise<Found> {
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    const { pool, manifest } = decideRestore(this.catalogue, name, asker, requestId);
    await this.onDisk(pool, POOL_CHANGE_MS, (files) => files.restore(manifest));
    this.ports.pools.put(pool.name, manifest);
    await this.serve(pool, null, manifest);
    return { pool, manifest };
  }

  /** Deletes the volumes whose time as removed volumes is over. Failures are logged. */
  async purgeExpired(): Promise<void> {
    const nowMs = this.ports.clock.wallMs();
    for (const pool of this.ports.pools.states) {
      for (const { manifest, removal } of pool.removed.values()) {
        // The pool may have fallen silent at the volume before.
        if (this.ports.pools.states.find(({ name }) => name === pool.name)?.trouble !== null) break;
        if (nowMs - removal.removedMs < REMOVED_KEPT_MS) continue;
        try {
          await this.purge(pool, manifest);
        } catch (thrown) {
          this.ports.log.error(
            `Removed volume ${volumeText(manifest)} of pool ${pool.name} cannot be deleted: ${toRsError(thrown).message}`,
          );
        }
      }
    }
  }

  private async purge(pool: PoolState, manifest: Manifest): Promise<void> {
    await this.onDisk(pool, POOL_CHANGE_MS, (files) => files.purge(manifest.id));
    this.ports.pools.purge(pool.name, manifest.id);
    this.ports.log.info(`Removed volume ${volumeText(manifest)} of pool ${pool.name} was deleted for good`);
  }

  /** Checks that the change is possible while clients use the volume, commits the manifest, and serves the volume with it. */
  private async replace({ pool, manifest: was }: Found, manifest: Manifest): Promise<Found> {
    this.ports.check(volumeConfigOf(pool, was), volumeConfigOf(pool, manifest));
    await this.onDisk(pool, POOL_CHANGE_MS, (files) => files.replaceManifest(manifest));
    this.ports.pools.put(pool.name, manifest);
    try {
      await this.serve(pool, was, manifest);
    } catch (thrown) {
      await this.takeBack(pool, was);
      throw thrown;
    }
    return { pool, manifest };
  }

  /**
   * Writes the manifest with which a volume is served, because a new one cannot come into force. For example, a client has begun to use the
   * volume meanwhile, and the next start would otherwise serve it differently to its holder. A failure is logged.
   */
  private async takeBack({ name }: PoolState, was: Manifest): Promise<void> {
    try {
      await this.ports.pools.onDisk(name, POOL_CHANGE_MS, (files) => files.replaceManifest(was));
      this.ports.pools.put(name, was);
    } catch (thrown) {
      this.ports.log.error(`Volume ${volumeText(was)} of pool ${name} is served as before, but not on disk: ${toRsError(thrown).message}`);
    }
  }

  /**
   * Reads a pool again after a change whose outcome is unknown, and serves its volumes as they are on disk. Failures are logged. The caller
   * makes no other change at the time.
   */
  async readAgain(name: string): Promise<void> {
    const state = (): PoolState | undefined => this.ports.pools.states.find((pool) => pool.name === name);
    const before = state();
    await this.ports.pools.readAgain(name);
    const after = state();
    if (before === undefined || after === undefined) return;
    for (const id of new Set([...before.volumes.keys(), ...after.volumes.keys()])) {
      const [was = null, now = null] = [before.volumes.get(id), after.volumes.get(id)];
      if (isDeepStrictEqual(was, now) && !this.doubtful.has(id)) continue;
      const config = (manifest: Manifest | null): ServerVolumeConfig | null => (manifest === null ? null : volumeConfigOf(after, manifest));
      try {
        await this.ports.apply(config(was), config(now));
        this.doubtful.delete(id);
      } catch (thrown) {
        this.ports.log.error(`Volume ${(now ?? was)?.name} of pool ${name}: ${toRsError(thrown).message}`);
        if (was !== null && now !== null) await this.takeBack(after, was);
      }
    }
  }

  /** Changes the files of a pool. A failed step may come after the commit point, so that only the disk tells whether the change was made. */
  private async onDisk<T>({ name }: PoolState, limitMs: number, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    try {
      return await this.ports.pools.onDisk(name, limitMs, work);
    } catch (thrown) {
      // A silent pool is read when it answers again.
      const isUsable = this.ports.pools.states.some((pool) => pool.name === name && pool.trouble === null);
      if (isUsable) await this.readAgain(name);
      throw thrown;
    }
  }

  private async serve(pool: PoolState, was: Manifest | null, now: Manifest): Promise<void> {
    await this.ports.apply(was === null ? null : volumeConfigOf(pool, was), volumeConfigOf(pool, now));
  }

  /** Returns the volume whose last change this request made, or null. */
  private doneBy(requestId: string | null): Found | null {
    if (requestId === null) return null;
    checkRequest(requestId);
    for (const pool of this.ports.pools.states) {
      for (const manifest of pool.volumes.values()) if (manifest.request === requestId) return { pool, manifest };
    }
    return null;
  }

  private removedBy(requestId: string | null): Found | null {
    if (requestId === null) return null;
    checkRequest(requestId);
    for (const pool of this.ports.pools.states) {
      for (const { manifest, removal } of pool.removed.values()) if (removal.request === requestId) return { pool, manifest };
    }
    return null;
  }
}

function checkRequest(requestId: string): void {
  if (isRequestId(requestId)) return;
  throw new RsError('E_USAGE', `Wrong request id: allowed are 1 to ${REQUEST_ID_MAX_CHARS} printable ASCII characters without spaces`);
}

/** Time that a change may take that allocates this many bytes. */
function allocateMs(bytes: number): number {
  return POOL_CHANGE_MS + (bytes === 0 ? 0 : allocateLimitMs(bytes));
}
