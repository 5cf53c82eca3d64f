// Serves the snapshots of the volumes of pools to clients that open them by name: read-only, shared, each with an id of its own, to the clients
// of its volume. A list does not have them. Invariants: a snapshot is found exactly as long as its volume is in the configuration in force and
// the pool has it; a snapshot that a client has open, or is opening, is not removed (P4), and none is opened while it is being removed.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { servedNameParts, snapshotName } from '@rsio/common/lib/volume-name';
import type { Holder, OpenRequest } from '@rsio/protocol/wire/messages';
import { isFor, type ServedVolume } from '../backends/io/served-volume.ts';
import type { PoolState } from '../pools/catalogue.ts';
import { poolPaths } from '../pools/disk/pool-paths.ts';
import { snapshotPaths, type SnapshotRecord } from '../pools/snapshots/snapshot-record.ts';
import { readersRefusal, type SnapshotReader } from '../volumes/volume-plan.ts';

export interface ServedSnapshotsPorts {
  pools(): readonly PoolState[];
  /** All volumes of the configuration in force. */
  volumes(): readonly ServerVolumeConfig[];
  /** Clients that hold the snapshot with this id. */
  holdersOf(id: string): readonly Holder[];
  /** The OPENs in progress of all sessions. */
  opening(): readonly OpenInProgress[];
}

/** `id`: of a volume or a snapshot. */
interface OpenInProgress extends Holder {
  readonly id: string;
}

export interface SnapshotPlace {
  /** Name of the pool. */
  readonly pool: string;
  readonly file: string;
  readonly record: SnapshotRecord;
}

interface FoundRecord {
  readonly volumeId: string;
  readonly record: SnapshotRecord;
}

export class ServedSnapshots {
  private readonly ports: ServedSnapshotsPorts;
  /** Ids of snapshots that are being removed. */
  private readonly leaving = new Set<string>();
  /** An index of each map of snapshots, which a pool replaces as a whole. */
  private readonly indices = new WeakMap<PoolState['snapshots'], ReadonlyMap<string, FoundRecord>>();

  constructor(ports: ServedSnapshotsPorts) {
    this.ports = ports;
  }

  /** Returns the snapshot that an OPEN of this client means, or null. */
  find(node: string, { name, universe }: Pick<OpenRequest, 'name' | 'universe'>): ServedVolume | null {
    const { volume: volumeName, snapshot } = servedNameParts(name);
    if (snapshot === null) return null;
    const volume = this.volumeOf(node, volumeName, universe);
    if (volume === null) return null;
    for (const pool of this.ports.pools()) {
      const record = this.listOf(pool, volume.id).find((one) => one.name === snapshot);
      if (record !== undefined && !this.leaving.has(record.id)) return served(pool, volume, record);
    }
    return null;
  }

  /** Returns the snapshot with this id, or null. */
  byId(id: string): ServedVolume | null {
    for (const pool of this.ports.pools()) {
      const found = this.indexOf(pool).get(id);
      const volume = found === undefined ? undefined : this.ports.volumes().find((one) => one.id === found.volumeId);
      if (found !== undefined && volume !== undefined) return served(pool, volume, found.record);
    }
    return null;
  }

  /** Returns the description and the file of the snapshot with this id, or null. */
  placeOf(id: string): SnapshotPlace | null {
    for (const pool of this.ports.pools()) {
      const found = this.indexOf(pool).get(id);
      if (found !== undefined) return { pool: pool.name, file: fileOf(pool, found.record), record: found.record };
    }
    return null;
  }

  /** True if this is the id of a snapshot. */
  has(id: string): boolean {
    return this.ports.pools().some((pool) => this.indexOf(pool).has(id));
  }

  /** Why an OPEN finds no snapshot of this volume; null if the client may not know of the volume. */
  whyMissing(node: string, { name, universe }: Pick<OpenRequest, 'name' | 'universe'>): string | null {
    const { volume, snapshot } = servedNameParts(name);
    if (this.volumeOf(node, volume, universe) === null) return null;
    return `Volume ${volume} has no snapshot ${snapshot ?? ''}`;
  }

  /** Clients that have a snapshot of the volume attached. */
  readersOf({ id, name }: ServerVolumeConfig): SnapshotReader[] {
    const records = id === null ? [] : this.recordsOf(id);
    const opening = records.length === 0 ? [] : this.ports.opening();
    return records.flatMap((record) => this.usersOf(record.id, opening, snapshotName(name, record.name)));
  }

  /** The snapshots of a volume in the order of their age, the oldest first. */
  recordsOf(volumeId: string): readonly SnapshotRecord[] {
    return this.ports.pools().flatMap((pool) => this.listOf(pool, volumeId));
  }

  /**
   * Executes the removal of a snapshot that no client has open. Until it has ended, no client can open the snapshot. Throws E_HELD, naming
   * the clients.
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
    const holders = this.ports.holdersOf(id);
    const others = opening.filter((one) => one.id === id && !holders.some(({ node }) => node === one.node));
    return [...holders, ...others].map(({ node, address, sinceMs }) => ({ node, address, sinceMs, snapshot }));
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
}

function served(pool: PoolState, { id, name, universe, clients }: ServerVolumeConfig, record: SnapshotRecord): ServedVolume {
  return {
    name: snapshotName(name, record.name),
    universe,
    id: record.id,
    type: 'file',
    path: fileOf(pool, record),
    sizeBytes: record.sizeBytes,
    blockSizeBytes: record.blockSizeBytes,
    readonly: true,
    shared: true,
    takeOver: null,
    takeOverForce: false,
    clients,
    snapshotOf: id ?? record.volumeId,
  };
}

function fileOf(pool: PoolState, { volumeId, name }: SnapshotRecord): string {
  return snapshotPaths.data(poolPaths.volume(pool.path, volumeId), name);
}
