// Describes a volume for a worker, as plain data that the listener sends over the channel to the worker's process. The listener alone
// determines the type, size and id of a volume.

import type { PoolOwnership } from '@rsio/common/config/schema/types';

/** A volume that has grown. The volume's storage has already been extended. */
export interface GrownVolume {
  readonly id: string;
  readonly sizeBytes: number;
}

/** One file of a volume of several files, as the worker needs it. */
export interface ServedPart {
  /** Id of the pool that contains the file. The name of the pool may change while the volume is in use. */
  readonly poolId: string;
  readonly path: string;
  /** Name of the file; see `ServedVolume.storage`. */
  readonly storage?: string;
  readonly sizeBytes: number;
}

/** The layout of a volume of several files. `chunkBytes`: size of the chunks of a stripe; null if the files follow one another. */
export interface ServedLayout {
  readonly chunkBytes: number | null;
  readonly parts: readonly ServedPart[];
}

/** The pools of a volume's files. Pools are named by their ids here, because the name of a pool may change while the volume is in use. */
export interface VolumePools {
  readonly ids: readonly string[];
  /** True if space for the whole volume is allocated, so that writes need no new space. */
  readonly isThick: boolean;
  /** Set for a volume of a shared pool. */
  readonly ownership?: PoolOwnership;
}

export interface ServedReplica {
  /** Id of the mirror. */
  readonly mirror: string;
  /** Data identity. The volume gets a new data identity whenever it is made a replica. */
  readonly identity: string;
  readonly mapPath: string;
}

export interface ServedVolume {
  readonly name: string;
  readonly universe: number;
  /** Id of the volume: a UUID in lower case. */
  readonly id: string;
  readonly type: 'file' | 'block' | 'memory' | 'null';
  /**
   * Path of the file or device that stores the volume's content; null if the volume has no file and no device. If the type is `memory`, the
   * listener has created this file in memory.
   */
  readonly path: string | null;
  /**
   * Name (see `storageName`) of the file or device that the listener has opened at `path`. A worker refuses any other file or device at
   * that path. If `storage` is undefined, the worker accepts any file or device at the path.
   */
  readonly storage?: string;
  /** Size of the volume in bytes: a multiple of `blockSizeBytes`, at least one block. */
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
  readonly readonly: boolean;
  readonly shared: boolean;
  /** Names of the clients that may take over the volume; null means all clients. */
  readonly takeOver: readonly string[] | null;
  /** True if a take-over may lose writes that were acknowledged to the holder. */
  readonly takeOverForce: boolean;
  /** Names of the clients that may use the volume; null means all clients. */
  readonly clients: readonly string[] | null;
  /**
   * The pools of a pool volume. Changes of the volume wait for space while one of its pools is full. `pool` is undefined for a volume of a
   * section.
   */
  readonly pool?: VolumePools;
  /**
   * The layout of a volume of several files; `path` and `storage` then belong to the first file. `layout` is undefined for a volume of
   * one file.
   */
  readonly layout?: ServedLayout;
  /** The replica's mirror, identity and intent map; undefined unless the volume is a replica of a mirror. */
  readonly replica?: ServedReplica;
  /** Set if no client can open the volume, because its content comes from this server, or is being handed over to it. */
  readonly follows?: { readonly server: string; readonly why: string };
  /** For a snapshot: id of its volume. The field `name` of a snapshot is NAME@SNAPSHOT. */
  readonly snapshotOf?: string;
}

/**
 * Says how an administrator lets `node` take the volume over. The holder stays in the list, so that it may take the volume back, and so do
 * others, whose names a refused client does not learn. A volume of a pool has no section in rssrvcfg.
 */
export function takeOverRemedy(
  { name, pool, takeOver }: Pick<ServedVolume, 'name' | 'pool' | 'takeOver'>,
  holder: string,
  node: string,
): string {
  if (pool === undefined) return `add ${node} to take-over in [volume ${name}] of rssrvcfg, then rsadm reload`;
  const hasOthers = (takeOver ?? []).some((one) => one !== holder);
  return hasOthers
    ? `add ${node} to its take-over, which rsadm volume show ${name} shows, with rsadm volume set ${name} take-over=LIST`
    : `rsadm volume set ${name} take-over=${holder},${node}`;
}

/** Returns true if the volume is offered to the given node. */
export function isFor({ clients }: Pick<ServedVolume, 'clients'>, node: string): boolean {
  return clients === null || clients.includes(node);
}
