// Creates, grows, renames, changes, removes and restores volumes of the pools. catalogue.ts decides, pool-files.ts changes the disk, and
// the listener starts and stops serving the volume. The caller makes one change at a time. Invariants: a change is answered only when it
// is durable. A request that is repeated after a crash is not executed again (C4), because a change commits the stamp of its request
// together with its result. pools/requests/ answers all other repetitions. Rules: C1.

import { isDeepStrictEqual } from 'node:util';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { allocateLimitMs } from './disk/allocate.ts';
import { decideAccess } from './access.ts';
import { type Asker, type Change, LOCAL_ASKER } from './asker.ts';
import {
  type Catalogue,
  type CreateRequest,
  decideCreate,
  decideGrow,
  decideRename,
  findToChange,
  type Found,
  partsOf,
  type PlacedPart,
  type PoolState,
  type Stamp,
  type VolumeName,
  volumeText,
  type ConfiguredVolume,
  type WantedVolume,
} from './catalogue.ts';
import { isDoneBy } from './requests/request-stamp.ts';
import { isRequestId } from './disk/description-shapes.ts';
import type { Uuid } from './disk/ids.ts';
import { type Manifest, otherParts, partSizes } from './disk/manifest.ts';
import type { PoolFiles } from './disk/pool-files.ts';
import { volumeConfigOf } from './pool-volume.ts';
import { mayBeLeft } from './repair/move-repair.ts';
import { stampedFile } from './disk/stamped-file.ts';
import { RemovalAges } from './removal-ages.ts';
import type { Pools } from './pools.ts';
import { checkGrower } from './replica-rules.ts';
import { checkVerb, type Verb } from './verb-table.ts';
import { decideSet, type Settings } from './settings.ts';
import { decidePurge, decideRestore, type FoundRemoved, type Purge, removalMs } from './removed-volumes.ts';
import { POOL_CHANGE_MS, PURGE_SNAPSHOT_MS, REQUEST_ID_MAX_CHARS } from './limits.ts';

export interface PoolVerbsPorts {
  readonly pools: Pools;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Returns a new random UUID in lower case. */
  readonly newId: () => Uuid;
  /** Volumes of sections [volume]. */
  configured(): readonly ConfiguredVolume[];
  /**
   * Throws E_HELD if clients that use the volume prevent the change from `was` to `now`, and names these clients. `was` is null if the
   * volume is new; `now` is null if the volume is removed.
   */
  check(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): void;
  /**
   * Serves the volume with the configuration `now`, or stops serving it if `now` is null, and tells the clients. On failure, throws
   * and changes nothing.
   */
  apply(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): Promise<void>;
}

export class PoolVerbs {
  readonly pools: Pools;
  private readonly ports: PoolVerbsPorts;
  readonly ages: RemovalAges;
  /** Ids of volumes that a change has stopped serving. Until the change ends, it is unknown whether the pool still has these volumes. */
  private readonly doubtful = new Set<string>();

  constructor(ports: PoolVerbsPorts) {
    this.pools = ports.pools;
    this.ports = ports;
    this.ages = new RemovalAges(ports.clock);
  }

  get catalogue(): Catalogue {
    return { pools: this.pools.states, configured: this.ports.configured() };
  }

  private checkVerb(verb: Verb, found: Found, asker: Asker): void {
    checkVerb(verb, found, { pools: this.pools.states, asker });
  }

  private found(name: WantedVolume, asker: Asker, what: Change): Found {
    return findToChange(this.catalogue, name, asker, what);
  }

  /** Returns a new id, the time, and the id of the request, for an object that a change makes. */
  stamp(request: string | null): Stamp {
    const { newId, clock } = this.ports;
    return { id: newId(), newId, request, nowMs: clock.wallMs() };
  }

  async create(request: CreateRequest, asker: Asker, requestId: string | null): Promise<Found> {
    asker.needs('manage', 'create volumes');
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    await this.pools.measure();
    const { pool, manifest: wanted, parts } = decideCreate(this.catalogue, request, asker, this.stamp(requestId));
    const limitMs = allocateMs(request.thick ? (partSizes(wanted)[0] ?? 0) : 0);
    const manifest = await this.withNewParts(parts, this.zeros(request.thick), async (stamps) => {
      const created = await this.onDisk(pool, limitMs, (files) => files.create(wanted, stamps));
      this.pools.put(pool, created);
      return created;
    });
    const { created } = this.pools;
    created.add(manifest.id);
    try {
      await this.serve(pool, null, manifest);
    } finally {
      created.delete(manifest.id);
    }
    return { pool, manifest };
  }

  /**
   * Creates further files of a volume, and then executes `commit`, which commits a manifest with these files. `make` creates one file,
   * and returns its stamp. `commit` gets the stamps of all files. Only the files that the manifest on disk names remain, whether the
   * change succeeds or fails.
   */
  async withNewParts<T>(
    parts: readonly PlacedPart[],
    make: (part: PlacedPart, index: number) => Promise<string | null>,
    commit: (stamps: readonly (string | null)[]) => Promise<T>,
  ): Promise<T> {
    if (parts.length === 0) return commit([]);
    try {
      const stamps: (string | null)[] = [];
      for (const [index, part] of parts.entries()) {
        stamps.push(await make(part, index));
        this.pools.putPart(part.pool, { record: part.record, isNew: true });
      }
      return await commit(stamps);
    } finally {
      await this.pools.settleParts();
    }
  }

  /** Returns a function that creates a part of zeros. */
  zeros(thick: boolean): (part: PlacedPart) => Promise<string | null> {
    return ({ pool, record }) => this.onDisk(pool, allocateMs(thick ? record.sizeBytes : 0), (files) => files.parts.create(record, thick));
  }

  /**
   * Grows a volume. `sizeBytes`: the new size, which must be larger than the old size; only a replica may already have the new size.
   * `onto`: the pool in which a `concat` volume gets a new part; null extends the last file. `mirror`: id of the mirror that grows its
   * replica; null for a volume that is not a replica.
   */
  async grow(
    name: WantedVolume,
    sizeBytes: number,
    asker: Asker,
    requestId: string | null,
    onto: string | null = null,
    mirror: string | null = null,
  ): Promise<Found> {
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    await this.pools.measure();
    const found = this.found(name, asker, 'grow volumes');
    const { manifest: was } = found;
    if (mirror !== null) checkGrower(was, mirror);
    this.checkVerb(mirror === null ? 'grow' : 'grow with its mirror', found, asker);
    if (mirror !== null && was.sizeBytes >= sizeBytes) return found;
    const { newId } = this.ports;
    const manifest = decideGrow(this.catalogue, found, sizeBytes, asker, requestId, onto === null ? null : { pool: onto, newId });
    this.check(found, manifest);
    const known = new Set(otherParts(was).map(({ fileId }) => fileId));
    const added = partsOf(this.catalogue, manifest).filter(({ record }) => !known.has(record.fileId));
    await this.extend(found, manifest);
    if (added.length === 0) return this.replace(found, manifest);
    return this.withNewParts(added, this.zeros(was.thick), (stamps) =>
      this.replace(found, { ...manifest, stamps: [...was.stamps, ...stamps] }),
    );
  }

  /** Extends the files of a volume to the sizes in the new manifest, which is not yet in force. */
  private async extend({ pool, manifest: was }: Found, manifest: Manifest): Promise<void> {
    const before = partSizes(was);
    const [firstBytes = 0, ...others] = partSizes(manifest);
    const [wasBytes = 0] = before;
    if (firstBytes > wasBytes)
      await this.onDisk(pool, allocateMs(was.thick ? firstBytes - wasBytes : 0), (files) =>
        files.extend(was.id, wasBytes, firstBytes, was.thick),
      );
    const parts = partsOf(this.catalogue, manifest);
    for (const [index, sizeBytes] of others.entries()) {
      const fromBytes = before[index + 1];
      const part = parts[index];
      if (fromBytes === undefined || part === undefined || sizeBytes <= fromBytes) continue;
      const { record } = part;
      await this.onDisk(part.pool, allocateMs(was.thick ? sizeBytes - fromBytes : 0), (files) =>
        files.parts.extend(record, fromBytes, was.thick),
      );
      this.pools.putPart(part.pool, { record, isNew: false });
    }
  }

  async rename(name: WantedVolume, to: VolumeName, asker: Asker, requestId: string | null): Promise<Found> {
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    const found = this.found(name, asker, 'rename volumes');
    this.checkVerb('rename', found, asker);
    return this.replace(found, decideRename(this.catalogue, found, to, requestId));
  }

  async set(name: WantedVolume, settings: Settings, asker: Asker, requestId: string | null): Promise<Found> {
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    const found = this.found(name, asker, 'change volumes');
    return this.replace(found, decideSet(found, settings, asker, requestId, await this.confirmedFile(found, settings)));
  }

  /**
   * Returns the volume that an order takes away from a client, or null if this request has already done so. Throws if the order would be
   * refused.
   */
  toRevoke(name: WantedVolume, node: string, asker: Asker, requestId: string | null): Found | null {
    if (this.doneBy(requestId) !== null) return null;
    const found = this.found(name, asker, 'take volumes away from clients');
    decideAccess(found, node, false, asker, requestId);
    return found;
  }

  /** Adds a client to the clients of a volume, or removes it. */
  async setAccess(name: WantedVolume, node: string, mayAttach: boolean, asker: Asker, requestId: string | null): Promise<Found> {
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    const found = this.found(name, asker, 'change volumes');
    return this.replace(found, decideAccess(found, node, mayAttach, asker, requestId));
  }

  /**
   * Returns the index of the file whose content the settings confirm, by the stamp in `sameContent`. Throws E_USAGE if no file of a
   * volume of several files has this stamp.
   */
  private async confirmedFile({ pool, manifest }: Found, { sameContent }: Settings): Promise<number> {
    const { layout } = this.configOf(pool, manifest);
    if (layout === undefined || sameContent === undefined) return 0;
    const index = await stampedFile(
      layout.parts.map(({ path }) => path),
      sameContent,
    );
    if (index !== null) return index;
    throw new RsError('E_USAGE', `No file of volume ${volumeText(manifest)} has the stamp ${sameContent}: rsadm volume list shows it`);
  }

  /** Moves the volume to the removed volumes, where it stays for REMOVED_KEPT_MS. */
  async remove(name: WantedVolume, asker: Asker, requestId: string | null): Promise<Found> {
    const before = this.removedBy(requestId);
    if (before !== null) return before;
    const found = this.found(name, asker, 'remove volumes');
    const { pool, manifest } = found;
    this.checkVerb('remove', found, asker);
    const was = this.configOf(pool, manifest);
    this.ports.check(was, null);
    const removedMs = removalMs(this.catalogue, manifest, this.ports.clock.wallMs());
    const removal = { removedMs, by: asker.node, request: requestId };
    await this.ports.apply(was, null);
    this.doubtful.add(manifest.id);
    await this.onDisk(pool, POOL_CHANGE_MS, (files) => files.remove(manifest.id, removal));
    this.doubtful.delete(manifest.id);
    const removed = { manifest, removal };
    this.pools.remove(pool, removed);
    this.ages.of(pool, removed);
    return found;
  }

  /** Restores the most recently removed volume of this name. */
  async restore(name: VolumeName, asker: Asker, requestId: string | null): Promise<Found> {
    const done = this.doneBy(requestId);
    if (done !== null) return done;
    const { pool, manifest } = decideRestore(this.catalogue, name, asker, requestId);
    await this.onDisk(pool, POOL_CHANGE_MS, (files) => files.restore(manifest));
    this.pools.put(pool, manifest);
    await this.serve(pool, null, manifest);
    return { pool, manifest };
  }

  /** Deletes removed volumes whose time is over, and saves the ages of others. Failures are logged. */
  async purgeExpired(): Promise<void> {
    await this.ages.tend({
      pools: () => this.pools.states,
      isKept: (manifest) => mayBeLeft(manifest, this.pools.states),
      purge: ({ pool, manifest }) => this.purge(pool, manifest),
      save: async ({ pool, manifest }, removal) => {
        await this.onDisk(pool, POOL_CHANGE_MS, (files) => files.noteRemoval(manifest.id, removal));
        this.pools.remove(pool.name, { manifest, removal });
      },
      failed: (text) => this.ports.log.error(text),
    });
  }

  /**
   * Deletes removed volumes for good, without waiting for the end of REMOVED_KEPT_MS. Stops at the first failure, and throws it.
   * `left`: number of matching volumes that remain.
   */
  async purgeRemoved(wanted: Purge, asker: Asker): Promise<{ readonly purged: readonly FoundRemoved[]; readonly left: number }> {
    const { chosen, left } = decidePurge(this.catalogue, wanted, asker, this.ages.of);
    for (const { pool, manifest } of chosen) await this.purge(pool, manifest);
    return { purged: chosen, left };
  }

  private async purge(pool: PoolState, manifest: Manifest): Promise<void> {
    const snapshots = pool.snapshots.get(manifest.id)?.list.length ?? 0;
    await this.onDisk(pool, POOL_CHANGE_MS + snapshots * PURGE_SNAPSHOT_MS, (files) => files.purge(manifest));
    this.pools.purge(pool, manifest);
    await this.pools.settleParts();
    this.ports.log.info(`Removed volume ${volumeText(manifest)} of pool ${pool.name} was deleted for good`);
  }

  /** Checks that the change is possible while clients use the volume, commits the manifest, and serves the volume with the new manifest. */
  async replace({ pool, manifest: was }: Found, manifest: Manifest): Promise<Found> {
    this.check({ pool, manifest: was }, manifest);
    await this.onDisk(pool, POOL_CHANGE_MS, (files) => files.replaceManifest(manifest));
    this.pools.put(pool, manifest);
    await this.pools.settleParts();
    try {
      await this.serve(pool, was, manifest);
    } catch (thrown) {
      await this.takeBack(pool, was, manifest);
      throw thrown;
    }
    return { pool, manifest };
  }

  /**
   * Writes the old manifest again. Called when the listener cannot serve the volume with the new manifest, for example because a client has
   * begun to use the volume. If the new manifest stayed, the next start would serve the volume with different settings. A failure is
   * logged.
   */
  private async takeBack(pool: PoolState, was: Manifest, tried: Manifest): Promise<void> {
    try {
      await this.doubtParts(was, tried);
      await this.pools.onDisk(pool, POOL_CHANGE_MS, (files) => files.replaceManifest(was));
      this.pools.put(pool, was);
      await this.pools.settleParts();
    } catch (thrown) {
      this.ports.log.error(
        `Volume ${volumeText(was)} of pool ${pool.name} is served as before, but not on disk: ${toRsError(thrown).message}`,
      );
    }
  }

  /** Marks as new the parts that only the failed manifest names, so that the next repair deletes these parts. */
  private async doubtParts(was: Manifest, tried: Manifest): Promise<void> {
    const known = new Set(otherParts(was).map(({ fileId }) => fileId));
    const added = otherParts(tried).filter(({ fileId }) => !known.has(fileId));
    if (added.length === 0) return;
    for (const { pool, record } of partsOf(this.catalogue, tried)) {
      if (known.has(record.fileId)) continue;
      await this.pools.onDisk(pool, POOL_CHANGE_MS, (files) => files.parts.doubt(record.fileId));
      this.pools.putPart(pool, { record, isNew: true });
    }
  }

  configOf(pool: PoolState, manifest: Manifest): ServerVolumeConfig {
    return volumeConfigOf(pool, manifest, this.pools.states);
  }

  private check({ pool, manifest: was }: Found, now: Manifest): void {
    this.ports.check(this.configOf(pool, was), this.configOf(pool, now));
  }

  /**
   * Reads a pool again after a change whose outcome is unknown, and serves its volumes as they are on disk. Failures are logged. The
   * caller must make no other change while this runs.
   */
  async readAgain(name: string): Promise<void> {
    const state = (): PoolState | undefined => this.pools.states.find((pool) => pool.name === name);
    const before = state();
    const standing = this.configsAround(name);
    await this.pools.readAgain(name);
    const after = state();
    if (before === undefined || after === undefined) return;
    for (const id of new Set([...before.volumes.keys(), ...after.volumes.keys()])) {
      const [was = null, now = null] = [before.volumes.get(id), after.volumes.get(id)];
      if (isDeepStrictEqual(was, now) && !this.doubtful.has(id)) continue;
      const config = (manifest: Manifest | null): ServerVolumeConfig | null => (manifest === null ? null : this.configOf(after, manifest));
      try {
        await this.ports.apply(config(was), config(now));
        this.doubtful.delete(id);
      } catch (thrown) {
        this.ports.log.error(`Volume ${(now ?? was)?.name} of pool ${name}: ${toRsError(thrown).message}`);
        if (was !== null && now !== null) await this.takeBack(after, was, now);
      }
    }
    await this.applyParts(name, standing);
  }

  /** Returns the configuration of each volume that has a part in this pool and its manifest in another pool, keyed by volume id. */
  private configsAround(name: string): Map<string, ServerVolumeConfig> {
    const { states } = this.pools;
    const id = states.find((pool) => pool.name === name)?.identity?.id;
    const found = new Map<string, ServerVolumeConfig>();
    for (const pool of states) {
      if (!pool.isOpen || pool.name === name) continue;
      for (const manifest of pool.volumes.values())
        if (otherParts(manifest).some(({ poolId }) => poolId === id)) found.set(manifest.id, this.configOf(pool, manifest));
    }
    return found;
  }

  /** Applies the new layout of each volume of another pool whose part in this pool has appeared or disappeared. */
  private async applyParts(name: string, standing: ReadonlyMap<string, ServerVolumeConfig>): Promise<void> {
    for (const [id, now] of this.configsAround(name)) {
      const was = standing.get(id) ?? now;
      if (isDeepStrictEqual(was.layout, now.layout)) continue;
      try {
        await this.ports.apply(was, now);
      } catch (thrown) {
        this.ports.log.error(`Volume ${now.name}, which has a file in pool ${name}: ${toRsError(thrown).message}`);
      }
    }
  }

  /** Throws E_HELD, naming the clients that use the volume. */
  checkUnheld({ pool, manifest }: Found): void {
    this.ports.check(this.configOf(pool, manifest), null);
  }

  /** Executes the work while none of the volumes is served. See `whileUnserved`. */
  async whileAllUnserved<T>(found: readonly Found[], work: () => Promise<T>): Promise<T> {
    for (const one of found) this.checkUnheld(one);
    const [first, ...others] = found;
    return first === undefined ? work() : this.whileUnserved(first, () => this.whileAllUnserved(others, work));
  }

  /**
   * Stops serving a volume that no client uses, executes the work, and serves the volume with its new manifest. Throws E_HELD, naming the
   * clients, if clients use the volume.
   */
  async whileUnserved<T>({ pool, manifest }: Found, work: () => Promise<T>): Promise<T> {
    this.checkVerb('stop serving', { pool, manifest }, LOCAL_ASKER);
    const was = this.configOf(pool, manifest);
    this.ports.check(was, null);
    await this.ports.apply(was, null);
    this.doubtful.add(manifest.id);
    let result: T;
    try {
      result = await work();
    } catch (thrown) {
      await this.serveAgain(pool.name, manifest.id).catch((failed: unknown) => this.ports.log.error(toRsError(failed).message));
      throw thrown;
    }
    await this.serveAgain(pool.name, manifest.id);
    return result;
  }

  /** Serves a volume again after a change. If the pool of the volume does not answer, `readAgain` serves the volume later. */
  private async serveAgain(name: string, id: string): Promise<void> {
    const pool = this.pools.states.find((one) => one.name === name);
    const manifest = pool?.volumes.get(id);
    if (!this.doubtful.has(id) || pool === undefined || pool.trouble !== null || manifest === undefined) return;
    await this.serve(pool, null, manifest);
    this.doubtful.delete(id);
  }

  /** Changes the files of a pool. A step may fail after the commit point, so only the disk shows the outcome. */
  async onDisk<T>(pool: PoolState, limitMs: number, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    try {
      return await this.pools.onDisk(pool, limitMs, work);
    } catch (thrown) {
      // A pool that does not answer is read when it answers again.
      const now = this.pools.states.find(({ identity, trouble }) => identity?.id === pool.identity?.id && trouble === null);
      if (now !== undefined) await this.readAgain(now.name);
      throw thrown;
    }
  }

  async serve(pool: PoolState, was: Manifest | null, now: Manifest): Promise<void> {
    await this.ports.apply(was === null ? null : this.configOf(pool, was), this.configOf(pool, now));
  }

  /**
   * Returns the volume whose last change this request has made, or null. Throws E_USAGE if the id of the request was used with other
   * parameters.
   */
  doneBy(stamp: string | null): Found | null {
    if (stamp === null) return null;
    checkStamp(stamp);
    for (const pool of this.pools.states) {
      for (const manifest of pool.volumes.values()) if (isDoneBy(stamp, manifest.request)) return { pool, manifest };
    }
    return null;
  }

  private removedBy(stamp: string | null): Found | null {
    if (stamp === null) return null;
    checkStamp(stamp);
    for (const pool of this.pools.states) {
      for (const { manifest, removal } of pool.removed.values()) if (isDoneBy(stamp, removal.request)) return { pool, manifest };
    }
    return null;
  }
}

export function checkStamp(stamp: string): void {
  if (isRequestId(stamp)) return;
  throw new RsError('E_USAGE', `Wrong request id: allowed are 1 to ${REQUEST_ID_MAX_CHARS} printable ASCII characters without spaces`);
}

/** Returns the time limit of a change that allocates this many bytes. */
function allocateMs(bytes: number): number {
  return POOL_CHANGE_MS + (bytes === 0 ? 0 : allocateLimitMs(bytes));
}
