// What the listener tells a worker about a volume: plain data, sent as it is over the channel between the processes.
// Everything is settled here (type, size, id); a worker decides nothing about a volume any more.

import type { VolumeTests } from '@rsio/common/config/schema/types';

/** A volume that has become larger: its storage is so already. */
export interface GrownVolume {
  readonly id: string;
  readonly sizeBytes: number;
}

/** Faults that a volume shows for tests. */
export interface ServedTests extends VolumeTests {
  /** Where its unsynced writes are kept; null: it keeps none back. */
  readonly unsyncedFile: string | null;
}

export interface ServedVolume {
  readonly name: string;
  readonly universe: number;
  /** Lower-case UUID. */
  readonly id: string;
  readonly type: 'file' | 'block' | 'memory' | 'null';
  /** File or device that holds the content (memory: the listener's file in memory); null: there is none. */
  readonly path: string | null;
  /** Which file or device the listener found there, and has locked (storageName): no other is served by that path; none: not looked at. */
  readonly storage?: string;
  /** A multiple of `blockSizeBytes`, at least one block. */
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
  readonly readonly: boolean;
  readonly shared: boolean;
  /** Clients that may take it over; null: all of them. */
  readonly takeOver: readonly string[] | null;
  /** Though what was acknowledged to the holder is lost. */
  readonly takeOverForce: boolean;
  /** Names of the clients that may use it; null: all. */
  readonly clients: readonly string[] | null;
  readonly test?: ServedTests;
}

/** Whether it is offered to this node. */
export function isFor({ clients }: Pick<ServedVolume, 'clients'>, node: string): boolean {
  return clients === null || clients.includes(node);
}
