// Flushes replay logs that nobody else flushes: the largest, when all of them together near their bound, and each that has grown old, so that
// what the server syncs by itself (SELF_SYNC_MS) leaves the client's memory, too. By a FLUSH of the log's own (docs/PROTOCOL.md, L1 and L2);
// a volume that cannot be flushed now is left out, so none waits for another.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { LOG_FLUSH_AGE_MS, LOG_LOOK_MS } from './limits.ts';
import type { LogTotal } from '@rsio/protocol/client/replay/log-total';

/** A volume, as far as its log goes. */
interface Trimmed {
  readonly attachment: {
    readonly canFlushLog: boolean;
    readonly log: { readonly usedBytes: number; readonly sinceMs: number | null } | null;
  };
  flushLog(): void;
}

export class LogTrimmer {
  private readonly clock: Clock;
  private readonly total: LogTotal;
  private readonly volumes: () => readonly Trimmed[];
  private looking: Timer | null = null;
  private isWoken = false;

  constructor(clock: Clock, total: LogTotal, volumes: () => readonly Trimmed[]) {
    this.clock = clock;
    this.total = total;
    this.volumes = volumes;
    total.whenUsed = () => this.lookLater();
    total.whenOver = () => this.stop();
    total.whenHigh = () => this.wake();
  }

  /** Until more is written. */
  stop(): void {
    this.looking?.cancel();
    this.looking = null;
  }

  private wake(): void {
    if (this.isWoken) return;
    this.isWoken = true;
    // Not amid the answer that has told.
    this.clock.soon(() => {
      this.isWoken = false;
      this.flushLargest();
    });
  }

  private flushLargest(): void {
    const bySize = this.volumes()
      .filter(({ attachment }) => attachment.canFlushLog)
      .toSorted((a, b) => (b.attachment.log?.usedBytes ?? 0) - (a.attachment.log?.usedBytes ?? 0));
    bySize[0]?.flushLog();
  }

  private lookLater(): void {
    // It goes on when all is flushed: with a timer for each write that follows a FUA or a FLUSH, I/O would pay for it.
    if (this.looking !== null) return;
    this.looking = this.clock.after(LOG_LOOK_MS, () => {
      this.looking = null;
      this.flushOld();
      if (this.total.bytes > 0) this.lookLater();
    });
  }

  private flushOld(): void {
    const oldMs = this.clock.monotonicMs() - LOG_FLUSH_AGE_MS;
    for (const volume of this.volumes()) {
      const { attachment } = volume;
      const sinceMs = attachment.log?.sinceMs ?? null;
      if (sinceMs !== null && sinceMs <= oldMs && attachment.canFlushLog) volume.flushLog();
    }
  }
}
