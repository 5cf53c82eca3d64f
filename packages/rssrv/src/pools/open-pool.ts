// Opens one pool: takes its lock, and reads its content, its file system and its ledger. Invariant: a pool that is read without an error is
// locked by this process, and a pool that cannot be used is not.

import type { FileHandle } from 'node:fs/promises';
import type { PoolConfig, PoolOwnership } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { takeLocks } from '../storage/locks/file-locks.ts';
import type { PoolState } from './catalogue.ts';
import type { Allocate, Reflink } from './disk/data-file.ts';
import type { ReadIdentity } from './disk/manifest.ts';
import { PoolFiles } from './disk/pool-files.ts';
import { checkLocked, takePoolLock } from './disk/pool-lock.ts';
import { readIdentity } from './disk/pool-scan.ts';
import { absentText, CLOSED, contentOf, emptyState, fileSystemFacts } from './pool-content.ts';
import { scanContent } from './snapshots/snapshot-scan.ts';

/** Keeps what makes a server the same server to the clients of a pool: the ledgers (volumes/holds/ledgers.ts). */
export interface PoolLedgers {
  /** Called when a pool was read and locked. Reads its ledger, and changes nothing. Throws if the pool cannot be used. */
  read(files: PoolFiles, identity: ReadIdentity, state: PoolState): Promise<void>;
  /** Makes this server the owner of the pool, durably, before a volume of the pool is served. Throws if the pool cannot be used. */
  own(files: PoolFiles, state: PoolState): Promise<void>;
  /** Called when the pool is in force. */
  inForce(files: PoolFiles): void;
  /** Called when the pool is no longer in force, or does not come into force. */
  left(files: PoolFiles): void;
  /**
   * Executes `commit`, after which the volumes or snapshots with these ids are in the pool `toId`. Their holders are durable in that pool
   * before `commit` begins. `mayBeThere`: returns false if a failed commit has certainly not brought them there.
   */
  carry<T>(ids: readonly string[], toId: string, commit: () => Promise<T>, mayBeThere: () => boolean): Promise<T>;
}

/**
 * Returns the ownership of a shared pool, which is then mounted at its path; null for a pool on a disk of this server. Throws E_POOL with
 * the reason if this server does not own the pool.
 */
export type OwnershipOf = (pool: Pick<PoolState, 'name' | 'isShared'>) => PoolOwnership | null;

export interface ReadPorts {
  readonly ownershipOf: OwnershipOf;
  readonly ledgers: PoolLedgers;
  readonly takeLocks: typeof takeLocks;
  readonly allocate: Allocate;
  /** Clones files. If undefined, the system calls are used. */
  readonly reflink?: Reflink | undefined;
  /** Called after each step on disk, so that tests can stop the process at that step. */
  readonly reached?: ((step: string) => void) | undefined;
}

export interface OpenPool {
  state: PoolState;
  readonly files: PoolFiles;
  /** Holds the lock of the pool; null if the pool cannot be used. */
  readonly lock: FileHandle | null;
}

/** Reads and locks a pool. Calls `heard` whenever the file system of the pool has answered. */
export async function readPool(config: PoolConfig, ports: ReadPorts, heard: () => void): Promise<OpenPool> {
  const { path } = config;
  const files = new PoolFiles(path, ports);
  const empty = emptyState(config);
  let lock: FileHandle | null = null;
  try {
    const ownership = ports.ownershipOf(empty);
    const identity = await readIdentity(path);
    if (identity === null) throw new RsError('E_POOL', absentText(config));
    lock = await takePoolLock(path, ports.takeLocks);
    heard();
    const scan = await scanContent(path, identity, true, heard);
    const facts = await fileSystemFacts(path, ports.reflink);
    const state = { ...empty, identity, ownership, isOpen: true, trouble: null, ...facts, ...contentOf(scan) };
    await ports.ledgers.read(files, identity, state);
    return { files, lock, state };
  } catch (thrown) {
    ports.ledgers.left(files);
    await lock?.close().catch(() => undefined);
    return unusedPool({ files, state: empty }, toRsError(thrown).message);
  }
}

export function checkPlace({ lock, state: { path } }: OpenPool): Promise<void> {
  return checkLocked(path, lock);
}

export function unusedPool({ files, state }: Omit<OpenPool, 'lock'>, trouble: string): OpenPool {
  return { files, lock: null, state: { ...state, ...CLOSED, trouble } };
}

/** Returns the present reason why this server does not own a shared pool that is not open; null for another pool. */
export function whyNotOwned(state: PoolState, ownershipOf: OwnershipOf): string | null {
  if (!state.isShared || state.isOpen) return null;
  try {
    ownershipOf(state);
    return null;
  } catch (thrown) {
    return toRsError(thrown).message;
  }
}
