// Flushes replay logs even if no application sends a flush: the largest log when all logs together approach their limit, and each log with
// old data. Only a successful FLUSH removes data from a log (docs/PROTOCOL.md, L1 and L2). Without the trimmer, the client would keep data
// that the server has already synced without a FLUSH (SELF_SYNC_MS). Invariant: a volume that cannot be flushed now is skipped, so that no
// volume waits for another.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { LOG_FLUSH_AGE_MS, LOG_LOOK_MS } from './limits.ts';
import type { LogTotal } from '@rsio/protocol/client/replay/log-total';

interface Trimmed {
  readonly target: {
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

  /** Stops the timer. The timer starts again when more data is written. */
  stop(): void {
    this.looking?.cancel();
    this.looking = null;
  }

  private wake(): void {
    if (this.isWoken) return;
    this.isWoken = true;
    // The flush is deferred until the answer that triggered the flush has been handled.
    this.clock.soon(() => {
      this.isWoken = false;
      this.flushLargest();
    });
  }

  private flushLargest(): void {
    const bySize = this.volumes()
      .filter(({ target }) => target.canFlushLog)
      .toSorted((a, b) => (b.target.log?.usedBytes ?? 0) - (a.target.log?.usedBytes ?? 0));
    bySize[0]?.flushLog();
  }

  private lookLater(): void {
    // The timer keeps running after everything has been flushed, because a new timer after every FUA or FLUSH would slow I/O down.
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
      const { target } = volume;
      const sinceMs = target.log?.sinceMs ?? null;
      if (sinceMs !== null && sinceMs <= oldMs && target.canFlushLog) volume.flushLog();
    }
  }
}
