// Carries out the plan from volume-plan.ts: opens, locks and measures new volumes, and releases removed volumes. Until `commit`, `undo`
// can undo everything except the extension of files, which is harmless because no volume uses the added bytes. Storage is opened and
// locked before anything extends it, so that a file that another process serves is never changed. Volume ids are saved last, so that no
// id is saved if the change fails. Rules: H5.

import type { BigIntStats } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { PoolMembership, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { type RsError, toRsError } from '@rsio/base/lib/errors';
import { outcomesAtOnce } from '@rsio/base/structures/concurrency';
import { VersionedMap } from '@rsio/base/structures/versioned-map';
import type { GrownVolume, ServedVolume, VolumePools } from '../storage/io/served-volume.ts';
import { takeLocks } from '../storage/locks/file-locks.ts';
import { LocalFiles } from '../machine/file-system.ts';
import { OPENED_AT_ONCE_MAX } from '../machine/limits.ts';
import { isSameStamp } from '../storage/files/storage-identity.ts';
import { FileSystems, storageWarnings } from './storage-warnings.ts';
import {
  changedUnderHolders,
  cutError,
  failureOf,
  isConfirmed,
  replacedWarning,
  shortFileError,
  shrunkError,
  unlockedSentence,
  type VolumeFailure,
} from './volume-failures.ts';
import { handlesOf, identitiesOf, pathsOf, servedFile, servedLayout, singleFiles, type Storage } from './open-storage.ts';
import { type HeldVolume, HeldVolumes } from './held-volumes.ts';
import { isForeign, isUnlocked, lockError, lockStorages, type StorageLock } from './storage-locks.ts';
import { factsOf, type IdRecords, locationOf, readIdRecords, settleIds, volumeKey, withIds, writeIdRecords } from './volume-ids.ts';
import type { VolumePlan } from './volume-plan.ts';
import { heldAfter, type VolumePorts, type VolumeState } from './volume-state.ts';
import {
  discardStorage,
  isOutOfFiles,
  measure,
  type Measured,
  namedIdentity,
  openStorage,
  releaseStorage,
  settleSize,
  StorageClaims,
  storageFacts,
  statsOf,
  storedFacts,
  troubleOf,
} from './volume-storage.ts';

export class VolumeChange {
  private readonly before: VolumeState;
  private readonly plan: VolumePlan;
  private readonly ports: VolumePorts;
  private readonly take: (state: VolumeState) => void;
  /** Keys of the volumes that the plan mentions. */
  private readonly mentioned: ReadonlySet<string>;
  private readonly claims: StorageClaims;
  private readonly records: IdRecords;
  private ids: VersionedMap<string>;
  private readonly opened = new Map<string, HeldVolume>();
  private readonly kept = new Map<string, HeldVolume>();
  private readonly failures: VolumeFailure[] = [];
  /** Volumes that have already been released, because a new volume uses the same storage. */
  private readonly released = new Set<string>();
  private readonly fileSystems: FileSystems;
  private areRecordsWritten = false;
  private after: VolumeState;

  private constructor(before: VolumeState, plan: VolumePlan, records: IdRecords, ports: VolumePorts, take: (state: VolumeState) => void) {
    this.before = before;
    this.after = before;
    this.plan = plan;
    this.mentioned = new Set([plan.added, plan.retried, plan.kept, plan.removed].flatMap((volumes) => volumes.map(volumeKey)));
    this.claims = new StorageClaims(plan.isPartial === true ? before.held : null, this.mentioned);
    this.ids = before.ids;
    this.records = records;
    this.ports = { ...ports, localFiles: new LocalFiles() };
    this.fileSystems = new FileSystems(ports.fileSystemOf);
    this.take = take;
  }

  /**
   * Prepares a change. `take` passes the new state to the owner of the state. On failure, undoes the whole change and throws E_VOLUME or
   * E_SYSTEM.
   */
  static async prepare(
    before: VolumeState,
    plan: VolumePlan,
    configured: readonly ServerVolumeConfig[],
    ports: VolumePorts,
    take: (state: VolumeState) => void,
  ): Promise<VolumeChange> {
    const change = new VolumeChange(before, plan, await readIdRecords(ports.idsFile), ports, take);
    try {
      await change.run(configured);
    } catch (error) {
      await change.undo();
      throw error;
    }
    return change;
  }

  /** The volumes that this change has made larger. */
  get grown(): GrownVolume[] {
    return [...this.kept]
      .filter(([key, { served }]) => served.sizeBytes > (this.before.held.get(key)?.served.sizeBytes ?? served.sizeBytes))
      .map(([, { served }]) => ({ id: served.id, sizeBytes: served.sizeBytes }));
  }

  /** Ids of volumes that were served before and that this change has found truncated. */
  get cut(): string[] {
    return [...this.kept]
      .filter(([key, { cut }]) => cut !== null && this.before.held.get(key)?.cut === null)
      .map(([, { served }]) => served.id);
  }

  /** True if the change affects the list of served volumes or any fact in that list. */
  get isListChanged(): boolean {
    const [before, after] = [this.before.held, this.after.held];
    const listed = (one: HeldVolume | undefined): ServedVolume | null => (one === undefined || one.cut !== null ? null : one.served);
    // A partial plan changes only the volumes that it mentions, and the order of the others stays.
    if (this.plan.isPartial === true && before.size > 0)
      return [...this.mentioned].some((key) => !isDeepStrictEqual(listed(before.get(key)), listed(after.get(key))));
    const list = (held: HeldVolumes): ServedVolume[] => [...held.all.values()].flatMap((one) => listed(one) ?? []);
    return !isDeepStrictEqual(list(before), list(after));
  }

  /** Makes the new state effective, and logs the changes. */
  commit(): void {
    this.take(this.after);
    for (const [key, { served }] of this.kept) {
      const before = this.before.held.get(key)?.served.sizeBytes ?? served.sizeBytes;
      if (served.sizeBytes > before) {
        this.ports.log.info(`Volume ${served.name} has grown from ${before} to ${served.sizeBytes} bytes`, { volume: served.name });
      }
    }
    for (const { name, error } of this.failures) this.ports.log.error(error.message, { volume: name });
    for (const [key, { served, cut }] of this.kept) {
      const wasCut = (this.before.held.get(key)?.cut ?? null) !== null;
      if (cut !== null) this.ports.log.error(cut.message, { volume: served.name });
      else if (wasCut)
        this.ports.log.warn(`Volume ${served.name}: ${served.path ?? ''} is whole again and is served`, { volume: served.name });
    }
  }

  /** Releases the storage of volumes that are no longer served. `finish` must be called after `commit`. */
  async finish(): Promise<void> {
    for (const volume of this.plan.removed) await this.release(volumeKey(volume));
  }

  /**
   * Undoes a change that was prepared but not committed. If released storage cannot be reopened (for example, because another process has
   * opened it), the volume is recorded as a failure.
   */
  async undo(): Promise<void> {
    for (const { storage } of this.opened.values()) await discardStorage(storage);
    if (this.areRecordsWritten) {
      await writeIdRecords(this.ports.idsFile, this.records).catch((error: unknown) => this.ports.log.error(toRsError(error).message));
    }
    if (this.released.size === 0) return;
    let { held } = this.before;
    const failures = [...this.before.failures];
    for (const key of this.released) {
      const lost = held.get(key);
      if (lost === undefined) continue;
      const { volume, id } = lost.storage;
      try {
        const storage = await openStorage(volume, id, this.ports, true);
        this.checkLock(storage, (await this.lockAll([storage])).get(storage));
        held = held.with(key, { ...lost, storage });
      } catch (thrown) {
        const error = toRsError(thrown);
        held = held.without([key]);
        failures.push(failureOf(volume, error));
        this.ports.log.error(error.message, { volume: volume.name });
      }
    }
    this.take({ ...this.before, held, failures });
  }

  private async run(configured: readonly ServerVolumeConfig[]): Promise<void> {
    const { isPartial, added, retried, kept } = this.plan;
    const planned = isPartial === true ? [...added, ...retried, ...kept] : configured;
    const settled = settleIds(this.withKnownIds(planned), planned, (id) => this.ports.isHeld(id));
    this.ids = this.idsAfter(settled.ids);
    for (const volume of this.plan.kept) {
      const storage = this.before.held.get(volumeKey(volume))?.storage;
      if (storage === undefined) continue;
      const id = this.idOf(volume);
      this.claims.check(volume, id);
      this.claims.add(volume, id, identitiesOf(storage));
    }
    const going = this.removedStorages();
    const wanted = new Set([...this.plan.added, ...this.plan.retried].map(volumeKey));
    const [fresh, taking]: [ServerVolumeConfig[], [ServerVolumeConfig, string][]] = [[], []];
    for (const volume of planned) {
      if (!wanted.has(volumeKey(volume))) continue;
      const identity = going.size === 0 ? null : await namedIdentity(volume);
      if (identity !== null && going.has(identity)) taking.push([volume, identity]);
      else fresh.push(volume);
    }
    await this.openAll(fresh);
    for (const volume of this.plan.kept) await this.keep(volume);
    for (const [, identity] of taking) for (const key of going.get(identity) ?? []) await this.release(key);
    await this.openAll(taking.map(([volume]) => volume));
    this.after = this.stateOf(configured);
    await this.keepIds(planned);
    for (const warning of settled.warnings) this.ports.log.warn(warning);
  }

  /**
   * Returns the records from volumes.json. For a kept volume with a generated id, the result has the id under which the volume is being
   * served.
   */
  private withKnownIds(configured: readonly ServerVolumeConfig[]): IdRecords {
    const kept = new Set(this.plan.kept.map(volumeKey));
    const known = new Map(this.records.ids);
    for (const volume of configured) {
      const served = this.before.held.get(volumeKey(volume));
      const isMade = volume.id === null && served?.storage.volume.id === null;
      if (isMade && kept.has(volumeKey(volume))) known.set(volumeKey(volume), served.served.id);
    }
    return { ...this.records, ids: known };
  }

  /** Returns the keys of the removed volumes whose storage another volume may get, grouped by the identity of the storage. */
  private removedStorages(): ReadonlyMap<string, readonly string[]> {
    const going = new Map<string, string[]>();
    // If no volume is opened, the storage of removed volumes is not looked for, because it may have failed and might not answer.
    if (this.plan.added.length + this.plan.retried.length === 0) return going;
    for (const volume of this.plan.removed) {
      const key = volumeKey(volume);
      const identity = this.before.held.get(key)?.storage.identity ?? null;
      if (identity !== null) going.set(identity, [...(going.get(identity) ?? []), key]);
    }
    return going;
  }

  /**
   * Opens, locks and measures the storage of the given volumes. The failure of a retried volume is recorded; any other failure is
   * thrown. The volumes of sections are opened one after another, because one section may create the file that another section names.
   * Volumes of pools are opened at the same time, because each has its own folder.
   */
  private async openAll(volumes: readonly ServerVolumeConfig[]): Promise<void> {
    const sections = volumes.filter(({ pool }) => pool === undefined);
    const pooled = volumes.filter(({ pool }) => pool !== undefined);
    await this.openSome(sections, 1);
    await this.openSome(pooled, OPENED_AT_ONCE_MAX);
  }

  private async openSome(volumes: readonly ServerVolumeConfig[], atOnce: number): Promise<void> {
    const mayFail = new Set(this.plan.retried.map(volumeKey));
    const fail = (volume: ServerVolumeConfig, thrown: unknown, marked?: VolumeFailure['marked']): void => {
      // If the process has run out of descriptors, fail the whole change, because no client could be served.
      if (!mayFail.has(volumeKey(volume)) || isOutOfFiles(thrown)) throw thrown;
      this.failures.push({ ...failureOf(volume, toRsError(thrown)), ...(marked === undefined ? {} : { marked }) });
    };
    const storages = new Set<Storage>();
    try {
      const openings = await outcomesAtOnce(volumes, atOnce, (volume) => this.openOne(volume));
      for (const { value } of openings) if (value !== null) storages.add(value);
      for (const [index, { thrown }] of openings.entries()) if (thrown !== null) fail(volumes[index]!, thrown);
      const locks = await this.lockAll([...storages]);
      const opened = [...storages];
      const settled = await outcomesAtOnce(opened, atOnce, (storage) => this.settle(storage, locks.get(storage)));
      for (const [index, { value }] of settled.entries()) if (value !== null) this.opened.set(volumeKey(opened[index]!.volume), value);
      for (const [index, { thrown }] of settled.entries()) {
        if (thrown === null) continue;
        const storage = opened[index]!;
        const lock = locks.get(storage);
        // If another process uses the file, close the file and leave it unchanged.
        if (isForeign(lock)) for (const handle of handlesOf(storage)) await handle.close();
        else await discardStorage(storage);
        storages.delete(storage);
        const marked = { pool: storage.volume.pool?.name ?? null, files: pathsOf(storage) };
        fail(storage.volume, thrown, lock?.outcome === 'marked' ? marked : undefined);
      }
    } catch (error) {
      for (const storage of storages) if (!this.opened.has(volumeKey(storage.volume))) await discardStorage(storage);
      throw error;
    }
  }

  private async openOne(volume: ServerVolumeConfig): Promise<Storage> {
    const id = this.idOf(volume);
    this.claims.check(volume, id);
    const wasThere =
      volume.pool !== undefined || (volume.id === null && this.records.places.get(id) === locationOf(volume)) || this.ports.isHeld(id);
    const storage = await openStorage(volume, id, this.ports, wasThere);
    try {
      const identities = identitiesOf(storage);
      // Another volume may have claimed the same id while `openStorage` was waiting.
      this.claims.check(volume, id);
      this.claims.checkStorage(volume, identities);
      this.claims.add(volume, id, identities);
    } catch (error) {
      await discardStorage(storage);
      throw error;
    }
    return storage;
  }

  private async settle(storage: Storage, lock: StorageLock | undefined): Promise<HeldVolume> {
    const { volume, type, path } = storage;
    this.checkLock(storage, lock);
    const found: { readonly file: Storage; readonly stats: BigIntStats | null; readonly measured: Measured }[] = [];
    for (const file of singleFiles(storage)) {
      const stats = await statsOf(file);
      await this.checkHeld(file, stats);
      const measured = await measure(file, stats);
      this.checkShrunk(file, stats, measured);
      found.push({ file, stats, measured });
    }
    const measured = found.map((one) => one.measured);
    const { sizeBytes, grownFromBytes } = await settleSize(storage, false, measured);
    if (grownFromBytes !== null && type === 'file') {
      const what = storage.isCreated ? 'Created' : `Grown from ${grownFromBytes} bytes:`;
      this.ports.log.info(`${what} ${path} of volume ${volume.name} with ${sizeBytes} bytes`, { volume: volume.name });
    }
    for (const { file, stats } of found) await this.logWarnings(file, stats);
    return { storage, served: this.servedAs(storage, sizeBytes), cut: null };
  }

  private async logWarnings({ volume, type, path }: Storage, stats: BigIntStats | null): Promise<void> {
    if (type !== 'file' || path === null || stats === null) return;
    for (const warning of await storageWarnings(volume, path, stats, this.fileSystems)) this.warn(warning, volume);
  }

  /**
   * Throws if the storage of a held volume has changed. A held volume whose storage has changed is not served until the administrator acts.
   */
  private async checkHeld(storage: Storage, stats: BigIntStats | null): Promise<void> {
    const { volume, id } = storage;
    const before = volume.pool === undefined ? this.records.facts.get(id) : factsOf(volume, volume.pool.stamp);
    if (before === undefined) return;
    const now = storageFacts(storage, stats);
    const error = changedUnderHolders(volume, before, now, this.ports.holdersOf(id));
    if (error !== null) throw error;
    if (volume.pool !== undefined) this.warn(replacedWarning(volume, before, now), volume);
    if (!isConfirmed(volume, before, now)) return;
    this.warn(`Volume ${volume.name}: ${volume.path ?? ''} replaces the storage served before, as same-content says`, volume);
    await this.ports.incarnationEnded(id);
  }

  /**
   * Throws if the storage has been truncated since it was last served, and would be made as long again. Without this check, the missing
   * part would be filled with zeros. A volume without a holder that has no `size =`, or a smaller one, gets its new size.
   */
  private checkShrunk(storage: Storage, stats: BigIntStats | null, { presentBytes, sizeBytes }: Measured): void {
    const { volume, id, type, path } = storage;
    const servedBytes = volume.pool === undefined ? this.records.sizes.get(id) : (volume.sizeBytes ?? undefined);
    if (servedBytes === undefined || path === null || type === 'memory') return;
    if (Math.min(presentBytes, sizeBytes) >= servedBytes) return;
    // The file of a pool volume is extended before the manifest is replaced. The file is therefore never shorter than the volume unless the
    // file was truncated.
    if (volume.pool !== undefined) throw shortFileError(volume, path, presentBytes, servedBytes);
    if (this.ports.isHeld(id)) throw shrunkError(volume, path, presentBytes, servedBytes);
    const isSameFile = isSameStamp(this.records.facts.get(id)?.stamp ?? null, storageFacts(storage, stats).stamp);
    if (presentBytes < Math.min(servedBytes, sizeBytes) && isSameFile) throw shortFileError(volume, path, presentBytes, servedBytes);
    if (presentBytes < servedBytes) {
      this.warn(`Volume ${volume.name}: ${path} has ${presentBytes} bytes, and had ${servedBytes} when it was last served`, volume);
    }
  }

  private warn(sentence: string | null, { name }: ServerVolumeConfig): void {
    if (sentence !== null) this.ports.log.warn(sentence, { volume: name });
  }

  private servedAs(storage: Storage, sizeBytes: number): ServedVolume {
    const { volume, id, type, path, identity } = storage;
    const { name, universe, blockSizeBytes, readonly, shared, takeOver, takeOverForce, clients } = volume;
    const content = identity === null ? {} : { storage: identity };
    const rights = { readonly, shared, takeOver, takeOverForce, clients };
    const pool = volume.pool === undefined ? {} : { pool: poolsOf(volume.pool) };
    const replica = volume.pool?.replica === undefined ? {} : { replica: volume.pool.replica };
    const follows = volume.pool?.follows === undefined ? {} : { follows: volume.pool.follows };
    const layout = servedLayout(storage);
    const files = layout === undefined ? {} : { layout };
    return { name, universe, id, type, path, ...content, sizeBytes, blockSizeBytes, ...rights, ...pool, ...replica, ...follows, ...files };
  }

  private checkLock(storage: Storage, lock: StorageLock | undefined): void {
    const error = lockError(storage, lock);
    if (error !== null) throw error;
    if (isUnlocked(storage, lock)) this.warn(unlockedSentence(storage.volume, storage.path), storage.volume);
  }

  private lockAll(storages: readonly Storage[]): Promise<ReadonlyMap<Storage, StorageLock>> {
    const old = storages.filter(({ id }) => this.ports.isNew?.(id) !== true);
    return lockStorages(old, this.ports.takeLocks ?? takeLocks);
  }

  /** Keeps a volume on its current storage. If no size is configured, the volume gets the current size of the storage. */
  private async keep(volume: ServerVolumeConfig): Promise<void> {
    const key = volumeKey(volume);
    const held = this.before.held.get(key);
    if (held === undefined) return;
    const storage: Storage = { ...held.storage, volume, id: this.idOf(volume) };
    const isSame = isDeepStrictEqual({ ...held.storage.volume, line: 0 }, { ...volume, line: 0 });
    let { sizeBytes } = held.served;
    let { cut } = held;
    try {
      cut = troubleOf(volume) ?? (await this.lookForCut(storage, held));
      if (cut === null && (!isSame || volume.sizeBytes === null)) {
        const settled = await settleSize(storage, true);
        // A smaller size means that the device has shrunk, or that the file was truncated after the check above.
        if (settled.sizeBytes < sizeBytes) cut = cutError({ storage, served: held.served }, settled.sizeBytes);
        else ({ sizeBytes } = settled);
        for (const file of singleFiles(storage)) await this.logWarnings(file, await statsOf(file));
      }
    } catch (thrown) {
      // A failure of an unchanged section must not prevent changes in other sections.
      if (!isSame) throw thrown;
      this.warn(toRsError(thrown).message, volume);
    }
    this.kept.set(key, { storage, served: this.servedAs(storage, sizeBytes), cut });
  }

  /**
   * Checks whether the file has been truncated. Must be called before anything extends the file. Returns null if the file is whole. Throws
   * if the path now names another file.
   */
  private async lookForCut(storage: Storage, held: HeldVolume): Promise<RsError | null> {
    if (storage.handle === null || storage.type === 'memory') return held.cut;
    for (const [index, file] of singleFiles(storage).entries()) {
      const served = servedFile(held.served, index);
      const { presentBytes } = await measure(file);
      if (presentBytes < served.sizeBytes) return cutError({ storage: file, served }, presentBytes);
    }
    return null;
  }

  private async release(key: string): Promise<void> {
    const held = this.before.held.get(key);
    if (held === undefined || this.released.has(key)) return;
    this.released.add(key);
    await releaseStorage(held.storage);
  }

  private stateOf(configured: readonly ServerVolumeConfig[]): VolumeState {
    const changed = new Map([...this.kept, ...this.opened]);
    const isPartial = this.plan.isPartial === true;
    const held = heldAfter(
      { before: isPartial ? this.before.held : HeldVolumes.of(new Map()), mentioned: this.mentioned, changed },
      configured,
    );
    const earlier = this.before.failures.filter((failure) => this.isUntouched(volumeKey(failure)));
    return { held, failures: [...earlier, ...this.failures], ids: this.ids };
  }

  /** Returns true if the plan is partial and does not mention the volume, which then stays unchanged. */
  private isUntouched(key: string): boolean {
    return this.plan.isPartial === true && !this.mentioned.has(key);
  }

  /** Returns the ids of all volumes. `settled`: the ids of the volumes that the plan checks. */
  private idsAfter(settled: ReadonlyMap<string, string>): VersionedMap<string> {
    if (this.plan.isPartial !== true) return VersionedMap.of(settled);
    let ids = this.before.ids.without([...this.mentioned].filter((key) => !settled.has(key)));
    for (const [key, id] of settled) ids = ids.with(key, id);
    return ids;
  }

  /** Saves the generated ids and the location, size and facts of the served volumes. `configured`: the volumes that the plan checks. */
  private async keepIds(configured: readonly ServerVolumeConfig[]): Promise<void> {
    const made = configured.filter(({ id }) => id === null);
    const ids = new Map(made.map((volume) => [volumeKey(volume), this.idOf(volume)]));
    const served = made.filter((volume) => this.after.held.get(volumeKey(volume)) !== undefined);
    const places = new Map(served.map((volume) => [this.idOf(volume), locationOf(volume)]));
    // Pool volumes need no record here, because their manifests have their sizes and stamps.
    const open = configured.flatMap((volume) => this.after.held.get(volumeKey(volume)) ?? []);
    const recorded = open.filter(({ storage: { volume } }) => volume.pool === undefined);
    const { sizes, facts } = await storedFacts(recorded);
    const records = withIds(this.records, ids, places, sizes, facts);
    if (records === null) return;
    await writeIdRecords(this.ports.idsFile, records);
    this.areRecordsWritten = true;
  }

  private idOf(volume: ServerVolumeConfig): string {
    return this.ids.get(volumeKey(volume)) ?? '';
  }
}

function poolsOf({ ids, isThick, ownership }: PoolMembership): VolumePools {
  return { ids, isThick, ...(ownership === undefined ? {} : { ownership }) };
}
