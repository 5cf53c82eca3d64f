// The statistics of the listener: asks the sessions for their figures and shows them. The workers keep the counters (volume-counters.ts).
// Invariant: the listener does not ask a session whose process hangs, and shows the last report of this session instead.

import { nameInUniverse } from '@rsio/base/lib/volume-name';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { Clock } from '@rsio/base/lib/clock';
import type { Bandwidth } from '../throttle/bandwidth.ts';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import type { Volumes } from '../volumes.ts';
import { StatsBook } from './stats-book.ts';
import { type StatsMoment, statsView } from './stats-views.ts';

interface ObservedSession {
  readonly id: string;
  readonly client: { readonly node: string; readonly address: string };
  readonly beganMs: number;
  readonly workerSession: {
    /** Time in ms for which the process of the session has been hanging in a call to the storage; null if the process does not hang. */
    readonly blockedMs: number | null;
    send(message: { readonly type: 'figures' }): void;
  };
}

interface StatisticsParts {
  readonly clock: Clock;
  readonly sessions: { readonly all: readonly ObservedSession[] };
  readonly volumes: Pick<Volumes, 'served' | 'nameOf'>;
  readonly snapshots: { byId(id: string): ServedVolume | null };
  readonly bandwidth: Pick<Bandwidth, 'textOf'>;
}

export class Statistics {
  readonly book: StatsBook;
  private readonly parts: StatisticsParts;

  constructor(parts: StatisticsParts) {
    this.parts = parts;
    this.book = new StatsBook(parts.clock, () => this.ask());
  }

  async view(): Promise<ServerMethods['stats']['result']> {
    await this.book.refresh();
    const { clock, volumes, snapshots, bandwidth } = this.parts;
    const sessions = this.parts.sessions.all.map(({ id, client: { node, address }, beganMs, workerSession: { blockedMs } }) => {
      return { node, address, beganMs, blockedMs, record: this.book.of(id) };
    });
    const names = new Map(volumes.served.map((volume) => [volume.id, nameInUniverse(volume)]));
    const nameOf = (id: string): string => {
      const snapshot = names.has(id) ? null : snapshots.byId(id);
      return names.get(id) ?? (snapshot === null ? volumes.nameOf(id) : nameInUniverse(snapshot));
    };
    const heldBy: StatsMoment['heldBy'] = (node, volumeId, by) => bandwidth.textOf(node, volumeId, by);
    return statsView(sessions, { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs(), nameOf, heldBy });
  }

  /** Asks the sessions for their figures. Returns the ids of the sessions that were asked. */
  private ask(): string[] {
    const asked = this.parts.sessions.all.filter(({ workerSession }) => workerSession.blockedMs === null);
    for (const { workerSession } of asked) workerSession.send({ type: 'figures' });
    return asked.map(({ id }) => id);
  }
}
