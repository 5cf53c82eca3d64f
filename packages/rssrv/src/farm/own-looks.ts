// The looks of a server at the record of a shared pool that it owns, and the time of the last one. Invariants: a look counts only if it
// shows that this server owns the pool under the generation of its ownership; the age of a look counts from its beginning. For DISPUTED_MS
// after a server has begun to serve a pool, answers of an earlier owner may still be valid. Rules: F8, H2.

import { sleep } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Engine } from './engine.ts';
import { isOwner } from './farm-record.ts';
import type { FarmWatch } from './farm-watch.ts';
import { DISPUTED_MS, LOOK_RETRY_MS } from './limits.ts';
import { Looks } from './looks.ts';
import type { Ownership } from './shared-pool-ports.ts';

export interface LookedOwnership extends Ownership {
  /** Monotonic time at which this server began to serve the pool. */
  readonly sinceMs: number;
  /** When the last look that has shown this server as the owner began (monotonic time). */
  lookedMs: number;
  isLost: boolean;
}

export interface OwnLooksPorts {
  readonly clock: Clock;
  /** Name of this server. */
  readonly server: string;
  readonly engine: Pick<Engine, 'look'>;
  /** Returns the ownership of this server; null if it has none, or has begun to close the pool. */
  owned(): LookedOwnership | null;
  /** Called when a look shows that the ownership has ended. */
  end(why: string): void;
  /** Called when the storage does not answer a look. */
  failed(why: string): void;
}

export class OwnLooks {
  private readonly seen: FarmWatch;
  private readonly ports: OwnLooksPorts;
  private readonly looks = new Looks(() => this.lookUntilKnown());

  constructor(seen: FarmWatch, ports: OwnLooksPorts) {
    this.seen = seen;
    this.ports = ports;
  }

  /**
   * Resolves with true if, at a moment after the call, this server owned the pool under `generation` (F8). While the storage does not
   * answer, the call waits, because nothing may be answered then. Resolves with false when the ownership has ended.
   */
  async isMine(generation: number): Promise<boolean> {
    return (await this.looks.ask()) && this.ports.owned()?.generation === generation;
  }

  /**
   * Age in ms of the last look that has shown that this server owns the pool under `generation`; null if this server no longer owns the
   * pool under it.
   */
  ageMs(generation: number): number | null {
    const owned = this.under(generation);
    return owned === null ? null : this.ports.clock.monotonicMs() - owned.lookedMs;
  }

  /**
   * For how long an earlier owner may still answer requests for volumes of the pool, in ms; null if this server does not own the pool under
   * `generation` any more.
   */
  disputedMs(generation: number): number | null {
    const owned = this.under(generation);
    return owned === null ? null : Math.max(0, owned.sinceMs + DISPUTED_MS - this.ports.clock.monotonicMs());
  }

  /**
   * Reads the record once. Resolves with false if a newer record is known, because the look then says nothing about the present. Throws
   * E_STORAGE.
   */
  async look(): Promise<boolean> {
    const { clock, engine, server } = this.ports;
    const beganMs = clock.monotonicMs();
    const sight = await engine.look();
    if (!this.seen.saw(sight)) return false;
    const owned = this.ports.owned();
    if (owned !== null && isOwner(sight.record, server, owned.generation)) owned.lookedMs = Math.max(owned.lookedMs, beganMs);
    return true;
  }

  private under(generation: number): LookedOwnership | null {
    const owned = this.ports.owned();
    return owned === null || owned.isLost || owned.generation !== generation ? null : owned;
  }

  private async lookUntilKnown(): Promise<boolean> {
    const { clock, server } = this.ports;
    for (;;) {
      const owned = this.ports.owned();
      if (owned === null || owned.isLost) return false;
      try {
        // A look that shows a record older than that of this ownership says nothing.
        if (!(await this.look())) continue;
        const record = this.seen.sight?.record ?? null;
        if (isOwner(record, server, owned.generation)) return !(owned as LookedOwnership).isLost;
        this.ports.end(`${record?.owner?.server ?? 'nobody'} owns it now`);
        return false;
      } catch (thrown) {
        this.ports.failed(toRsError(thrown).message);
        await sleep(clock, LOOK_RETRY_MS);
      }
    }
  }
}
