// After each I/O of a user, keeps the event loop awake for a short time (`busy-poll` in rscltcfg), because waking up takes longer than the
// arrival of the next request or answer. If other programs need the core, polling delays the very events that it waits for. Polling
// therefore stops for BUSY_POLL_REST_MS if other programs use the core. rsiod detects other programs by a processor time that is less than
// the time spent polling. Invariant: the loop may sleep after the configured time without I/O, and during a rest.

import type { Clock } from '@rsio/base/lib/clock';
import { BUSY_POLL_CORE_SHARE_MIN, BUSY_POLL_LOOK_MS, BUSY_POLL_REST_MS } from './limits.ts';

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

export class BusyPoll {
  /** Total time spent polling, in ms. */
  polledMs = 0;
  rests = 0;
  private readonly ports: BusyPollPorts;
  private limitMs = 0;
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

  /** Time to poll after each I/O, in us; null disables polling. */
  set limitUs(limitUs: number | null) {
    this.limitMs = (limitUs ?? 0) / 1000;
  }

  /** Called when a request of a user begins or ends. */
  touch(nowMs: number): void {
    if (this.limitMs === 0) return;
    this.touchedMs = nowMs;
    if (this.isPolling || nowMs < this.restsUntilMs) return;
    this.isPolling = true;
    this.turnMs = nowMs;
    // After a while without polling, this look only stores new values for the next comparison.
    if (nowMs - this.seenMs > 2 * BUSY_POLL_LOOK_MS) this.look(nowMs);
    this.ports.nextTurn(this.turn);
  }

  private poll(nowMs: number): void {
    this.polledMs += nowMs - this.turnMs;
    this.turnMs = nowMs;
    if (this.polledMs - this.seenPolledMs >= BUSY_POLL_LOOK_MS && this.look(nowMs) < BUSY_POLL_CORE_SHARE_MIN) {
      this.restsUntilMs = nowMs + BUSY_POLL_REST_MS;
      this.rests++;
    }
    this.isPolling = nowMs - this.touchedMs < this.limitMs && nowMs >= this.restsUntilMs;
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
