// The listener's description of a volume for a worker: plain data that is sent over the channel between the processes. The listener alone
// decides type, size and id.

import type { VolumeTests } from '@rsio/common/config/schema/types';

/** A volume that has grown. Its storage has already been extended. */
export interface GrownVolume {
  readonly id: string;
  readonly sizeBytes: number;
}

/** Faults to inject for tests. */
export interface ServedTests extends VolumeTests {
  /** The file for the volume's unsynced writes; null if writes go to the storage at once. */
  readonly unsyncedFile: string | null;
}

export interface ServedVolume {
  readonly name: string;
  readonly universe: number;
  /** UUID in lower case. */
  readonly id: string;
  readonly type: 'file' | 'block' | 'memory' | 'null';
  /** File or device with the content; null if there is none. With `type = memory`, it is the listener's file in memory. */
  readonly path: string | null;
  /**
   * Name (storageName) of the file or device that the listener found at the path and has locked. No other file or device is served from
   * that path. Undefined if this is not checked.
   */
  readonly storage?: string;
  /** A multiple of `blockSizeBytes`, at least one block. */
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
  readonly readonly: boolean;
  readonly shared: boolean;
  /** Names of the clients that may take the volume over; null means all clients. */
  readonly takeOver: readonly string[] | null;
  /** True if they may take it over even when writes acknowledged to the holder are lost. */
  readonly takeOverForce: boolean;
  /** Names of the clients that may use the volume; null means all clients. */
  readonly clients: readonly string[] | null;
  readonly test?: ServedTests;
}

/** Returns true if the volume is offered to this node. */
export function isFor({ clients }: Pick<ServedVolume, 'clients'>, node: string): boolean {
  return clients === null || clients.includes(node);
}
