// Limits the log lines that peers can cause, so that peers cannot fill a disk. Within an interval, at most `maxLines` lines of a kind are
// logged, and further lines are only counted. A flood that lasts gets half as many lines in each interval, down to a few. At level debug, all
// lines are logged. The caller names the kind of each line; a kind is one event on one object. Invariants: the number of omitted lines is
// always reported, if necessary by `close`. Memory is limited. A timer runs only if lines have been omitted.

import { RATE_LIMITED_KINDS_MAX, RATE_LIMITED_LINES_MAX, RATE_LIMITED_LINES_MIN, RATE_LIMITED_LOG_MS } from './limits.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from './log.ts';
import { plural } from '../lib/units.ts';

interface Kind {
  sinceMs: number;
  /** Lines that may be logged in this interval. */
  max: number;
  logged: number;
  leftOut: number;
}

/** Name of the count that all kinds beyond RATE_LIMITED_KINDS_MAX share. */
const OTHERS = 'Others';

export class RateLimitedLog {
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'isDebug' | 'warn'>;
  private readonly maxLines: number;
  private readonly kinds = new Map<string, Kind>();
  private timer: Timer | null = null;

  /** `log`: the log to which the numbers of omitted lines are written. */
  constructor(clock: Clock, log: Pick<Log, 'isDebug' | 'warn'>, maxLines = RATE_LIMITED_LINES_MAX) {
    this.clock = clock;
    this.log = log;
    this.maxLines = maxLines;
  }

  /**
   * Calls `write` to log a line; beyond the limit for the kind `name`, only counts the line. The report of omitted lines begins with
   * `name`.
   */
  note(name: string, write: () => void): void {
    const kind = this.kindOf(name);
    if (kind.logged < kind.max || this.log.isDebug === true) {
      kind.logged++;
      write();
      return;
    }
    kind.leftOut++;
    this.timer ??= this.clock.after(RATE_LIMITED_LOG_MS, () => this.endIntervals());
  }

  /** Reports how many lines were omitted, and resets all counts. */
  close(): void {
    this.timer?.cancel();
    this.timer = null;
    for (const [name, kind] of this.kinds) this.report(name, kind);
    this.kinds.clear();
  }

  /** Ends the intervals that are over. */
  private endIntervals(): void {
    this.timer = null;
    const nowMs = this.clock.monotonicMs();
    let restMs = Number.POSITIVE_INFINITY;
    for (const [name, kind] of this.kinds) {
      const leftMs = kind.sinceMs + RATE_LIMITED_LOG_MS - nowMs;
      if (leftMs > 0) restMs = kind.leftOut > 0 ? Math.min(restMs, leftMs) : restMs;
      else if (kind.leftOut > 0) this.kinds.set(name, this.next(name, kind, nowMs));
      else this.kinds.delete(name);
    }
    if (restMs < Number.POSITIVE_INFINITY) this.timer = this.clock.after(restMs, () => this.endIntervals());
  }

  /** Reports a kind, and returns its next interval. */
  private next(name: string, kind: Kind, nowMs: number): Kind {
    this.report(name, kind);
    const max = kind.leftOut > 0 ? Math.min(this.maxLines, Math.max(RATE_LIMITED_LINES_MIN, Math.floor(kind.max / 2))) : this.maxLines;
    return { sinceMs: nowMs, max, logged: 0, leftOut: 0 };
  }

  private kindOf(name: string): Kind {
    const nowMs = this.clock.monotonicMs();
    const found = this.kinds.get(name);
    if (found !== undefined && nowMs - found.sinceMs < RATE_LIMITED_LOG_MS) return found;
    if (found === undefined && this.kinds.size >= RATE_LIMITED_KINDS_MAX) this.forgetOld(nowMs);
    const isFull = found === undefined && this.kinds.size >= RATE_LIMITED_KINDS_MAX && name !== OTHERS;
    if (isFull) return this.kindOf(OTHERS);
    const kind = found === undefined ? { sinceMs: nowMs, max: this.maxLines, logged: 0, leftOut: 0 } : this.next(name, found, nowMs);
    this.kinds.set(name, kind);
    return kind;
  }

  private forgetOld(nowMs: number): void {
    for (const [name, kind] of this.kinds) {
      if (nowMs - kind.sinceMs < RATE_LIMITED_LOG_MS) continue;
      this.report(name, kind);
      this.kinds.delete(name);
    }
  }

  private report(name: string, { leftOut }: Kind): void {
    if (leftOut > 0) this.log.warn(`${name}: ${plural(leftOut, 'more line')} of this kind within ${RATE_LIMITED_LOG_MS / 1000} s`);
  }
}
