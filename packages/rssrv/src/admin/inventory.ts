// Returns the current state of the server's volumes, pools and clients, as the control methods report it. Invariants: this module changes
// nothing; it does not inspect files on a file system that does not answer, because the inspection would occupy threads of this process.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { ClientView, ManagedVolumeView, SnapshotView } from '@rsio/api/views/views';
import type { Fences } from '../volumes/fences.ts';
import { type Catalogue, type Found, poolNamed, type PoolState, unknownVolume, type VolumeName } from '../pools/catalogue.ts';
import { overcommitText } from '../pools/space/overcommit.ts';
import { type Manifest, otherParts } from '../pools/disk/manifest.ts';
import { volumeConfigOf } from '../pools/pool-volume.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import { poolPaths } from '../pools/disk/pool-paths.ts';
import { filesOf, madeMs, snapshotPaths } from '../pools/snapshots/snapshot-record.ts';
import type { ScheduleRunner, ScheduleState } from '../snapshots/schedule-runner.ts';
import { type FoundSnapshot, snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import type { ObservedServer } from './observing-handlers.ts';
import { clientViews, followsView, imageView, removedView, snapshotView, volumeView } from './server-views.ts';
import { UsedBytes, type UsedFile } from './used-bytes.ts';

interface Entry {
  readonly volume: ServerVolumeConfig;
  /** Null for a volume of a section. */
  readonly found: Found | null;
}

export class Inventory {
  private readonly server: ObservedServer;
  private readonly verbs: PoolVerbs;
  private readonly schedules: ScheduleRunner;
  private readonly fences: Fences;
  private readonly used: UsedBytes;
  /** The volumes of sections among `of`. One change of a volume asks for them several times. */
  private sections: { readonly of: readonly ServerVolumeConfig[]; readonly list: readonly ServerVolumeConfig[] } = { of: [], list: [] };

  constructor(server: ObservedServer, verbs: PoolVerbs, schedules: ScheduleRunner, fences: Fences) {
    this.server = server;
    this.verbs = verbs;
    this.schedules = schedules;
    this.fences = fences;
    this.used = new UsedBytes(server.clock);
  }

  /** Volumes that sections of rssrvcfg configure. */
  get sectionVolumes(): readonly ServerVolumeConfig[] {
    const { volumes } = this.server.config();
    if (this.sections.of !== volumes) this.sections = { of: volumes, list: volumes.filter(({ pool }) => pool === undefined) };
    return this.sections.list;
  }

  get catalogue(): Catalogue {
    return this.verbs.catalogue;
  }

  /**
   * Returns the volumes of all pools and sections, or, if `pool` is not null, the volumes of this pool. Throws E_POOL if the pool does not
   * exist.
   */
  async list(pool: string | null): Promise<ServerMethods['volume-list']['result']> {
    const states = pool === null ? this.verbs.pools.states : [poolNamed(this.catalogue, pool)];
    const entries = this.entries
      .filter(({ volume }) => pool === null || volume.pool?.name === pool)
      .toSorted((a, b) => byName(a.volume, b.volume));
    const used = await this.usedBytesOf(entries.map(({ volume }) => volume));
    return {
      volumes: entries.map((entry, index) => this.volumeView(entry, used[index] ?? null)),
      removed: states
        .flatMap((state) =>
          [...state.removed.values()].map((removed) => removedView(state, removed, this.verbs.ages.times(state, removed))),
        )
        .toSorted((a, b) => byName(a, b) || b.removedMs - a.removedMs),
    };
  }

  /** Throws E_UNKNOWN_VOLUME. */
  async show({ name, universe }: VolumeName): Promise<ServerMethods['volume-show']['result']> {
    const entry = this.entries.find(({ volume }) => volume.name === name && volume.universe === universe);
    if (entry === undefined) throw unknownVolume({ name, universe });
    const [used = null] = await this.usedBytesOf([entry.volume]);
    return { volume: this.volumeView(entry, used), snapshots: entry.found === null ? [] : await this.snapshotsOf(entry.found) };
  }

  private async snapshotsOf(found: Found): Promise<SnapshotView[]> {
    return this.snapshotViews(snapshotsOf(found).list.map((record) => ({ ...found, record })));
  }

  async snapshotViews(found: readonly FoundSnapshot[]): Promise<SnapshotView[]> {
    const { pools } = this.verbs;
    const usable = (pool: PoolState, path: string): UsedFile => ({ place: pool.name, path: pools.answers(pool.name) ? path : null });
    const files = found.map(({ pool, manifest, record }) => [
      usable(pool, snapshotPaths.data(poolPaths.volume(pool.path, manifest.id), record.name)),
      ...otherParts(filesOf(record)).map(({ poolId, fileId }) => {
        const where = pools.states.find(({ identity }) => identity?.id === poolId);
        return where === undefined ? { place: poolId, path: null } : usable(where, poolPaths.data(poolPaths.part(where.path, fileId)));
      }),
    ]);
    const used = await this.usedSums(files);
    return found.map((one, index) => snapshotView(one, used[index] ?? null, this.server.readers.readerCount(one.record.id)));
  }

  /** Returns the times of the snapshots of a pool volume, and its schedule; null for a volume that is in no pool. */
  snapshotTimes({
    pool,
    id,
  }: ServerVolumeConfig): { readonly createdMs: readonly number[]; readonly schedule: ScheduleState | null } | null {
    const state = this.verbs.pools.states.find(({ name }) => name === pool?.name);
    const manifest = id === null ? undefined : state?.volumes.get(id);
    if (state === undefined || manifest === undefined) return null;
    const found = { pool: state, manifest };
    return { createdMs: snapshotsOf(found).list.map(madeMs), schedule: this.schedules.stateOf(found) };
  }

  async viewOf(pool: PoolState, manifest: Manifest): Promise<ManagedVolumeView> {
    const volume = volumeConfigOf(pool, manifest, this.verbs.pools.states);
    const [used = null] = await this.usedBytesOf([volume]);
    const places = new Set(volume.layout?.parts.map((part) => part.pool) ?? [pool.name]);
    const overcommit = manifest.thick
      ? null
      : overcommitText(
          this.verbs.pools.states.filter(({ name }) => places.has(name)),
          0,
        );
    const now = this.verbs.pools.states.find(({ name }) => name === pool.name) ?? pool;
    return { ...this.volumeView({ volume, found: { pool: now, manifest } }, used), ...(overcommit === null ? {} : { overcommit }) };
  }

  clients(): ClientView[] {
    const { server, fences } = this;
    return clientViews(server.config(), this.catalogue, { sessions: server.sessions(), held: this.heldByNode(), fences });
  }

  /** All volumes of the sections and of the open pools. */
  private get entries(): Entry[] {
    const sections = this.sectionVolumes.map((volume): Entry => ({ volume, found: null }));
    const { states } = this.verbs.pools;
    const managed = states.flatMap((pool) =>
      pool.isOpen
        ? [...pool.volumes.values()].map(
            (manifest): Entry => ({ volume: volumeConfigOf(pool, manifest, states), found: { pool, manifest } }),
          )
        : [],
    );
    return [...sections, ...managed];
  }

  private volumeView({ volume, found }: Entry, usedBytes: number | null): ManagedVolumeView {
    const manifest = found?.manifest ?? null;
    const snapshots = found === null ? [] : snapshotsOf(found).list;
    const schedule = found === null ? null : this.schedules.stateOf(found);
    const image = manifest?.image === undefined ? null : imageView(this.catalogue, manifest);
    const follows = manifest === null ? null : followsView(manifest, snapshots.map(madeMs).at(-1) ?? null);
    const status = this.server.statusOf(volume);
    const relations = { image, follows };
    return volumeView(volume, manifest, status, usedBytes, snapshots.length, schedule, relations, found?.pool.hasReflink ?? null);
  }

  private async usedBytesOf(volumes: readonly ServerVolumeConfig[]): Promise<readonly (number | null)[]> {
    const { pools } = this.verbs;
    await pools.measure();
    const isLookedAt = new Map(pools.states.map(({ name }) => [name, pools.answers(name)]));
    const occupied = volumes.map((volume) => this.server.occupiedBytes(volume));
    const files = volumes.map(({ pool, path, layout }, index) =>
      occupied[index] !== null
        ? []
        : (layout?.parts ?? [{ pool: pool?.name ?? null, path }]).map((file) => ({
            place: file.pool ?? '',
            path: file.pool !== null && isLookedAt.get(file.pool) === true ? file.path : null,
          })),
    );
    const looked = await this.usedSums(files);
    return looked.map((bytes, index) => occupied[index] ?? bytes);
  }

  /** Returns the bytes that the files of each volume or snapshot occupy. */
  private async usedSums(files: readonly (readonly UsedFile[])[]): Promise<readonly (number | null)[]> {
    const used = await this.used.of(files.flat());
    let next = 0;
    return files.map((paths) => {
      const together = used.slice(next, (next += paths.length));
      return together.reduce((sum, bytes) => (sum === null || bytes === null ? null : sum + bytes), 0);
    });
  }

  /** Maps each node to the names of the volumes that the node holds. */
  private heldByNode(): ReadonlyMap<string, readonly string[]> {
    const held = new Map<string, string[]>();
    for (const volume of this.server.config().volumes) {
      for (const { node } of this.server.statusOf(volume).holders) held.set(node, [...(held.get(node) ?? []), volumeKey(volume)]);
    }
    return held;
  }
}

function byName(a: VolumeName, b: VolumeName): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.universe - b.universe;
}
