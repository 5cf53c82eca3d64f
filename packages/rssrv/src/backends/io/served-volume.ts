// Describes a volume for a worker, as plain data that the listener sends over the channel to the worker's process. The listener alone
// determines the type, size and id of a volume.

import type { VolumeTests } from '@rsio/common/config/schema/types';

/** A volume that has grown. The volume's storage has already been extended. */
export interface GrownVolume {
  readonly id: string;
  readonly sizeBytes: number;
}

export interface ServedTests extends VolumeTests {
  /** Path of the log with the volume's unsynced writes; null if writes go directly to the storage. */
  readonly unsyncedFile: string | null;
}

export interface ServedVolume {
  readonly name: string;
  readonly universe: number;
  /** UUID in lower case. */
  readonly id: string;
  readonly type: 'file' | 'block' | 'memory' | 'null';
  /**
   * Path of the file or device that stores the volume's content; null if there is none. If the type is `memory`, the listener has created
   * this file in memory.
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
  /** Name of the pool; undefined for a volume of a section. Changes of a pool volume wait while the pool is full. */
  readonly pool?: string;
  readonly test?: ServedTests;
}

/** Returns true if the volume is offered to the given node. */
export function isFor({ clients }: Pick<ServedVolume, 'clients'>, node: string): boolean {
  return clients === null || clients.includes(node);
}
