// A replica that returns, as the copier sees it: its plan, what was told of it, and how fast it is copied.
// What is copied next is decided by plans/resync-plan.ts.

import type { CopyIo, ResyncProgress } from './copy-ports.ts';
import { ResyncPlan } from './plans/resync-plan.ts';
import { ProgressMeter } from './progress-meter.ts';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';

export class Returning {
  readonly identity: string;
  readonly plan: ResyncPlan;
  /** True if the owner was told, and nothing has made it untrue since. */
  hasCaughtUp = false;
  /** True if the owner need not be told again. */
  isToldCaughtUp = false;
  /** Nothing is copied before this time, because it failed. */
  failedUntilMs = 0;
  private readonly meter = new ProgressMeter();

  constructor(identity: string, io: CopyIo) {
    this.identity = identity;
    this.plan = new ResyncPlan(identity, io.touched, io.unsettled);
  }

  measure(nowMs: number): void {
    this.meter.add(nowMs, this.plan.bytesCopied);
  }

  progress(nowMs: number): ResyncProgress {
    const { identity, plan } = this;
    const { bytesCopied, regionsLeft } = plan;
    const bytesPerSecond = this.meter.bytesPerSecond(nowMs, bytesCopied);
    const isKnown = plan.phase === 'copying' && bytesPerSecond > 0;
    const etaMs = isKnown ? Math.round((regionsLeft * MIRROR_REGION_BYTES * 1_000) / bytesPerSecond) : null;
    return { identity, regionsLeft, bytesCopied, bytesPerSecond, etaMs };
  }
}
