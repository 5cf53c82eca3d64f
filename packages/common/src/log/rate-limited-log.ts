// Lines that others cause, as many as they like, strangers or not: of each kind so many within a time are logged, of the rest only how many
// they were, so that nobody fills a disk; all of them at level debug. A kind is an object and what is said of it. What is said is the caller's.
// Invariants: what is left out is told, at the latest when it is closed; memory is bounded; without anything left out there is no timer.

import { RATE_LIMITED_KINDS_MAX, RATE_LIMITED_LINES_MAX, RATE_LIMITED_LOG_MS } from './limits.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from './log.ts';
import { plural } from '../lib/units.ts';

interface Kind {
  sinceMs: number;
  logged: number;
  leftOut: number;
}

/** Of kinds for which there is no room. */
const OTHERS = 'Others';

export class RateLimitedLog {
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'isDebug' | 'warn'>;
  private readonly maxLines: number;
  private readonly kinds = new Map<string, Kind>();
  private timer: Timer | null = null;

  /** `log` gets the sums; `most`: lines of a kind within FREQUENT_LOG_MS. */
  constructor(clock: Clock, log: Pick<Log, 'isDebug' | 'warn'>, most = RATE_LIMITED_LINES_MAX) {
    this.clock = clock;
    this.log = log;
    this.maxLines = most;
  }

  /** Has a line written, or counts it. `name`: begins the sentence that tells how many were left out. */
  note(name: string, write: () => void): void {
    const kind = this.kindOf(name);
    if (kind.logged < this.maxLines || this.log.isDebug === true) {
      kind.logged++;
      write();
      return;
    }
    kind.leftOut++;
    this.timer ??= this.clock.after(RATE_LIMITED_LOG_MS, () => this.close());
  }

  /** Says what was left out, and begins anew with the next line. */
  close(): void {
    this.timer?.cancel();
    this.timer = null;
    for (const [name, kind] of this.kinds) this.report(name, kind);
    this.kinds.clear();
  }

  private kindOf(name: string): Kind {
    const nowMs = this.clock.monotonicMs();
    const found = this.kinds.get(name);
    if (found !== undefined && nowMs - found.sinceMs < RATE_LIMITED_LOG_MS) return found;
    if (found !== undefined) this.report(name, found);
    else if (this.kinds.size >= RATE_LIMITED_KINDS_MAX) this.forgetOld(nowMs);
    const isFull = found === undefined && this.kinds.size >= RATE_LIMITED_KINDS_MAX && name !== OTHERS;
    if (isFull) return this.kindOf(OTHERS);
    const kind = { sinceMs: nowMs, logged: 0, leftOut: 0 };
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
