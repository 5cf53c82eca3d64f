// The copier's state for one returning replica: the plan, the reported events, and the rate of the copy. copy/resync-plan.ts decides the
// next piece.

import { RateMeter } from '@rsio/base/structures/rate-meter';
import type { CopierEvents, CopyIo, ResyncProgress } from './copy-ports.ts';
import { ResyncPlan } from './resync-plan.ts';
import { STATUS } from '../../wire/status.ts';

export class Returning {
  readonly identity: string;
  readonly plan: ResyncPlan;
  /** True if `caughtUp` was reported to the owner, and `fellBack` has not been reported since. */
  hasCaughtUp = false;
  /** True if `caughtUp` need not be reported again, because it was reported after the last view. */
  isToldCaughtUp = false;
  /** Earliest time at which the next copy begins, after a copy has failed. */
  failedUntilMs = 0;
  private readonly io: CopyIo;
  private readonly events: Pick<CopierEvents, 'fellBack'>;
  private readonly meter = new RateMeter();
  /** `copiedInAll` of the plan when the last checkpoint began. */
  private checkpointAt = 0;
  private isCheckpointing = false;

  constructor(identity: string, io: CopyIo, events: Pick<CopierEvents, 'fellBack'>) {
    this.identity = identity;
    this.io = io;
    this.events = events;
    this.plan = new ResyncPlan(identity, {
      touched: io.touched,
      unsettled: io.unsettled,
      lacking: () => io.lacks.of(identity, io.lifeOf(identity)),
    });
  }

  /** Starts the plan again if the replica has another session, handle or incarnation. */
  follow(sizeBytes: number): void {
    const { plan, io, identity } = this;
    const tenure = io.tenureOf(identity);
    plan.setSize(sizeBytes);
    if (tenure === null || tenure === plan.tenure) return;
    this.failedUntilMs = 0;
    plan.setTenure(tenure);
    this.fellBack('It has another session or incarnation');
  }

  fellBack(why: string): void {
    if (!this.hasCaughtUp) return;
    this.hasCaughtUp = false;
    this.isToldCaughtUp = false;
    this.events.fellBack(this.identity, why);
  }

  /** True if a checkpoint must begin, because at least `afterBytes` bytes were copied since the last checkpoint began. */
  isCheckpointDue(afterBytes: number): boolean {
    const { phase, tenure, copiedInAll } = this.plan;
    if (phase !== 'copying' || this.isCheckpointing || copiedInAll < this.checkpointAt + afterBytes) return false;
    return tenure !== null && this.io.tenureOf(this.identity) === tenure;
  }

  /** Flushes the replica, so that a copy that starts again need not repeat the part copied so far. Calls `ended` once. */
  checkpoint(ended: () => void): void {
    const { identity, plan, io } = this;
    const { tenure } = plan;
    const remaining = plan.remaining();
    const { tick } = io.lacks;
    this.isCheckpointing = true;
    this.checkpointAt = plan.copiedInAll;
    io.flushAt(identity, (status) => {
      this.isCheckpointing = false;
      // A flush in another session, handle or incarnation does not cover the copy.
      if (status === STATUS.OK && io.tenureOf(identity) === tenure && plan.tenure === tenure) io.lacks.flushed(identity, remaining, tick);
      ended();
    });
  }

  measure(nowMs: number): void {
    this.meter.add(nowMs, this.plan.bytesCopied);
  }

  progress(nowMs: number): ResyncProgress {
    const { identity, plan } = this;
    const { bytesCopied, bytesLeft } = plan;
    const bytesPerSecond = this.meter.bytesPerSecond(nowMs, bytesCopied);
    const isKnown = plan.phase === 'copying' && bytesPerSecond > 0;
    const etaMs = isKnown ? Math.round((bytesLeft * 1_000) / bytesPerSecond) : null;
    return { identity, bytesLeft, bytesCopied, bytesPerSecond, etaMs };
  }
}
