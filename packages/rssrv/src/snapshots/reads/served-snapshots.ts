// Serves snapshots of pool volumes to the clients of these volumes. A client opens a snapshot by its name. A snapshot is read-only and
// shared, and has its own id. Lists of volumes do not include snapshots. OPEN names volume and snapshot in one text: an earlier server
// refuses the text, but would ignore a separate field and open the volume. Invariants: a snapshot is found only while its volume is in the
// configuration in force and the pool has the snapshot. A snapshot that a client has open or is opening is not removed (N2). No client can
// open a snapshot during its removal. Rules: N1, T8.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { servedNameParts, snapshotName } from '@rsio/base/lib/volume-name';
import type { Holder, OpenRequest } from '@rsio/protocol/wire/messages';
import { isFor, type ServedVolume } from '../../storage/io/served-volume.ts';
import type { PoolState } from '../../pools/catalogue.ts';
import { otherParts, partSizes } from '../../pools/disk/manifest.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import type { Pools } from '../../pools/pools.ts';
import { isMomentFor, isTarget } from '../../pools/source-moments.ts';
import { filesOf, isReadable, snapshotPaths, type SnapshotRecord, unprovenText } from '../../pools/snapshots/snapshot-record.ts';
import type { Holds } from '../../volumes/holds/holds.ts';
import { readersRefusal, type SnapshotReader } from '../../volumes/volume-plan.ts';

export interface ServedSnapshotsPorts {
  readonly pools: Pick<Pools, 'states'>;
  readonly holds: Pick<Holds, 'holdersOf'>;
  /** All volumes of the configuration in force. */
  volumes(): readonly ServerVolumeConfig[];
  /** Returns true if the client has the right `copy`, and therefore opens only moments of the replications to it (T8). */
  isCopying(node: string): boolean;
  /** The OPENs that are in progress in all sessions. */
  opening(): readonly OpenInProgress[];
  /** Returns true if a session of the client has the snapshot with this id open. */
  isOpen(id: string, node: string): boolean;
}

/** `id`: id of a volume or a snapshot. */
interface OpenInProgress extends Holder {
  readonly id: string;
}

export interface SnapshotPlace {
  readonly record: SnapshotRecord;
  /** The files in the order of the layout. */
  readonly files: readonly SnapshotFile[];
}

export interface SnapshotFile {
  readonly pool: string;
  readonly poolId: string;
  /** Path of the file; null if the pool does not have the file, or is not open. */
  readonly path: string | null;
  readonly sizeBytes: number;
}

interface FoundRecord {
  readonly volumeId: string;
  readonly record: SnapshotRecord;
}

export class ServedSnapshots {
  private readonly ports: ServedSnapshotsPorts;
  /** Ids of snapshots that are being removed. */
  private readonly leaving = new Set<string>();
  /**
   * An index for each map of snapshots. An index stays valid, because a pool replaces its map of snapshots as a whole, and never
   * modifies a map.
   */
  private readonly indices = new WeakMap<PoolState['snapshots'], ReadonlyMap<string, FoundRecord>>();

  constructor(ports: ServedSnapshotsPorts) {
    this.ports = ports;
  }

  /** Returns the snapshot that an OPEN of this client names, or null. */
  find(node: string, { name, universe }: Pick<OpenRequest, 'name' | 'universe'>): ServedVolume | null {
    const { volume: volumeName, snapshot } = servedNameParts(name);
    if (snapshot === null) return null;
    const volume = this.volumeOf(node, volumeName, universe);
    if (volume === null) return null;
    for (const pool of this.ports.pools.states) {
      const record = this.listOf(pool, volume.id).find((one) => one.name === snapshot && isReadable(one));
      if (record !== undefined && !this.leaving.has(record.id) && this.mayRead(node, record)) return this.served(pool, volume, record);
    }
    return null;
  }

  private mayRead(node: string, record: SnapshotRecord): boolean {
    return !this.ports.isCopying(node) || isMomentFor(this.ports.pools.states, node, record);
  }

  byId(id: string): ServedVolume | null {
    for (const pool of this.ports.pools.states) {
      const found = this.indexOf(pool).get(id);
      const volume = found === undefined ? undefined : this.ports.volumes().find((one) => one.id === found.volumeId);
      if (found !== undefined && volume !== undefined) return this.served(pool, volume, found.record);
    }
    return null;
  }

  /** Returns the description and the files of the snapshot with this id, or null. */
  placeOf(id: string): SnapshotPlace | null {
    for (const pool of this.ports.pools.states) {
      const found = this.indexOf(pool).get(id);
      if (found !== undefined) return { record: found.record, files: this.filesOf(pool, found.record) };
    }
    return null;
  }

  has(id: string): boolean {
    return this.ports.pools.states.some((pool) => this.indexOf(pool).has(id));
  }

  /** Returns why `find` has found no snapshot; null if the client has no right to know that the volume exists. */
  whyMissing(node: string, { name, universe }: Pick<OpenRequest, 'name' | 'universe'>): string | null {
    const { volume, snapshot } = servedNameParts(name);
    const found = this.volumeOf(node, volume, universe);
    if (found === null || this.ports.isCopying(node)) return null;
    const record = this.recordsOf(found.id ?? '').find((one) => one.name === snapshot);
    if (record !== undefined && !isReadable(record)) return unprovenText(name);
    const lost = record === undefined ? undefined : this.placeOf(record.id)?.files.find(({ path }) => path === null);
    if (lost !== undefined) return `Snapshot ${name} has a file in a pool that cannot be used now`;
    return `Volume ${volume} has no snapshot ${snapshot ?? ''}`;
  }

  /**
   * Returns the clients that have a snapshot of the volume open, or are opening such a snapshot. If `isLeaving` returns true for a client,
   * the OPENs of this client in progress do not count, because they are refused.
   */
  readersOf({ id, name }: ServerVolumeConfig, isLeaving: (node: string) => boolean): SnapshotReader[] {
    const records = id === null ? [] : this.recordsOf(id);
    const opening = records.length === 0 ? [] : this.ports.opening().filter(({ node }) => !isLeaving(node));
    return records.flatMap((record) => this.usersOf(record.id, opening, snapshotName(name, record.name)));
  }

  /** Returns the ids of the snapshots of a volume that this client has open or is opening. */
  readBy(volumeId: string, node: string): string[] {
    const opening = this.ports.opening();
    const isUser = (user: Holder): boolean => user.node === node;
    return this.recordsOf(volumeId).flatMap(({ id }) => (this.usersOf(id, opening, '').some(isUser) ? [id] : []));
  }

  /** Returns the number of clients that have the snapshot open, or are opening it. */
  readerCount(id: string): number {
    return this.usersOf(id, this.ports.opening(), '').length;
  }

  /** Returns the snapshots of a volume, the oldest first. */
  recordsOf(volumeId: string): readonly SnapshotRecord[] {
    return this.ports.pools.states.flatMap((pool) => this.listOf(pool, volumeId));
  }

  /**
   * Executes `work`, which removes a snapshot. Until `work` has ended, no client can open the snapshot. Throws E_HELD, naming the clients,
   * if clients have the snapshot open or are opening it.
   */
  async whileUnread<T>({ id }: Pick<SnapshotRecord, 'id'>, name: string, work: () => Promise<T>): Promise<T> {
    const users = this.usersOf(id, this.ports.opening(), name);
    if (users.length > 0) throw new RsError('E_HELD', readersRefusal(`Snapshot ${name}`, users), { volume: name });
    this.leaving.add(id);
    try {
      return await work();
    } finally {
      this.leaving.delete(id);
    }
  }

  private usersOf(id: string, opening: readonly OpenInProgress[], snapshot: string): SnapshotReader[] {
    const holders = this.ports.holds.holdersOf(id).filter(({ node }) => this.ports.isOpen(id, node) || !this.copies(node));
    const others = opening.filter((one) => one.id === id && !holders.some(({ node }) => node === one.node));
    return [...holders, ...others].map(({ node, address, sinceMs }) => ({
      node,
      address,
      sinceMs,
      snapshot,
      isCopying: this.copies(node),
    }));
  }

  /**
   * True for a server that copies from this one. It opens a moment anew whenever it needs it, so that only a moment that it has open counts:
   * the hold of a copy that was cut off would stay for ever if either server has come back from an old image.
   */
  private copies(node: string): boolean {
    return this.ports.isCopying(node) || isTarget(this.ports.pools.states, node);
  }

  private volumeOf(node: string, name: string, universe: number): ServerVolumeConfig | null {
    const volume = this.ports.volumes().find((one) => one.name === name && one.universe === universe);
    return volume?.pool !== undefined && isFor(volume, node) ? volume : null;
  }

  private listOf(pool: PoolState, volumeId: string | null): readonly SnapshotRecord[] {
    const isHere = pool.isOpen && volumeId !== null && pool.volumes.has(volumeId);
    return isHere ? (pool.snapshots.get(volumeId)?.list ?? []) : [];
  }

  private indexOf({ snapshots, isOpen }: PoolState): ReadonlyMap<string, FoundRecord> {
    if (!isOpen) return new Map();
    let index = this.indices.get(snapshots);
    if (index === undefined) {
      const all = [...snapshots].flatMap(([volumeId, { list }]) => list.map((record) => [record.id, { volumeId, record }] as const));
      index = new Map(all);
      this.indices.set(snapshots, index);
    }
    return index;
  }

  /** Returns null if a file of the snapshot cannot be used. */
  private served(pool: PoolState, { id, name, universe, clients }: ServerVolumeConfig, record: SnapshotRecord): ServedVolume | null {
    const files = this.filesOf(pool, record);
    const parts = files.flatMap(({ poolId, path, sizeBytes }) => (path === null ? [] : [{ poolId, path, sizeBytes }]));
    if (parts.length < files.length) return null;
    const { layout } = filesOf(record);
    return {
      ...(layout.kind === 'simple' ? {} : { layout: { chunkBytes: layout.kind === 'stripe' ? layout.chunkBytes : null, parts } }),
      name: snapshotName(name, record.name),
      universe,
      id: record.id,
      type: 'file',
      path: files[0]?.path ?? null,
      sizeBytes: record.sizeBytes,
      blockSizeBytes: record.blockSizeBytes,
      readonly: true,
      shared: true,
      takeOver: null,
      takeOverForce: false,
      clients,
      snapshotOf: id ?? record.volumeId,
      pool: { ids: [pool.identity?.id ?? ''], isThick: false, ...(pool.ownership === null ? {} : { ownership: pool.ownership }) },
    };
  }

  private filesOf(home: PoolState, record: SnapshotRecord): SnapshotFile[] {
    const { layout, sizeBytes } = filesOf(record);
    const first = { pool: home.name, poolId: home.identity?.id ?? '', path: fileOf(home, record) };
    const [firstBytes = 0] = partSizes({ layout, sizeBytes });
    const others = otherParts({ layout }).map(({ poolId, fileId, sizeBytes: partBytes }): SnapshotFile => {
      const pool = this.ports.pools.states.find((one) => one.isOpen && one.identity?.id === poolId);
      const isThere = pool?.parts.get(fileId)?.record.snapshotId === record.id;
      const path = pool === undefined || !isThere ? null : poolPaths.data(poolPaths.part(pool.path, fileId));
      return { pool: pool?.name ?? `pool id ${poolId}`, poolId, path, sizeBytes: partBytes };
    });
    return [{ ...first, sizeBytes: firstBytes }, ...others];
  }
}

function fileOf(pool: PoolState, { volumeId, name }: SnapshotRecord): string {
  return snapshotPaths.data(poolPaths.volume(pool.path, volumeId), name);
}
