// Opens one pool: takes its lock, and reads its content, its file system and its ledger. Invariant: a pool that is read without an error is
// locked by this process, and a pool that cannot be used is not locked.

import type { FileHandle } from 'node:fs/promises';
import type { PoolConfig, PoolOwnership } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { takeLocks } from '../storage/locks/file-locks.ts';
import type { PoolState } from './catalogue.ts';
import type { PoolFilesPorts } from './disk/data-file.ts';
import type { ReadIdentity } from './disk/manifest.ts';
import { PoolFiles } from './disk/pool-files.ts';
import { checkLocked, takePoolLock } from './disk/pool-lock.ts';
import { readIdentity } from './disk/pool-scan.ts';
import { absentText, CLOSED, contentOf, emptyState, fileSystemFacts, silentText } from './pool-content.ts';
import { answers } from './disk/answers.ts';
import { POOL_SILENT_MS } from './limits.ts';
import { scanContent } from './snapshots/snapshot-scan.ts';

/** Keeps the ledgers, with which the next server of a pool treats clients as the last server did (volumes/holds/ledgers.ts). */
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
   * Executes `commit`, which puts the volumes or snapshots with these ids into the pool `toId`. Their holders are durable in this pool
   * before `commit` begins. `mayBeThere` is called if `commit` fails; it returns false if the volumes are certainly not in the pool `toId`.
   */
  carry<T>(ids: readonly string[], toId: string, commit: () => Promise<T>, mayBeThere: () => boolean): Promise<T>;
}

/**
 * Returns the ownership of a shared pool, or null for a pool on a disk of this server. While this server owns a shared pool, the pool is
 * mounted at its path. Throws E_POOL with the reason if this server does not own the pool.
 */
export type OwnershipOf = (pool: Pick<PoolState, 'name' | 'isShared'>) => PoolOwnership | null;

export interface ReadPorts extends PoolFilesPorts {
  readonly clock: Clock;
  /**
   * Called when the file system of a pool answers again. The owner then makes a change that calls `readAgain`. If the pool is not
   * open, the owner reloads instead.
   */
  answersAgain(name: string): void;
  readonly ownershipOf: OwnershipOf;
  readonly ledgers: PoolLedgers;
  readonly takeLocks: typeof takeLocks;
}

export interface OpenPool {
  state: PoolState;
  readonly files: PoolFiles;
  /** Holds the lock of the pool; null if the pool cannot be used. */
  readonly lock: FileHandle | null;
}

/** Opens pools within POOL_SILENT_MS each. */
export class PoolOpenings {
  private readonly ports: ReadPorts;
  /** Paths of pools that are being opened, even after the caller has stopped waiting. */
  private readonly opening = new Set<string>();

  constructor(ports: ReadPorts) {
    this.ports = ports;
  }

  /**
   * Opens a pool. If the file system of the pool does not answer, the pool gets a `trouble`, and `answersAgain` is called when the file
   * system answers.
   */
  async open(config: PoolConfig): Promise<OpenPool> {
    const { name, path } = config;
    const failed = unusedPool({ files: new PoolFiles(path, this.ports), state: emptyState(config) }, silentText(POOL_SILENT_MS));
    // While an attempt to open this path hangs, a second attempt would only block another thread of this process.
    if (this.opening.has(path)) return failed;
    this.opening.add(path);
    let reading: Promise<OpenPool> | null = null;
    const isAnswered = await answers(this.ports.clock, POOL_SILENT_MS, (heard) => {
      reading = readPool(config, this.ports, heard).finally(() => this.opening.delete(path));
      return reading;
    });
    if (isAnswered) return reading!;
    void (reading! as Promise<OpenPool>).then(async ({ lock, files }) => {
      this.ports.ledgers.left(files);
      await lock?.close();
      this.ports.answersAgain(name);
    });
    return failed;
  }
}

/** Reads and locks a pool. Calls `heard` whenever the file system of the pool has answered. */
async function readPool(config: PoolConfig, ports: ReadPorts, heard: () => void): Promise<OpenPool> {
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

/** Returns the current reason why this server does not own a shared pool that is not open; null for any other pool. */
export function whyNotOwned(state: PoolState, ownershipOf: OwnershipOf): string | null {
  if (!state.isShared || state.isOpen) return null;
  try {
    ownershipOf(state);
    return null;
  } catch (thrown) {
    return toRsError(thrown).message;
  }
}
