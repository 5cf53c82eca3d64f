// Checks a trunk's paths periodically: sends PINGs, detects stalls of this process's event loop, reports suspect paths and closes dead
// paths. Only frames that the peer sends because it has received something clear a path: a fault in one direction lets other bytes arrive,
// and would otherwise stall requests again every second. Invariant: time during which this process did not run does not count as silence of
// a path.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { isQuiet, judgePath, type LivenessTimes, quietSinceMs, tickMs, type Verdict } from './path-verdict.ts';
import type { Path } from './path.ts';

export interface LivenessEvents {
  readonly paths: readonly Path[];
  distrust(path: Path, reason: string): void;
  allQuiet(): void;
  /** Called after each check of all paths. */
  checked(): void;
}

export class Liveness {
  private readonly clock: Clock;
  private times: LivenessTimes;
  private tickMs: number;
  private readonly events: LivenessEvents;
  private timer: Timer | null = null;
  private lastTickMs = 0;
  private wereQuiet = false;

  constructor(clock: Clock, times: LivenessTimes, owner: LivenessEvents) {
    this.clock = clock;
    this.times = times;
    this.tickMs = tickMs(times);
    this.events = owner;
  }

  setTimes(times: LivenessTimes): void {
    const isRunning = this.timer !== null;
    this.stop();
    this.times = times;
    this.tickMs = tickMs(times);
    if (isRunning) this.start();
  }

  /** Starts the periodic checks, which continue until no path is left. */
  start(): void {
    if (this.timer !== null) return;
    this.lastTickMs = this.clock.monotonicMs();
    this.timer = this.clock.after(this.tickMs, () => this.tick());
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  private tick(): void {
    this.timer = null;
    const { paths } = this.events;
    if (paths.length === 0) return;
    const nowMs = this.clock.monotonicMs();
    const lateMs = nowMs - this.lastTickMs - this.tickMs;
    if (lateMs > this.tickMs) for (const path of paths) path.excuse(lateMs, nowMs);
    this.start();
    // Judge before sending PINGs, so that no PING is sent on a path that is about to be closed.
    this.judge(paths, nowMs);
    this.ask(this.events.paths, nowMs);
    this.reportQuiet(this.events.paths, nowMs);
    this.events.checked();
  }

  /** Reports the start of each period in which all paths are quiet, so that the owner can try other paths. */
  private reportQuiet(paths: readonly Path[], nowMs: number): void {
    const areQuiet = paths.length > 0 && paths.every((path) => isQuiet(path, this.times, nowMs));
    if (areQuiet && !this.wereQuiet) this.events.allQuiet();
    this.wereQuiet = areQuiet;
  }

  /**
   * Sends PINGs. A path that owes answers gets a PING before it becomes suspect. If slow storage delays the answers, the PONG shows that
   * the path works. A path becomes suspect only if another path delivers while the path is silent. Idle paths therefore also get PINGs,
   * because an idle path without PINGs delivers nothing. A suspect path gets PINGs until it answers or dies.
   */
  private ask(paths: readonly Path[], nowMs: number): void {
    const halfMs = this.times.suspectMs / 2;
    const isInDoubt = paths.some((path) => path.isSuspect || nowMs - quietSinceMs(path) >= halfMs);
    for (const path of paths) {
      const { heartbeat } = path;
      const isAsked = isInDoubt && nowMs - path.lastProofMs >= halfMs && heartbeat.sinceSentMs(nowMs) >= halfMs;
      if (isAsked || heartbeat.isDue(nowMs)) path.ping(nowMs);
    }
  }

  private judge(paths: readonly Path[], nowMs: number): void {
    const verdicts = paths.map((path) => judgePath(path, paths, this.times, nowMs));
    // If one path is dead and all other paths are failing, blame the server: close all paths, so that all of them reconnect.
    const isPeer = verdicts.some(isEnd) && paths.every(({ heartbeat }) => heartbeat.tx(nowMs) !== 'ok');
    for (const [index, path] of paths.entries()) {
      const verdict = verdicts[index] ?? 'keep';
      if (isPeer) this.closeAll(path, paths.length, nowMs);
      else if (isEnd(verdict)) path.connection.close(reasonOf(path, verdict, nowMs), true);
      else if (verdict === 'suspect') this.events.distrust(path, `${reasonOf(path, verdict, nowMs)} while other paths deliver`);
    }
  }

  private closeAll(path: Path, count: number, nowMs: number): void {
    path.isBlameless = true;
    const reason = reasonOf(path, path.heartbeat.rx(nowMs) === 'fail' ? 'dead' : 'deaf', nowMs);
    path.connection.close(count === 1 ? reason : `${reason}, as on all ${count} paths`, true);
  }
}

function isEnd(verdict: Verdict): boolean {
  return verdict === 'dead' || verdict === 'deaf';
}

function reasonOf(path: Path, verdict: Verdict, nowMs: number): string {
  const ms = (sinceMs: number): number => Math.round(nowMs - sinceMs);
  switch (verdict) {
    case 'deaf':
      return `The server has received nothing on this path for ${ms(path.lastHeardMs)} ms, although it sends (tx)`;
    case 'suspect':
      return `No answer for ${ms(path.lastProofMs)} ms`;
    default:
      return `Nothing was received for ${ms(path.lastReceivedMs)} ms`;
  }
}
