// Stops serving a shared pool while clients hold its volumes, and serves it again when this server owns it. Invariants: after `leave`, no
// handle, file or lock of the pool is open here. A clean hand-over either fails and changes nothing, or makes every answered write durable
// and saves the counts of the incarnations in the ledger. Once the ownership is lost, no request is answered with its result. Rules: F6,
// F7.

import { within } from '@rsio/base/lib/waiting';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Clock } from '@rsio/base/lib/clock';
import { printDuration } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { Administration } from '../../admin/administration.ts';
import type { ChangeQueue } from '../../admin/change-queue.ts';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import type { Pools } from '../../pools/pools.ts';
import type { OwnedLedgers } from '../../volumes/holds/owned-ledgers.ts';
import type { Volumes } from '../../volumes/volumes.ts';
import type { Admissions } from '../admissions.ts';
import type { ConfigInForce } from '../config-in-force.ts';
import type { Incarnations } from '../incarnations.ts';
import type { ListAnnouncements } from '../workers/list-announcements.ts';
import { HAND_OVER_CLOSE_MS } from './limits.ts';

/** The objects of the server that come with a pool, or leave it. */
export interface PoolHandOverParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly pools: Pick<Pools, 'closed' | 'leave' | 'states'>;
  readonly volumes: Pick<Volumes, 'served' | 'suspend' | 'sync'>;
  readonly ledgers: Pick<OwnedLedgers, 'save'>;
  readonly admissions: Pick<Admissions, 'closeHandles' | 'loseHandles'>;
  readonly inForce: Pick<ConfigInForce, 'openSharedPools' | 'removePool'>;
  readonly changes: Pick<ChangeQueue, 'runOwn' | 'workingAside'>;
  readonly incarnations: Pick<Incarnations, 'start'>;
  readonly lists: Pick<ListAnnouncements, 'changed'>;
  readonly administration: Pick<Administration, 'jobsIn' | 'replications'>;
}

export class PoolHandOver {
  private readonly parts: PoolHandOverParts;

  constructor(parts: PoolHandOverParts) {
    this.parts = parts;
  }

  /** Opens the shared pools that this server owns now, and serves their volumes. Throws E_POOL if the pool cannot be opened. */
  async came(name: string): Promise<void> {
    const { parts } = this;
    await parts.changes.runOwn(() => parts.inForce.openSharedPools(), `opening pool ${name}`);
    const state = parts.pools.states.find((pool) => pool.name === name);
    if (state?.isOpen !== true) throw new RsError('E_POOL', state?.trouble ?? 'it is not configured any more', { pool: name });
  }

  /**
   * Stops serving the pool, for the reason `why`. `isLost`: true if the ownership has ended, so that nothing can be saved. If `isLost` is
   * false and the pool cannot be left cleanly, throws E_BUSY, and the volumes of the pool are served as before.
   */
  async leave(name: string, isLost: boolean, why: string): Promise<void> {
    const { parts } = this;
    const what = `giving up pool ${name}`;
    if (isLost) {
      // From this event-loop turn on, no request is answered, even if another change of the server is in progress.
      this.suspend(name, why);
      parts.administration.replications.followers.poolLost(name);
      await Promise.all(this.idsIn(name).map((id) => parts.admissions.loseHandles(id, `Pool ${name}: ${why}`)));
      await parts.changes.runOwn(() => this.remove(name, why), what);
    } else {
      const leave = (): Promise<void> => parts.changes.runOwn(() => this.leaveClean(name, why), what);
      await parts.administration.replications.followers.whilePoolQuiet(name, leave);
    }
    // Other changes need not wait for the file system of this pool.
    await parts.pools.closed(name);
  }

  private async leaveClean(name: string, why: string): Promise<void> {
    const { parts } = this;
    const [job] = parts.administration.jobsIn(name);
    if (job !== undefined) throw new RsError('E_BUSY', `Job ${job} uses pool ${name}: wait for its end, or run rsadm jobs cancel ${job}`);
    const aside = parts.changes.workingAside;
    if (aside !== null) throw new RsError('E_BUSY', `The server still works on ${aside}: try again when that has ended`);
    const served = this.servedIn(name);
    // Sync now, so that little is left to be written back while the clients wait.
    for (const volume of served) await this.sync(volume);
    this.suspend(name, why);
    try {
      await this.closeInTime(name);
      for (const volume of served) await this.sync(volume);
      const poolId = parts.pools.states.find((one) => one.name === name)?.identity?.id;
      if (poolId !== undefined) await parts.ledgers.save(poolId);
      await this.remove(name, why);
    } catch (thrown) {
      for (const { id } of served) parts.volumes.suspend(id, null);
      parts.lists.changed([], null);
      throw thrown;
    }
  }

  private async remove(name: string, why: string): Promise<void> {
    await this.parts.inForce.removePool(name);
    this.parts.pools.leave(name, why);
  }

  private suspend(name: string, why: string): void {
    for (const { id } of this.servedIn(name)) this.parts.volumes.suspend(id, why);
    this.parts.lists.changed([], null);
  }

  private async closeInTime(name: string): Promise<void> {
    const { clock } = this.parts;
    const closed = this.closeAll(name);
    const isFlushed = await within(clock, HAND_OVER_CLOSE_MS, closed, () => null);
    if (isFlushed === null)
      throw new RsError(
        'E_BUSY',
        `The I/O of pool ${name} did not end within ${printDuration(HAND_OVER_CLOSE_MS)}: its storage is very busy`,
      );
    if (!isFlushed) throw new RsError('E_BUSY', `The storage of pool ${name} has reported an error: check the storage`);
  }

  private async closeAll(name: string): Promise<boolean> {
    const flushed = await Promise.all(this.idsIn(name).map((id) => this.parts.admissions.closeHandles(id)));
    return flushed.every(Boolean);
  }

  /** The kernel reports a failed sync only once, so a new incarnation must begin (see jobs/moves/volume-switch.ts). */
  private async sync({ id }: ServedVolume): Promise<void> {
    try {
      await this.parts.volumes.sync(id);
    } catch (thrown) {
      if (toRsError(thrown).code !== 'E_TIMEOUT') await this.parts.incarnations.start(id);
      throw thrown;
    }
  }

  private servedIn(name: string): readonly ServedVolume[] {
    const ids = new Set(this.idsIn(name));
    return this.parts.volumes.served.filter(({ id }) => ids.has(id));
  }

  /** Returns the ids of the volumes and snapshots of the pool. */
  private idsIn(name: string): readonly string[] {
    const state = this.parts.pools.states.find((one) => one.name === name);
    if (state === undefined) return [];
    return [...state.volumes.keys(), ...[...state.snapshots.values()].flatMap(({ list }) => list.map(({ id }) => id))];
  }
}
