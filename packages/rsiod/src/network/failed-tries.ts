// Decides which failed attempts of one path are logged. A server may be away for weeks, and its paths try every few seconds. Pure. Invariant:
// the first failures after a connection, and the first one of each kind, are logged at once; later ones at growing intervals, with the
// number of the attempts since the last line.

import type { ErrorCode, RsError } from '@rsio/base/lib/errors';
import type { PathState } from '@rsio/base/lib/path-states';
import { plural } from '@rsio/base/lib/units';
import { FAILED_TRIES_LOGGED_MAX, FAILED_TRIES_LOG_MAX_MS, FAILED_TRIES_LOG_MIN_MS } from './limits.ts';

export class FailedTries {
  private tries = 0;
  private leftOut = 0;
  private readonly codes = new Set<ErrorCode>();
  private waitMs = FAILED_TRIES_LOG_MIN_MS;
  private nextMs = 0;

  /** Returns the end of the line about a change of the path; null if the change is an attempt that is not logged. */
  changed(
    { lastError, lastErrorSentence }: { readonly lastError: RsError | null; readonly lastErrorSentence: string | null },
    { from, to, reason }: { readonly from: PathState; readonly to: PathState; readonly reason: string },
    nowMs: number,
  ): string | null {
    if (to === 'up') this.ended();
    // A connection that was up is no attempt, and its loss is always logged.
    if (to !== 'down' || (from !== 'connecting' && from !== 'proving') || reason === '') return '';
    return this.failed(reason === lastErrorSentence ? (lastError?.code ?? null) : null, nowMs);
  }

  private ended(): void {
    this.tries = this.leftOut = 0;
    this.codes.clear();
    this.waitMs = FAILED_TRIES_LOG_MIN_MS;
  }

  private failed(code: ErrorCode | null, nowMs: number): string | null {
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
