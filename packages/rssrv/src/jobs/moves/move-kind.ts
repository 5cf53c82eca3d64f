// There are two kinds of moves: moves of whole volumes, and moves of a file of a volume over several pools (part-kind.ts). VolumeMoves
// copies the data for both kinds. A kind determines which files move, and how the last step changes the pools. This file defines the kind
// for whole volumes. Invariant: a MovePlace describes the current state, so the caller gets a new MovePlace before each step.

import { RsError } from '@rsio/base/lib/errors';
import type { JobRecord } from '../job-record.ts';
import { JobEnds } from '../jobs.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import type { Found, PoolState } from '../../pools/catalogue.ts';
import type { PoolFiles } from '../../pools/disk/pool-files.ts';
import { MoveFiles } from '../../pools/moves/move-files.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import type { SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { LastStep } from './last-step.ts';
import { decideMove, snapshotsIn } from './move-rules.ts';

export interface MovePlace {
  /** The pool that the moving file is in, and a manifest with the size of this file. */
  readonly found: Found;
  readonly target: PoolState;
  /** The snapshots whose files move together with the volume's file, the oldest first. Each record has the size of the snapshot's file. */
  readonly snapshots: readonly SnapshotRecord[];
  files(pool: PoolFiles): MoveFiles;
  lastStep(...needs: ConstructorParameters<typeof LastStep>): LastStep;
}

export interface MoveKind {
  /**
   * Returns the place of the move, or `moved` if the volume is already in the new pool. Throws JobEnds if a pool cannot be used now, and
   * E_UNKNOWN_VOLUME if the volume no longer exists.
   */
  placeOf(record: JobRecord): 'moved' | MovePlace;
  /** Repeats all checks of the request, and returns the place for the last step. */
  checked(record: JobRecord): MovePlace;
  /** Returns the volume in its state on disk; null if this state is unknown now. */
  settled(record: JobRecord): Found | null;
}

/** Returns the pools of a job in their current state; null for a pool that cannot be used. */
export function endsOf(
  pools: readonly PoolState[],
  { fromId, toId }: JobRecord,
): { readonly source: PoolState | null; readonly target: PoolState | null } {
  return { source: usablePool(pools, fromId), target: usablePool(pools, toId) };
}

export function usablePool(pools: readonly PoolState[], id: string): PoolState | null {
  return pools.find((pool) => pool.isOpen && pool.trouble === null && pool.identity?.id === id) ?? null;
}

export function waits(reason: string): JobEnds {
  return new JobEnds({ kind: 'waits', reason });
}

export class WholeMoves implements MoveKind {
  private readonly verbs: Pick<PoolVerbs, 'catalogue'>;

  constructor(verbs: Pick<PoolVerbs, 'catalogue'>) {
    this.verbs = verbs;
  }

  placeOf(record: JobRecord): 'moved' | MovePlace {
    const { source, target } = endsOf(this.verbs.catalogue.pools, record);
    if (target?.volumes.has(record.volumeId) === true) return 'moved';
    if (source === null || target === null) throw waits(`pool ${source === null ? record.from : record.to} cannot be used now`);
    const manifest = source.volumes.get(record.volumeId);
    if (manifest === undefined)
      throw new RsError('E_UNKNOWN_VOLUME', `Volume ${record.name} is no longer in pool ${record.from}: it was removed meanwhile`);
    if (manifest.movedTo !== undefined) throw waits('whether its last step was done is not known yet');
    return {
      found: { pool: source, manifest },
      target,
      snapshots: snapshotsIn(source, manifest.id).list,
      files: (pool) => new MoveFiles(pool),
      lastStep: (...needs) => new LastStep(...needs),
    };
  }

  checked(record: JobRecord): MovePlace {
    const place = this.placeOf(record);
    if (place === 'moved') throw new RsError('E_INTERNAL', `Volume ${record.name} is moved already`);
    return { ...place, target: decideMove(this.verbs.catalogue, place.found, place.target.name, LOCAL_ASKER) };
  }

  settled(record: JobRecord): Found | null {
    const { source, target } = endsOf(this.verbs.catalogue.pools, record);
    for (const pool of [target, source]) {
      const manifest = pool?.volumes.get(record.volumeId);
      if (pool !== null && manifest !== undefined) return manifest.movedTo === undefined ? { pool, manifest } : null;
    }
    return null;
  }
}
