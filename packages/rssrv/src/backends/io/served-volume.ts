// What the listener tells a worker about a volume: plain data, sent over the channel between the processes. The listener has settled type,
// size and id; the worker decides nothing about them.

import type { VolumeTests } from '@rsio/common/config/schema/types';

/** A volume that has grown. Its storage was extended before. */
export interface GrownVolume {
  readonly id: string;
  readonly sizeBytes: number;
}

/** Faults to inject for tests. */
export interface ServedTests extends VolumeTests {
  /** The file for the volume's unsynced writes; null: writes are not held back. */
  readonly unsyncedFile: string | null;
}

export interface ServedVolume {
  readonly name: string;
  readonly universe: number;
  /** UUID in lower case. */
  readonly id: string;
  readonly type: 'file' | 'block' | 'memory' | 'null';
  /** File or device with the content (`type = memory`: the listener's file in memory); null: there is none. */
  readonly path: string | null;
  /**
   * Name (storageName) of the file or device that the listener found at the path and has locked. No other is served from that path.
   * Undefined: not checked.
   */
  readonly storage?: string;
  /** A multiple of `blockSizeBytes`, at least one block. */
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
  readonly readonly: boolean;
  readonly shared: boolean;
  /** Clients that may take the volume over; null: all clients. */
  readonly takeOver: readonly string[] | null;
  /** Whether they may do so even if writes acknowledged to the holder are lost. */
  readonly takeOverForce: boolean;
  /** Names of the clients that may use the volume; null: all clients. */
  readonly clients: readonly string[] | null;
  readonly test?: ServedTests;
}

/** Whether the volume is offered to this node. */
export function isFor({ clients }: Pick<ServedVolume, 'clients'>, node: string): boolean {
  return clients === null || clients.includes(node);
}
