// Makes the moments of the replications of attached mirrors: only the client that has a mirror attached can make its snapshots (M22). The
// servers of the mirror have the order, and keep count of the moments. Invariants: a mirror has at most one moment in the making, and one
// mirror does not wait for another. A moment that fails is tried again when the next one is due, and its error is logged once. A server that
// is busy, for example with a moment that is still being copied, is no error unless it stays busy.

import type { ReplicationView } from '@rsio/api/views/views';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { timeName } from '@rsio/base/lib/time-name';
import type { Log } from '@rsio/base/log/log';
import { BUSY_MOMENTS_MAX, MOMENTS_LOOK_MAX_MS, MOMENTS_LOOK_MIN_MS } from '../limits.ts';
import type { CommandPorts } from './namespaces.ts';
import { replicationsOf } from './replication-orders.ts';
import type { MirrorSnapshots } from './snapshots.ts';
import type { MirrorVolume } from '../attached-mirror.ts';

export interface MomentMirror {
  readonly label: string;
  readonly volume: MirrorVolume;
  readonly driver: { readonly mirror: string };
}

export interface MirrorMomentsPorts extends Pick<CommandPorts, 'namespaces' | 'newId'> {
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  readonly mirrors: { readonly all: readonly MomentMirror[] };
  readonly snapshots: Pick<MirrorSnapshots, 'make'>;
}

/** What is remembered of a mirror while it is attached. */
interface Memory {
  isMaking: boolean;
  /** Monotonic time of the last moment that was tried; null if there was none. */
  triedMs: number | null;
  /** Number of moments since the last one that was made, and the last error that was logged. */
  failures: number;
  trouble: string | null;
}

export class MirrorMoments {
  private readonly ports: MirrorMomentsPorts;
  private readonly memories = new Map<MomentMirror, Memory>();
  private timer: Timer | null = null;
  private hasStopped = false;

  constructor(ports: MirrorMomentsPorts) {
    this.ports = ports;
  }

  start(): void {
    if (this.hasStopped) return;
    void this.look().then((lookMs) => {
      if (!this.hasStopped) this.timer = this.ports.clock.after(lookMs, () => this.start());
    });
  }

  stop(): void {
    this.hasStopped = true;
    this.timer?.cancel();
  }

  /** Begins the moments that are due. Returns the time until the next look. */
  async look(): Promise<number> {
    const { all } = this.ports.mirrors;
    for (const mirror of this.memories.keys()) if (!all.includes(mirror)) this.memories.delete(mirror);
    const intervals = await Promise.all(all.map((mirror) => this.lookAt(mirror)));
    return Math.max(MOMENTS_LOOK_MIN_MS, Math.min(MOMENTS_LOOK_MAX_MS, ...intervals));
  }

  /** Returns the interval of the moments of the mirror; Infinity if it is not replicated. */
  private async lookAt(mirror: MomentMirror): Promise<number> {
    const { ports } = this;
    const memory = this.memories.get(mirror) ?? { isMaking: false, triedMs: null, failures: 0, trouble: null };
    this.memories.set(mirror, memory);
    const namespaces = ports.namespaces().filter(({ name }) => name === mirror.volume.namespace);
    const servers = namespaces.flatMap((namespace) => namespace.servers);
    const views = await replicationsOf(mirror.driver.mirror, servers);
    const everyMs = Math.min(...views.map((view) => view.everyMs));
    const sinceMs = memory.triedMs === null ? null : ports.clock.monotonicMs() - memory.triedMs;
    if (!this.hasStopped && !memory.isMaking && isDue(views, sinceMs)) void this.make(mirror, memory);
    return everyMs;
  }

  private async make(mirror: MomentMirror, memory: Memory): Promise<void> {
    const { clock, log, newId, snapshots } = this.ports;
    [memory.isMaking, memory.triedMs] = [true, clock.monotonicMs()];
    const snapshot = `replica-${timeName(clock.wallMs())}`;
    try {
      await snapshots.make({ ...mirror.volume, snapshot, id: newId() }, true);
      [memory.failures, memory.trouble] = [0, null];
    } catch (thrown) {
      const error = toRsError(thrown);
      if (++memory.failures < BUSY_MOMENTS_MAX && error.code === 'E_BUSY') return;
      // The name differs with each attempt.
      const message = error.message.replaceAll(snapshot, 'of a moment');
      if (message !== memory.trouble) log.warn(`The next moment of the replication of mirror ${mirror.label} was not made: ${message}`);
      memory.trouble = message;
    } finally {
      memory.isMaking = false;
    }
  }
}

/**
 * Returns true if one of the servers needs a moment now. `sinceMs`: time since this client last tried to make one; null if it has not. After
 * a restart of the client, the age of the last moment that was copied decides.
 */
export function isDue(views: readonly Pick<ReplicationView, 'everyMs' | 'ageMs'>[], sinceMs: number | null): boolean {
  return views.some(({ everyMs, ageMs }) => (sinceMs === null || sinceMs >= everyMs) && (ageMs === null || ageMs >= everyMs));
}
