// Checks whether this process can open another file. Without a free descriptor, the listener gets no new connections, because libuv closes
// each new connection without a report. Invariant: during a shortage, the log gets one line when the shortage begins, one line every
// DESCRIPTOR_LOG_MS, and one line when it ends.

import { closeSync, openSync } from 'node:fs';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { errnoName, errnoRemedy } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { DESCRIPTOR_LOG_MS, DESCRIPTOR_CHECK_MS } from './limits.ts';

export class DescriptorWatch {
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'info' | 'error'>;
  private readonly tryOpen: () => string | null;
  private timer: Timer | null = null;
  /** The times at which the current shortage began and was last reported; null if there is no shortage. */
  private shortage: { readonly sinceMs: number; saidMs: number } | null = null;

  /** `tryOne` opens and closes a file, and returns null on success or the name of the errno after a failure. */
  constructor(clock: Clock, log: Pick<Log, 'info' | 'error'>, tryOne: () => string | null = openAndClose) {
    this.clock = clock;
    this.log = log;
    this.tryOpen = tryOne;
  }

  watch(): void {
    this.timer ??= this.clock.after(DESCRIPTOR_CHECK_MS, () => {
      this.timer = null;
      this.check();
      this.watch();
    });
  }

  close(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  private check(): void {
    const errno = this.tryOpen();
    const nowMs = this.clock.monotonicMs();
    if (errno === 'EMFILE' || errno === 'ENFILE') {
      this.report(errno, nowMs);
    } else if (this.shortage !== null) {
      this.log.info(
        `Connections are accepted again, after ${Math.round((nowMs - this.shortage.sinceMs) / 1000)} s without a free descriptor`,
      );
      this.shortage = null;
    }
  }

  private report(errno: string, nowMs: number): void {
    if (this.shortage !== null && nowMs - this.shortage.saidMs < DESCRIPTOR_LOG_MS) return;
    this.shortage = { sinceMs: this.shortage?.sinceMs ?? nowMs, saidMs: nowMs };
    const lasting = this.shortage.sinceMs === nowMs ? '' : `, for ${Math.round((nowMs - this.shortage.sinceMs) / 1000)} s now`;
    this.log.error(`The server cannot open files or accept connections (${errno})${lasting}: ${errnoRemedy(errno)}`);
  }
}

function openAndClose(): string | null {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return null;
  } catch (thrown) {
    return errnoName(thrown) ?? null;
  }
}
