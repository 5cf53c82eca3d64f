// The interface to a pool through which the other files of this folder settle interrupted changes when the pools are opened. Invariant:
// failed work on a pool gives the pool a `trouble`, and nothing more is done to such a pool.

import type { Manifest } from '../disk/manifest.ts';
import type { PoolFiles } from '../disk/pool-files.ts';
import type { VolumeSnapshots } from '../snapshots/snapshot-scan.ts';

/** The fields of PoolState (catalogue.ts) that the repairs of images need. */
export interface ImagePool {
  readonly isOpen: boolean;
  readonly trouble: string | null;
  readonly volumes: ReadonlyMap<string, Manifest>;
  readonly removed: ReadonlyMap<string, { readonly manifest: Manifest }>;
  readonly unreadable: ReadonlySet<string>;
}

/** The fields that the repairs of moves need. */
export interface MovePool extends ImagePool {
  readonly identity: { readonly id: string } | null;
  readonly snapshots: ReadonlyMap<string, VolumeSnapshots>;
}

/** The fields that the repairs of snapshots need. */
export interface SnapshotPool extends MovePool {
  readonly name: string;
  readonly path: string;
}

export interface RepairedPool<State> {
  state: State;
  readonly files: PoolFiles;
}

/** Executes work on a pool. Returns false if the work has failed; the pool then has a `trouble`. */
export type Perform<Pool> = (pool: Pool, work: (files: PoolFiles) => Promise<void>) => Promise<boolean>;
