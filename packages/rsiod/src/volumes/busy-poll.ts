// Keeps the event loop from sleeping for a short time after each I/O of a user (`busy-poll` in rscltcfg), because waking up takes longer than the
// next request or answer does. Where other programs want the core, polling would delay what it waits for, so that it rests: the process has then used
// less processor time than it has polled. Invariant: without I/O for the configured time, or while polling rests, the loop sleeps.

import type { Clock } from '@rsio/common/lib/clock';
import { BUSY_POLL_CORE_SHARE_MIN, BUSY_POLL_LOOK_MS, BUSY_POLL_REST_MS } from './limits.ts';

export interface BusyPollPorts {
  readonly clock: Clock;
  /** Calls `fire` in the next turn of the event loop, before which the loop does not sleep. */
  nextTurn(fire: () => void): void;
  /** Processor time that this process has used, in ms. */
  cpuMs(): number;
}

/** Processor time of all threads of this process, in ms. */
export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export class BusyPoll {
  /** Time that was polled, in ms. */
  polledMs = 0;
  /** Number of rests. */
  rests = 0;
  private readonly ports: BusyPollPorts;
  private limitMs = 0;
  private isPolling = false;
  private touchedMs = 0;
  private turnMs = 0;
  private restsUntilMs = Number.NEGATIVE_INFINITY;
  /** At the last look: the processor time, the time, and how much had been polled. */
  private seenCpuMs = 0;
  private seenMs = Number.NEGATIVE_INFINITY;
  private seenPolledMs = 0;
  private readonly turn = (): void => this.poll(this.ports.clock.monotonicMs());

  constructor(ports: BusyPollPorts) {
    this.ports = ports;
  }

  /** How long to poll after an I/O, in us. Null: not at all. */
  set limitUs(limitUs: number | null) {
    this.limitMs = (limitUs ?? 0) / 1000;
  }

  /** A request of a user has begun or ended. */
  touch(nowMs: number): void {
    if (this.limitMs === 0) return;
    this.touchedMs = nowMs;
    if (this.isPolling || nowMs < this.restsUntilMs) return;
    this.isPolling = true;
    this.turnMs = nowMs;
    // What has happened since an old look says nothing about the polling that begins.
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

  /** Returns the processor time since the last look, as a share of what was polled. It includes what was used without polling. */
  private look(nowMs: number): number {
    const cpuMs = this.ports.cpuMs();
    const share = (cpuMs - this.seenCpuMs) / (this.polledMs - this.seenPolledMs);
    this.seenCpuMs = cpuMs;
    this.seenMs = nowMs;
    this.seenPolledMs = this.polledMs;
    return share;
  }
}
