// Whether this process may open a file more. Without one no connection can be accepted: the kernel's queue is then emptied by libuv, which
// closes each newcomer and tells nobody. So it is tried out now and then. Leaves the sessions, which go on, to their own processes.
// Invariant: one line when it begins, one for each FREE_FILES_LOG_MS that it lasts, one when it is over.

import { closeSync, openSync } from 'node:fs';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { errnoName, errnoRemedy } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { FREE_FILES_LOG_MS, FREE_FILES_LOOK_MS } from './limits.ts';

export class FreeFiles {
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'info' | 'error'>;
  private readonly tryOne: () => string | null;
  private timer: Timer | null = null;
  /** When there was none first, and when that was said last; null: there is one. */
  private none: { readonly sinceMs: number; saidMs: number } | null = null;

  /** `tryOne`: opens a file and closes it; the errno name of a failure, or null. */
  constructor(clock: Clock, log: Pick<Log, 'info' | 'error'>, tryOne: () => string | null = openOne) {
    this.clock = clock;
    this.log = log;
    this.tryOne = tryOne;
  }

  watch(): void {
    this.timer ??= this.clock.after(FREE_FILES_LOOK_MS, () => {
      this.timer = null;
      this.look();
      this.watch();
    });
  }

  close(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  private look(): void {
    const errno = this.tryOne();
    const nowMs = this.clock.monotonicMs();
    if (errno === 'EMFILE' || errno === 'ENFILE') {
      this.say(errno, nowMs);
    } else if (this.none !== null) {
      this.log.info(`Connections are accepted again, after ${Math.round((nowMs - this.none.sinceMs) / 1000)} s without a free file`);
      this.none = null;
    }
  }

  private say(errno: string, nowMs: number): void {
    if (this.none !== null && nowMs - this.none.saidMs < FREE_FILES_LOG_MS) return;
    this.none = { sinceMs: this.none?.sinceMs ?? nowMs, saidMs: nowMs };
    const lasting = this.none.sinceMs === nowMs ? '' : `, for ${Math.round((nowMs - this.none.sinceMs) / 1000)} s now`;
    this.log.error(`No file can be opened and no connection be accepted (${errno})${lasting}: ${errnoRemedy(errno)}`);
  }
}

function openOne(): string | null {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return null;
  } catch (thrown) {
    return errnoName(thrown) ?? null;
  }
}
