// Records, for all sessions, which volumes have changes that wait for space in their pool. Logs when the changes of a volume begin to
// wait and when they continue. Invariant: no session that has ended is in the records.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { Log } from '@rsio/base/log/log';
import { eventOf } from '../events/event-log.ts';

/**
 * Returns the name of the pool that has no space for a volume over several pools; null if the volume has only one pool. `poolId`: the
 * pool that refused a write; null if no write was refused. `shortIds`: the pools that have less than their reserve free.
 */
export function fullPoolOf(
  volumes: readonly ServerVolumeConfig[],
  volumeId: string,
  poolId: string | null,
  shortIds: readonly string[],
): string | null {
  const parts = volumes.find(({ id }) => id === volumeId)?.layout?.parts ?? [];
  const short = parts.find((part) => shortIds.includes(part.poolId));
  return (parts.find((part) => part.poolId === poolId) ?? short)?.pool ?? null;
}

export class SpaceShortage {
  private readonly log: Pick<Log, 'info' | 'error'>;
  private readonly listChanged: () => void;
  private readonly poolNameOf: (volumeId: string, poolId: string | null) => string | null;
  /** Maps a volume id to the ids of the sessions with changes that wait. A volume without waiting changes has no entry. */
  private readonly waiting = new Map<string, Set<string>>();
  /** For waiting volumes over several pools: maps the volume id to the name of the pool without space. */
  private readonly pools = new Map<string, string>();

  /**
   * `listChanged` is called when a volume has begun or ceased to wait, because the list of volumes that clients receive shows which
   * volumes wait. `poolNameOf` returns the name of the full pool for which a volume over several pools waits (see `fullPoolOf`).
   */
  constructor(
    log: Pick<Log, 'info' | 'error'>,
    listChanged: () => void,
    poolNameOf: (volumeId: string, poolId: string | null) => string | null,
  ) {
    this.log = log;
    this.listChanged = listChanged;
    this.poolNameOf = poolNameOf;
  }

  has(volumeId: string): boolean {
    return this.waiting.has(volumeId);
  }

  /** Returns the name of the full pool for which a volume over several pools waits; null if the volume does not wait, or has one pool. */
  poolOf(volumeId: string): string | null {
    return this.waiting.has(volumeId) ? (this.pools.get(volumeId) ?? null) : null;
  }

  /**
   * Called when the changes of a session on a volume have begun or ceased to wait for space. `name`: name of the volume for the log.
   * `poolId`: the pool that refused a write; null if this pool is unknown.
   */
  changed(session: string, volumeId: string, name: string, isWaiting: boolean, poolId: string | null): void {
    const pool = this.poolNameOf(volumeId, poolId);
    if (pool !== null && isWaiting) this.pools.set(volumeId, pool);
    const sessions = this.waiting.get(volumeId) ?? new Set<string>();
    const before = sessions.size;
    if (isWaiting) sessions.add(session);
    else sessions.delete(session);
    if (sessions.size > 0) this.waiting.set(volumeId, sessions);
    else {
      this.waiting.delete(volumeId);
      this.pools.delete(volumeId);
    }
    const [began, ended] = [before === 0 && sessions.size > 0, before > 0 && sessions.size === 0];
    if (began)
      this.log.error(
        `Volume ${name}: ${pool === null ? 'its pool' : `pool ${pool}`} is full or has less than its reserve free, and writes wait until there is space: enlarge the file system, or remove volumes`,
        {
          volume: name,
          ...eventOf(`volume ${name}`, 'served', 'waits', 'Its pool is full, and writes wait: enlarge the file system, or remove volumes'),
        },
      );
    if (ended)
      this.log.info(`Volume ${name}: no write waits for space any more`, {
        volume: name,
        ...eventOf(`volume ${name}`, 'waits', 'goes on', 'No write waits for space any more'),
      });
    if (began || ended) this.listChanged();
  }

  sessionEnded(session: string): void {
    const before = this.waiting.size;
    for (const [volumeId, sessions] of [...this.waiting]) {
      sessions.delete(session);
      if (sessions.size === 0) this.waiting.delete(volumeId);
    }
    if (this.waiting.size < before) this.listChanged();
  }
}
