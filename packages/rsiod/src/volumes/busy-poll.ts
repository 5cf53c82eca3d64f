// After each I/O of a user, keeps the event loop awake for a short time (`busy-poll` in rscltcfg), because waking up takes longer than the
// arrival of the next request or answer. If other programs need the core, polling delays the very events that it waits for. Polling
// therefore stops for BUSY_POLL_REST_MS if other programs use the core. rsiod detects other programs by a processor time that is less than
// the time spent polling. With `busy-poll = auto`, rsiod polls only while requests come one by one, because the wake-ups of several requests
// are shared, and stops when polling has waited too often for nothing. Invariants: the loop may sleep after the configured time without I/O,
// and during a rest. With `auto`, each kind of wait polls in each BUSY_POLL_VAIN_SPAN_MS for nothing for at most BUSY_POLL_VAIN_MS, and
// BUSY_POLL_VAIN_SHARE of the time that it has polled successfully, and one poll.

import type { Clock } from '@rsio/base/lib/clock';
import {
  BUSY_POLL_AUTO_US,
  BUSY_POLL_CORE_SHARE_MIN,
  BUSY_POLL_LOOK_MS,
  BUSY_POLL_REST_MS,
  BUSY_POLL_VAIN_MS,
  BUSY_POLL_VAIN_SHARE,
  BUSY_POLL_VAIN_SPAN_MS,
} from './limits.ts';

export interface BusyPollPorts {
  readonly clock: Clock;
  /** Calls `fire` in the next turn of the event loop. The loop does not sleep before that turn. */
  nextTurn(fire: () => void): void;
  cpuMs(): number;
}

/** Processor time of all threads of this process, in ms. */
export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * What `auto` has learned about one kind of wait: for the answer to the only request, or for the next request. Each kind has its own budget,
 * because a program that thinks for long between requests may still have a fast server.
 */
class Wait {
  /** Time of the current span that was polled until I/O came, and for nothing, in ms. */
  private usefulMs = 0;
  private vainMs = 0;
  private spanEndMs = Number.NEGATIVE_INFINITY;

  isWorthwhile(nowMs: number): boolean {
    return nowMs >= this.spanEndMs || this.vainMs < BUSY_POLL_VAIN_MS + this.usefulMs * BUSY_POLL_VAIN_SHARE;
  }

  /** A poll of `polledMs` has ended, with or without I/O. */
  ended(nowMs: number, polledMs: number, isUseful: boolean): void {
    if (nowMs >= this.spanEndMs) {
      [this.usefulMs, this.vainMs] = [0, 0];
      this.spanEndMs = nowMs + BUSY_POLL_VAIN_SPAN_MS;
    }
    if (isUseful) this.usefulMs += polledMs;
    else this.vainMs += polledMs;
  }
}

export class BusyPoll {
  /** Total time spent polling, in ms. */
  polledMs = 0;
  /** Number of times that polling has stopped because other programs needed the core. */
  rests = 0;
  private readonly ports: BusyPollPorts;
  private limitMs = 0;
  private isAuto = false;
  private readonly answers = new Wait();
  private readonly requests = new Wait();
  /** With `auto`, what the loop waits for; null while several requests are outstanding. */
  private wait: Wait | null = null;
  private isPolling = false;
  private touchedMs = 0;
  private turnMs = 0;
  private restsUntilMs = Number.NEGATIVE_INFINITY;
  /** The processor time (`seenCpuMs`), the monotonic time (`seenMs`) and `polledMs` (`seenPolledMs`) at the last call of `look`. */
  private seenCpuMs = 0;
  private seenMs = Number.NEGATIVE_INFINITY;
  private seenPolledMs = 0;
  private readonly turn = (): void => this.poll(this.ports.clock.monotonicMs());

  constructor(ports: BusyPollPorts) {
    this.ports = ports;
  }

  /** Time to poll after each I/O, in us; `auto`: at most BUSY_POLL_AUTO_US, while that helps; null disables polling. */
  set limitUs(limitUs: number | 'auto' | null) {
    this.isAuto = limitUs === 'auto';
    this.limitMs = (limitUs === 'auto' ? BUSY_POLL_AUTO_US : (limitUs ?? 0)) / 1000;
    this.wait = null;
  }

  /**
   * Called when a request of a user begins or ends. `outstanding`: requests of the same volume that have begun and not ended, so that a volume
   * whose server is away does not count. A request that covers blocks in part counts as several.
   */
  touch(nowMs: number, outstanding: number): void {
    if (this.limitMs === 0) return;
    if (this.isPolling) this.wait?.ended(nowMs, Math.min(nowMs - this.touchedMs, this.limitMs), true);
    this.touchedMs = nowMs;
    if (this.isAuto && !this.helps(nowMs, outstanding)) return;
    if (this.isPolling || nowMs < this.restsUntilMs) return;
    this.isPolling = true;
    this.turnMs = nowMs;
    // After a while without polling, this look only stores new values for the next comparison.
    if (nowMs - this.seenMs > 2 * BUSY_POLL_LOOK_MS) this.look(nowMs);
    this.ports.nextTurn(this.turn);
  }

  /** Chooses what the loop waits for. Returns false if `auto` lets the loop sleep. */
  private helps(nowMs: number, outstanding: number): boolean {
    const wait = outstanding > 1 ? null : outstanding === 1 ? this.answers : this.requests;
    this.wait = wait !== null && wait.isWorthwhile(nowMs) ? wait : null;
    return this.wait !== null;
  }

  private poll(nowMs: number): void {
    this.polledMs += nowMs - this.turnMs;
    this.turnMs = nowMs;
    if (this.polledMs - this.seenPolledMs >= BUSY_POLL_LOOK_MS && this.look(nowMs) < BUSY_POLL_CORE_SHARE_MIN) {
      this.restsUntilMs = nowMs + BUSY_POLL_REST_MS;
      this.rests++;
    }
    const waitedMs = nowMs - this.touchedMs;
    // A pause of the loop, such as a garbage collection, is no polling.
    if (waitedMs >= this.limitMs) this.wait?.ended(nowMs, this.limitMs, false);
    this.isPolling = waitedMs < this.limitMs && nowMs >= this.restsUntilMs && (!this.isAuto || this.wait !== null);
    if (this.isPolling) this.ports.nextTurn(this.turn);
  }

  /** Returns the processor time since the last look, including work outside of polling, divided by the time spent polling. */
  private look(nowMs: number): number {
    const cpuMs = this.ports.cpuMs();
    const share = (cpuMs - this.seenCpuMs) / (this.polledMs - this.seenPolledMs);
    this.seenCpuMs = cpuMs;
    this.seenMs = nowMs;
    this.seenPolledMs = this.polledMs;
    return share;
  }
}
