// The limits of one session: its shares of the limits of its client and of its volumes. Begins the waiting requests; one timer serves the
// whole session. Invariants: a volume waits only for its own limits and the client's, never for another volume. A handle without a limit
// has no throttle and costs nothing. If a handle is closed, its waiting requests end with STALE and are not executed, and the client sends
// them again. The session confirms each setting once. See docs/PROTOCOL.md, Limits.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { EarliestTimer } from '@rsio/base/lib/earliest-timer';
import { STATUS } from '@rsio/protocol/wire/status';
import { Allowance } from './allowance.ts';
import { HELD_WAIT_MIN_MS } from '../limits.ts';
import {
  ALL_VOLUMES,
  type HeldFigures,
  NOTHING_HELD,
  type ThrottleMessage,
  type ThrottleReport,
  type ThrottleSetting,
} from './throttle-messages.ts';
import { type HeldRequest, type ThrottledHandle, VolumeThrottle } from './volume-throttle.ts';

export interface ThrottlePorts {
  readonly clock: Clock;
  /** Returns all open handles of the session. */
  handles(): Iterable<ThrottledHandle>;
  /** True while an OPEN of any volume is in progress. */
  isOpening(): boolean;
  report(report: ThrottleReport): void;
}

export class SessionThrottles {
  private readonly ports: ThrottlePorts;
  private readonly ofClient = new Allowance();
  private readonly byVolume = new Map<string, VolumeThrottle>();
  /** The throttles with waiting requests, the most recently served throttle last. */
  private readonly waiting = new Set<VolumeThrottle>();
  private readonly wake: EarliestTimer;
  private reporter: Timer | null = null;
  private reportedMs = 0;

  constructor(ports: ThrottlePorts) {
    this.ports = ports;
    this.wake = new EarliestTimer(ports.clock, () => this.pump());
  }

  receive(message: ThrottleMessage): void {
    const nowMs = this.ports.clock.monotonicMs();
    const { volumeId, number } = message;
    if (volumeId === ALL_VOLUMES) this.setClient(message.setting, nowMs);
    else this.set(message, nowMs);
    this.ports.report({ what: 'in-force', volumeId, number });
    this.reportLater(nowMs);
    this.pump();
  }

  /** Must be called for a new handle before its first request. */
  opened(open: ThrottledHandle): void {
    const known = this.byVolume.get(open.volume.id);
    open.throttle = known !== undefined && this.isNeeded(known) ? known : null;
    if (open.throttle === null && !this.ofClient.isUnlimited) open.throttle = known ?? this.added(open.volume.id);
  }

  /** Queues a request that its throttle did not admit. */
  hold(throttle: VolumeThrottle, request: HeldRequest): void {
    throttle.hold(request);
    this.waiting.add(throttle);
    this.wakeIn(throttle.waitMs(request.sinceMs), request.sinceMs);
  }

  /** Called when a handle is being closed. Ends the waiting requests of the handle with STALE. */
  release(open: ThrottledHandle): void {
    const { throttle } = open;
    if (throttle === null || throttle.held === 0) return;
    throttle.endHeld(open, STATUS.STALE);
    if (throttle.held > 0) return;
    this.waiting.delete(throttle);
    this.assign(throttle);
  }

  /** Returns the number of waiting requests of a volume, how long the first of them has waited, and what holds it. */
  figures(volumeId: string, nowMs: number): HeldFigures {
    const throttle = this.byVolume.get(volumeId);
    const sinceMs = throttle?.heldSinceMs ?? null;
    if (throttle === undefined || sinceMs === null) return NOTHING_HELD;
    return { heldByLimit: throttle.held, heldForMs: nowMs - sinceMs, heldBy: throttle.heldBy(nowMs) };
  }

  /**
   * Removes the throttles of volumes without an open handle, and reports to the listener that the session no longer uses these
   * volumes.
   */
  tick(): void {
    if (this.byVolume.size === 0 || this.ports.isOpening()) return;
    const open = new Set([...this.ports.handles()].map(({ volume }) => volume.id));
    for (const [volumeId, { number }] of [...this.byVolume]) {
      if (open.has(volumeId)) continue;
      this.byVolume.delete(volumeId);
      if (number >= 0) this.ports.report({ what: 'unused', volumeId, number });
    }
  }

  close(): void {
    this.wake.cancel();
    this.reporter?.cancel();
    this.reporter = null;
  }

  private set({ volumeId, number, setting }: ThrottleMessage, nowMs: number): void {
    const throttle = this.byVolume.get(volumeId) ?? this.added(volumeId);
    throttle.number = number;
    throttle.set(setting, nowMs);
    if (throttle.isStopped) throttle.endHeld(null, STATUS.STOPPED);
    this.assign(throttle);
  }

  private setClient({ rates, reportMs }: ThrottleSetting, nowMs: number): void {
    this.ofClient.set(rates, nowMs);
    this.ofClient.reportMs = reportMs;
    for (const { volume } of this.ports.handles()) if (!this.byVolume.has(volume.id)) this.added(volume.id);
    for (const throttle of this.byVolume.values()) this.assign(throttle);
  }

  private added(volumeId: string): VolumeThrottle {
    const throttle = new VolumeThrottle(volumeId, this.ofClient);
    this.byVolume.set(volumeId, throttle);
    return throttle;
  }

  private isNeeded(throttle: VolumeThrottle): boolean {
    return !throttle.isFree || !this.ofClient.isUnlimited || throttle.held > 0;
  }

  private assign(throttle: VolumeThrottle): void {
    const needed = this.isNeeded(throttle) ? throttle : null;
    for (const open of this.ports.handles()) if (open.volume.id === throttle.volumeId) open.throttle = needed;
  }

  /** Begins the waiting requests that may begin. The volumes take turns with one request each; the requests of a volume begin in order. */
  private pump(): void {
    const nowMs = this.ports.clock.monotonicMs();
    for (const throttle of this.waiting) {
      if (throttle.held > 0 && !throttle.release(nowMs)) continue;
      this.waiting.delete(throttle);
      if (throttle.held > 0) this.waiting.add(throttle);
      else this.assign(throttle);
    }
    for (const throttle of this.waiting) this.wakeIn(throttle.waitMs(nowMs), nowMs);
  }

  private wakeIn(waitMs: number, nowMs: number): void {
    this.wake.at(nowMs + Math.max(HELD_WAIT_MIN_MS, waitMs));
  }

  /** Plans the next report after the longest interval of all shared limits, so that one report covers all these limits. */
  private reportLater(nowMs: number): void {
    const intervals = [this.ofClient, ...this.byVolume.values()].flatMap(({ reportMs }) => (reportMs === null ? [] : [reportMs]));
    if (this.reporter !== null || intervals.length === 0) return;
    const reportMs = Math.max(...intervals);
    this.reportedMs = nowMs;
    this.reporter = this.ports.clock.after(reportMs, () => this.reportUse());
  }

  /** Reports the use of limits that the session shares with other sessions. */
  private reportUse(): void {
    this.reporter = null;
    const nowMs = this.ports.clock.monotonicMs();
    const divided = [...this.byVolume.values()].filter(({ reportMs }) => reportMs !== null);
    const volumes = divided.map((throttle) => throttle.used(nowMs)).filter((use) => use !== null);
    const ofClient = this.ofClient.reportMs === null ? null : this.ofClient.used(this.waiting.size > 0, nowMs);
    if (ofClient !== null) volumes.push({ volumeId: ALL_VOLUMES, ...ofClient });
    if (volumes.length > 0) this.ports.report({ what: 'used', overMs: nowMs - this.reportedMs, volumes });
    this.reportLater(nowMs);
  }
}
