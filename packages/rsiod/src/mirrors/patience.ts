// Measures how long a mirror has waited for each unreachable replica, and reports a replica after the time `patienceMs`. A replica is
// unreachable while its server has no path or refuses to open the replica. A server that only answers slowly is not unreachable.
// Invariants: time in which this process was not running does not count, because the process could not receive answers. Each absence is
// reported once.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { PATIENCE_LATE_MS, PATIENCE_LOOK_MS } from './limits.ts';

/**
 * `there`: reachable. `away`: unreachable. `slow`: the server is executing a request and may answer soon. The state `slow` begins no
 * absence. An absence that has already begun continues, but is not reported while the state is `slow`.
 */
export type Reach = 'there' | 'slow' | 'away';

export interface PatiencePorts {
  readonly clock: Clock;
  patienceMs(): number;
  /** Returns the state of each replica for which the mirror waits, by the replica's identity. */
  reach(): ReadonlyMap<string, Reach>;
  /** Called when a replica has been unreachable for `patienceMs`. */
  over(identity: string): void;
  /** Called when a replica that was reported with `over` is reachable again. */
  returned(identity: string): void;
}

interface Absence {
  sinceMs: number;
  isReported: boolean;
}

export class Patience {
  private readonly ports: PatiencePorts;
  private readonly absences = new Map<string, Absence>();
  private timer: Timer | null = null;
  private dueMs = 0;

  constructor(ports: PatiencePorts) {
    this.ports = ports;
  }

  /** Must be called whenever a replica may have become reachable or unreachable. */
  look(): void {
    const nowMs = this.ports.clock.monotonicMs();
    if (this.timer !== null && nowMs - this.dueMs > PATIENCE_LATE_MS) this.excuse(nowMs - this.dueMs + PATIENCE_LOOK_MS);
    this.timer?.cancel();
    this.timer = null;
    const reach = this.ports.reach();
    for (const identity of this.absences.keys()) if (!reach.has(identity)) this.absences.delete(identity);
    for (const [identity, state] of reach) this.judge(identity, state, nowMs);
    if ([...this.absences.values()].some(({ isReported }) => !isReported)) this.lookLater(nowMs);
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = null;
    this.absences.clear();
  }

  private judge(identity: string, state: Reach, nowMs: number): void {
    const absence = this.absences.get(identity);
    if (state === 'there') {
      this.absences.delete(identity);
      if (absence?.isReported === true) this.ports.returned(identity);
      return;
    }
    if (absence === undefined) {
      if (state === 'away') this.absences.set(identity, { sinceMs: nowMs, isReported: false });
      return;
    }
    if (absence.isReported || state !== 'away' || nowMs - absence.sinceMs < this.ports.patienceMs()) return;
    absence.isReported = true;
    this.ports.over(identity);
  }

  private excuse(ms: number): void {
    for (const absence of this.absences.values()) absence.sinceMs += ms;
  }

  private lookLater(nowMs: number): void {
    const ends = [...this.absences.values()].flatMap(({ sinceMs, isReported }) => (isReported ? [] : sinceMs + this.ports.patienceMs()));
    const waitMs = Math.max(1, Math.min(PATIENCE_LOOK_MS, ...ends.map((endMs) => (endMs <= nowMs ? PATIENCE_LOOK_MS : endMs - nowMs))));
    this.dueMs = nowMs + waitMs;
    this.timer = this.ports.clock.after(waitMs, () => {
      this.look();
    });
  }
}
