// Limits the number of log lines when many volumes report the same change at once, for example when a server becomes unreachable.
// Invariant: each report is either written at once, or included in a summary that follows within BATCHED_LINES_MS.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { BATCHED_LINES_NAMED_MAX, BATCHED_LINES_MS } from './limits.ts';

interface Kind {
  /** `counted` is the number of lines that were counted instead of written. */
  written: number;
  counted: number;
  readonly writeCounted: (count: number) => void;
}

export class BatchedLines {
  private readonly clock: Clock;
  /** Key: a text that identifies the kind of line. An entry is removed after BATCHED_LINES_MS. */
  private readonly kinds = new Map<string, Kind>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Calls `write` at once for the first BATCHED_LINES_NAMED_MAX lines of each kind. All further lines of a kind are only counted, and their
   * number is later passed to `writeCounted`.
   */
  add(kind: string, write: () => void, writeCounted: (count: number) => void): void {
    let known = this.kinds.get(kind);
    if (known === undefined) {
      known = { written: 0, counted: 0, writeCounted };
      this.kinds.set(kind, known);
      this.clock.after(BATCHED_LINES_MS, () => this.end(kind));
    }
    if (known.written < BATCHED_LINES_NAMED_MAX) {
      known.written++;
      write();
    } else known.counted++;
  }

  private end(kind: string): void {
    const known = this.kinds.get(kind);
    this.kinds.delete(kind);
    if (known !== undefined && known.counted > 0) known.writeCounted(known.counted);
  }
}

export class IncarnationEvents {
  private readonly clock: Clock;
  private readonly report: (server: string, message: string) => void;
  /** Key: server. Value: labels of the volumes that the next report names or counts. */
  private readonly volumes = new Map<string, string[]>();
  private timer: Timer | null = null;

  constructor(clock: Clock, report: (server: string, message: string) => void) {
    this.clock = clock;
    this.report = report;
  }

  add(server: string, label: string): void {
    const labels = this.volumes.get(server);
    if (labels === undefined) this.volumes.set(server, [label]);
    else labels.push(label);
    this.timer ??= this.clock.after(BATCHED_LINES_MS, () => this.reportAll());
  }

  private reportAll(): void {
    this.timer = null;
    const all = [...this.volumes];
    this.volumes.clear();
    for (const [server, labels] of all) {
      const more = labels.length - BATCHED_LINES_NAMED_MAX;
      const named = labels.slice(0, BATCHED_LINES_NAMED_MAX).join(', ');
      const which = more > 0 ? `${named} and ${more} more` : named;
      this.report(server, `The storage has started a new incarnation. All writes to ${which} were flushed before`);
    }
  }
}
