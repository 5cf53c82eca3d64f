// Provides the snapshot that a copy reads: an existing snapshot, or a temporary snapshot that the job makes and removes. A copy reads no
// volume in rounds, as a move does, because clients would have to wait for the last round. A clone in `moving` would show no single moment,
// and no list would show its space. Invariants: a job saves the name of its own snapshot before it makes the snapshot, so that the job
// finds the snapshot after a restart; the job removes no other snapshot.

import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { CopyState, JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { checkNotMoving } from '../../pools/repair/move-repair.ts';
import { busyText, type Found } from '../../pools/catalogue.ts';
import type { Pools } from '../../pools/pools.ts';
import type { Turn } from '../../pools/requests/turn.ts';
import { type FoundSnapshot, snapshotFiles, snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import type { SnapshotOrders } from '../../snapshots/snapshot-verbs.ts';
import type { Triggers } from '@rsio/common/triggers/triggers';

/** Executes a change when no other change is in progress. `what` names the change in messages to requests that wait for it. */
export type Exclusive = <T>(change: (turn: Turn) => Promise<T>, what: string) => Promise<T>;

/** A snapshot that is being copied. */
export interface CopySource extends FoundSnapshot {
  /** Paths of the snapshot's files, in the order of the snapshot's layout. */
  readonly files: readonly string[];
}

export class CopySources {
  private readonly pools: Pools;
  private readonly snapshots: SnapshotOrders;
  private readonly triggers: Pick<Triggers, 'around'>;
  private readonly exclusive: Exclusive;
  private readonly log: Pick<Log, 'warn'>;

  constructor(pools: Pools, snapshots: SnapshotOrders, triggers: Pick<Triggers, 'around'>, exclusive: Exclusive, log: Pick<Log, 'warn'>) {
    this.pools = pools;
    this.snapshots = snapshots;
    this.triggers = triggers;
    this.exclusive = exclusive;
    this.log = log;
  }

  /**
   * Returns the snapshot of the job. If the job uses its own snapshot, makes this snapshot unless it exists. Throws JobEnds if the pool of
   * the volume cannot be used now.
   */
  async of(job: RunningJob): Promise<CopySource> {
    const state = stateOf(job.record);
    const found = this.volumeOf(job.record);
    if (this.recordOf(found, state) === undefined) {
      if (!state.isOwn || state.snapshotId !== null) throw lost(job.record, state);
      await this.make(job, found, state);
    }
    const now = this.volumeOf(job.record);
    const record = this.recordOf(now, stateOf(job.record));
    if (record === undefined) throw lost(job.record, state);
    if (state.snapshotId === null) {
      job.note({ copy: { ...stateOf(job.record), snapshotId: record.id } });
      await job.save();
    }
    return { ...now, record, files: snapshotFiles({ pools: this.pools.states, configured: [] }, { ...now, record }) };
  }

  /** Removes the snapshot that the job has made. Throws JobEnds if the snapshot cannot be removed now. */
  async release({ record }: RunningJob): Promise<void> {
    const state = stateOf(record);
    if (!state.isOwn) return;
    const pools = this.pools.states;
    if (!pools.some(({ identity, name }) => identity?.id === record.fromId || (identity === null && name === record.from))) {
      this.log.warn(
        `Snapshot ${record.name}@${state.snapshot}, which job ${record.id} has made, stays: its pool ${record.from} is not configured any more`,
      );
      return;
    }
    const found = this.openVolume(record);
    const snapshot = found === null ? undefined : this.recordOf(found, state);
    if (found === null || snapshot === undefined) return;
    const own = { id: found.manifest.id, snapshotId: snapshot.id };
    try {
      await this.exclusive(() => this.snapshots.remove(own, LOCAL_ASKER, null), `the copy of volume ${record.name}`);
    } catch (thrown) {
      if (thrown instanceof RsError) throw new JobEnds({ kind: 'waits', reason: thrown.message });
      throw thrown;
    }
  }

  private async make(job: RunningJob, found: Found, { snapshot }: CopyState): Promise<void> {
    const { record } = job;
    const { id, name, universe } = found.manifest;
    const wanted = [{ id, name, universe, snapshot }];
    const reason = busyText(found);
    if (reason !== null) throw new JobEnds({ kind: 'waits', reason });
    const facts = { snapshots: wanted, by: record.by, isScheduled: false };
    const check = (): void => job.check();
    await this.triggers.around(facts, check, () =>
      this.exclusive(
        (turn) => this.snapshots.snapshot(wanted, LOCAL_ASKER, null, turn),
        `snapshot ${record.name}@${snapshot}, which is being made for its copy`,
      ),
    );
  }

  private volumeOf(record: JobRecord): Found {
    const found = this.openVolume(record);
    if (found !== null) return found;
    throw new RsError('E_UNKNOWN_VOLUME', `Volume ${record.name} is no longer in pool ${record.from}: it was removed or moved meanwhile`);
  }

  /** Returns the volume that is copied; null if it no longer exists. Throws JobEnds if the pool of the volume cannot be used now. */
  private openVolume({ volumeId, fromId, from }: JobRecord): Found | null {
    const pool = this.pools.states.find((one) => one.isOpen && one.trouble === null && one.identity?.id === fromId);
    if (pool === undefined) throw new JobEnds({ kind: 'waits', reason: `pool ${from} cannot be used now` });
    const manifest = pool.volumes.get(volumeId);
    if (manifest === undefined) return null;
    checkNotMoving(manifest);
    return { pool, manifest };
  }

  private recordOf(found: Found, { snapshot, snapshotId }: CopyState): FoundSnapshot['record'] | undefined {
    const { list } = snapshotsOf(found);
    return list.find(({ id, name }) => (snapshotId === null ? name === snapshot : id === snapshotId));
  }
}

export function stateOf({ id, copy }: JobRecord): CopyState {
  if (copy === undefined) throw new RsError('E_INTERNAL', `Job ${id} is no copy`);
  return copy;
}

function lost({ name }: JobRecord, { snapshot }: CopyState): RsError {
  return new RsError('E_UNKNOWN_SNAPSHOT', `Snapshot ${name}@${snapshot} was removed before it was copied: copy the volume again`);
}
