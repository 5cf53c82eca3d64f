// What a farm needs of a shared storage: a record that changes by compare-and-swap, notes of the servers, clients of the storage, and a
// fence. Each kind of storage has one engine; engine-suite.ts tests them all. Invariants: a record that `look` returns was stored when
// the call began, or later; after `fence` has resolved, the storage executes no write of the fenced client, not even one under way.

import type { FarmRecord, Note, Writer } from './farm-record.ts';

/** What the storage has outside of the file system of a pool. */
export interface Sight {
  /** Null if the disk has no record: it was never prepared for a pool. */
  readonly record: FarmRecord | null;
  /** The last note of each server; a server that has posted none is missing. */
  readonly notes: ReadonlyMap<string, Note>;
}

/** Every call throws E_STORAGE if the storage does not answer within ENGINE_CALL_MS; the outcome of the call is then unknown. */
export interface Engine {
  readonly kind: string;
  /**
   * Makes the disk able to store a record. Does nothing if the disk already is. Throws E_EXISTS if the disk has other content. `owners`:
   * the servers that may own the pool.
   */
  prepare(owners: readonly string[]): Promise<void>;
  /** Reads past all caches. Throws E_STORAGE if the stored data is damaged. */
  look(): Promise<Sight>;
  /**
   * Stores `next` if the stored record still has the version of `seen` (null: there is none), and resolves with true when it is durable.
   * Resolves with false if the record has changed.
   */
  swap(seen: FarmRecord | null, next: FarmRecord): Promise<boolean>;
  /** Stores the note of this server in place of its last one. */
  post(note: Note): Promise<void>;
  /**
   * Connects a client of the storage under a new name, which no other process, boot or machine has or will have. Before `open`, the client
   * writes nothing to the disk of the pool, and caches nothing from the disk.
   */
  connect(generation: number): Promise<StorageClient>;
  /**
   * Fences a client for as long as a process with its name could write, and confirms the fence. Throws E_FENCE if the fence is not proven;
   * the text says what was tried and how an administrator ends the wait.
   */
  fence(writer: Writer): Promise<void>;
  /**
   * Ends what an earlier process of this server has left open: devices and clients of the storage. The file system must be unmounted.
   * Throws E_STORAGE if something is left.
   */
  clear(): Promise<void>;
  /** Ends the helpers of the engine. */
  close(): Promise<void>;
}

export interface StorageClient {
  /** Names the client for the fence; at most CLIENT_MAX_CHARS characters. */
  readonly name: string;
  /** True if the client has ended by itself, so that I/O of its device fails. */
  readonly hasEnded: boolean;
  /** Opens the disk, and returns the path of a block device with an empty cache. Called once, after all earlier writers are fenced. */
  open(): Promise<string>;
  /** Makes the device as large as the disk, if the disk has grown. Returns the size of the device in bytes. */
  grow(): Promise<number>;
  /**
   * Makes all I/O of the device fail from now on, and resolves when it fails. Used when the ownership has ended. Never waits for the
   * storage.
   */
  cut(): Promise<void>;
  /** Ends the client. The file system must be unmounted. */
  close(): Promise<void>;
}
