// Decides which failed attempts of one path are logged. A server may be away for weeks, and its paths try every few seconds. Pure. Invariant:
// the first failures after a connection, and the first one of each kind, are logged at once; later ones at growing intervals, with the
// number of the attempts since the last line.

import type { ErrorCode } from '@rsio/common/lib/errors';
import { plural } from '@rsio/common/lib/units';
import { FAILED_TRIES_LOGGED_MAX, FAILED_TRIES_LOG_MAX_MS, FAILED_TRIES_LOG_MIN_MS } from './limits.ts';

export class FailedTries {
  private tries = 0;
  private leftOut = 0;
  private readonly codes = new Set<ErrorCode>();
  private waitMs = FAILED_TRIES_LOG_MIN_MS;
  private nextMs = 0;

  /** Called when the path is up. */
  ended(): void {
    this.tries = this.leftOut = 0;
    this.codes.clear();
    this.waitMs = FAILED_TRIES_LOG_MIN_MS;
  }

  /** Returns the end of the line about a failure; null if it is not logged. */
  failed(code: ErrorCode | null, nowMs: number): string | null {
    this.tries++;
    const isNew = code !== null && !this.codes.has(code);
    if (isNew) this.codes.add(code);
    if (!isNew && this.tries > FAILED_TRIES_LOGGED_MAX) {
      if (nowMs < this.nextMs) {
        this.leftOut++;
        return null;
      }
      this.waitMs = Math.min(FAILED_TRIES_LOG_MAX_MS, 2 * this.waitMs);
    }
    this.nextMs = nowMs + this.waitMs;
    const more = this.leftOut === 0 ? '' : ` (${plural(this.leftOut, 'more attempt')} failed since the last line)`;
    this.leftOut = 0;
    return more;
  }
}
