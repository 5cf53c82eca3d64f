// Keeps the last reports of the sessions: counters of their volumes, and paths. Workers report at an interval and when the listener asks.
// Invariants: a worker that does not answer delays the statistics by at most FIGURES_WAIT_MS, and the last figures of this worker are
// shown with their age. The book has no record of a session that has ended.

import type { Clock } from '@rsio/base/lib/clock';
import { NOTHING_HELD } from '../throttle/throttle-messages.ts';
import type { SessionFigures, VolumeFigures } from './volume-counters.ts';
import { FIGURES_WAIT_MS, RATE_OVER_MS } from '../limits.ts';

/** The reports of one session about one volume. */
export interface VolumeRecord {
  readonly now: VolumeFigures;
  /** Monotonic time of the report `now`. */
  readonly nowMs: number;
  /** An earlier report. Rates are measured from this report to the report `now`. */
  readonly before: VolumeFigures;
  readonly beforeMs: number;
}

export interface SessionRecord {
  /** Monotonic time of the last report of the session. */
  readonly atMs: number;
  readonly paths: SessionFigures['paths'];
  readonly opens: SessionFigures['opens'];
  /** Maps a volume id to the reports about the volume. */
  readonly volumes: ReadonlyMap<string, VolumeRecord>;
}

const IDLE = { outstanding: 0, oldestMs: 0, waitingForSpace: 0, heldForSnapshot: 0, ...NOTHING_HELD } as const;

export class StatsBook {
  private readonly clock: Clock;
  /** Makes every session report now, and returns the ids of the sessions that were asked. */
  private readonly ask: () => readonly string[];
  /** Maps a session id to the last report of the session. */
  private readonly sessions = new Map<string, SessionRecord>();
  private readonly waiters = new Set<(session: string) => void>();

  constructor(clock: Clock, ask: () => readonly string[]) {
    this.clock = clock;
    this.ask = ask;
  }

  received(session: string, { volumes, paths, opens }: SessionFigures): void {
    const atMs = this.clock.monotonicMs();
    const records = new Map(this.sessions.get(session)?.volumes);
    const reported = new Set(volumes.map(({ volumeId }) => volumeId));
    // If a report leaves out a volume, the volume is idle, and its counters have not changed since the previous report.
    for (const [id, record] of records)
      if (!reported.has(id) && record.now.outstanding + record.now.heldByLimit > 0)
        records.set(id, { ...record, now: { ...record.now, ...IDLE } });
    for (const now of volumes) records.set(now.volumeId, recordOf(records.get(now.volumeId), now, atMs));
    this.sessions.set(session, { atMs, paths, opens, volumes: records });
    for (const wake of [...this.waiters]) wake(session);
  }

  sessionEnded(session: string): void {
    this.sessions.delete(session);
    for (const wake of [...this.waiters]) wake(session);
  }

  of(session: string): SessionRecord | null {
    return this.sessions.get(session) ?? null;
  }

  /** Asks the sessions, and resolves when all have answered or after FIGURES_WAIT_MS. */
  async refresh(): Promise<void> {
    const missing = new Set(this.ask());
    if (missing.size === 0) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.waiters.delete(wake);
        timer.cancel();
        resolve();
      };
      const wake = (session: string): void => {
        missing.delete(session);
        if (missing.size === 0) end();
      };
      const timer = this.clock.after(FIGURES_WAIT_MS, end);
      this.waiters.add(wake);
    });
  }
}

function recordOf(record: VolumeRecord | undefined, now: VolumeFigures, nowMs: number): VolumeRecord {
  if (record === undefined) return { now, nowMs, before: now, beforeMs: nowMs };
  const isOld = nowMs - record.beforeMs >= RATE_OVER_MS && record.nowMs > record.beforeMs;
  return isOld
    ? { now, nowMs, before: record.now, beforeMs: record.nowMs }
    : { now, nowMs, before: record.before, beforeMs: record.beforeMs };
}
