// What the listener tells a worker about a volume: plain data, sent over the channel between the processes. Type, size and id are settled; the worker
// decides nothing about them.

import type { VolumeTests } from '@rsio/common/config/schema/types';

/** A volume that has grown; its storage has grown before. */
export interface GrownVolume {
  readonly id: string;
  readonly sizeBytes: number;
}

/** Faults to inject for tests. */
export interface ServedTests extends VolumeTests {
  /** The file for its unsynced writes; null: writes are not held back. */
  readonly unsyncedFile: string | null;
}

export interface ServedVolume {
  readonly name: string;
  readonly universe: number;
  /** UUID in lower case. */
  readonly id: string;
  readonly type: 'file' | 'block' | 'memory' | 'null';
  /** File or device with the content (memory: the listener's file in memory); null: none. */
  readonly path: string | null;
  /** The file or device that the listener found there and has locked (storageName): no other is served from that path. Undefined: not checked. */
  readonly storage?: string;
  /** A multiple of `blockSizeBytes`, at least one block. */
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
  readonly readonly: boolean;
  readonly shared: boolean;
  /** Clients that may take it over; null: all of them. */
  readonly takeOver: readonly string[] | null;
  /** Even if writes acknowledged to the holder are lost. */
  readonly takeOverForce: boolean;
  /** Names of clients that may use it; null: all. */
  readonly clients: readonly string[] | null;
  readonly test?: ServedTests;
}

/** Whether the volume is offered to this node. */
export function isFor({ clients }: Pick<ServedVolume, 'clients'>, node: string): boolean {
  return clients === null || clients.includes(node);
}
