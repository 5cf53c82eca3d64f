// Copies between the replicas of one mirror: settles regions after an unclean end (M7), resyncs replicas that return (M12), clears intent
// maps (M3). The plans decide. This class passes the state of the mirror to the plans and executes the orders of the plans. An event only
// records and schedules `pump`, which acts. Invariant: each piece, flush and clearing that a plan has ordered ends exactly once.

import { counted } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { EarliestTimer } from '@rsio/base/lib/earliest-timer';
import { statusEntry } from '../../wire/status.ts';
import { CHECKPOINT_BYTES, CLEAR_IDLE_MS, COPY_RETRY_MS, PIECES_URGENT_MAX, PIECE_MAX_BYTES } from '../limits.ts';
import { RegionSet, regionsOf } from '../region-set.ts';
import { ClearRun } from './clear-run.ts';
import type { CopyBuffers } from './copy-buffers.ts';
import type { CopierEvents, CopyIo, CopyView, Cutter, ResyncProgress, SourceAndTargets } from './copy-ports.ts';
import { flushAll } from './flush-run.ts';
import { Pace } from './pace.ts';
import { PieceRun, type PieceResult } from './piece-run.ts';
import { ClearPlan } from './clear-plan.ts';
import { MapSurvey } from './map-survey.ts';
import { bytesOf, type Piece } from './region-pieces.ts';
import { SettlePlan } from './settle-plan.ts';
import { sourcesOf, type CopyKind } from './sources.ts';
import { isTenant, type Tenant } from './tenants.ts';
import { Returning } from './returning.ts';
import { Unreadable } from './unreadable.ts';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';

// Design.
// Settling, returning and clearing share buffers, pace and locks. One class therefore runs them. Plans without clock and I/O choose the
// next work (settle-plan.ts, resync-plan.ts, clear-plan.ts). One run executes one order from its beginning to its end (piece-run.ts,
// clear-run.ts, flush-run.ts).
//
//   view; a READ waits; a session was gained or lost; regions became unsettled; a timer; the end of a run
//        | record, then ask for a turn
//        v
//   pump   1  plans learn members, tenures and size; what was copied of regions that differ again is void
//             -- paused (M13), or the mirror does not serve: the turn ends here
//          2  intent maps: of all replicas that count, at the beginning (M7); of each replica that returns (M12)
//             -- a map of the beginning is missing: the turn ends here
//          3  pieces: settling for READs that wait, other settling, replicas that return in turn
//          4  flush of what settling has copied; checkpoints of replicas that return; "caught up"; clearing
//
//   unsettled --copied to all others of I--> copied --flushed at all of I, same tenures--> settled        a region (M7, M20)
//       ^                                     |
//       '--- a change reached only some replicas, or a replica has another tenure
//
//   piece     lock the range -> read -> flush the source -> write to the targets -> release               M9, M12
//   clearing  flush all -> lock the regions -> flush all -> clear the bits at all -> release              M3
//
// A tenure changes with each session, handle and incarnation of a replica (copy/tenants.ts). A copy counts only while tenures stay the
// same, because a replica with another tenure may have lost data that was sent to it.
//
// Never done here:
// - The copier declares no replica in sync. It reports `caughtUp` or `fellBack`, and membership.ts decides with a configuration (M12).
// - It delays no changes except those in a locked range, and no READs except those of unsettled regions.
// - No bit is cleared while a configuration is pending or a member is not in sync. While a replica is larger than the mirror, the bit of
//   the region in which the mirror ends stays set (M21).
// - Users' I/O never stops copies for good: it makes pieces fewer and shorter (pace.ts).

export class Copier {
  readonly unreadable = new Unreadable();
  checkpointBytes = CHECKPOINT_BYTES;
  private readonly clock: Clock;
  private readonly io: CopyIo;
  private readonly buffers: CopyBuffers;
  private readonly events: CopierEvents;
  private readonly pace = new Pace();
  private readonly settle: SettlePlan;
  private readonly clear: ClearPlan;
  private readonly returning = new Map<string, Returning>();
  /** Every region that became unsettled since `drainDiverged` last emptied this set, even if it was unsettled before. */
  private readonly diverged = new RegionSet();
  private survey: MapSurvey | null = null;
  private view: CopyView | null = null;
  /** Size of the volume when regions were last marked as touched, by `begin` or `grow`. */
  private sizeBytes = 0;
  private members: readonly Tenant[] | null = null;
  private underWay = 0;
  private urgentUnderWay = 0;
  private ownBuffers = 0;
  /** Number of flushes, clearings and reads of map pages in progress. */
  private othersUnderWay = 0;
  private whenIdle: (() => void) | null = null;
  private turn = 0;
  /** Earliest time at which settling begins its next piece, after a piece has failed. */
  private settleFromMs = 0;
  /** Earliest time at which the next flush that settles regions begins, after an earlier one has failed. */
  private flushFromMs = 0;
  private clearFromMs = 0;
  private rotateAtMs = 0;
  private hasToldSettled = false;
  /** True if all regions were settled at some time in this term. From then on, no replica in sync lacks writes of lower terms. */
  private wasSettled = false;
  private isPumpDue = false;
  private isEnded = false;
  private isPaused = false;
  private readonly timer: EarliestTimer;
  private readonly pumpNow = (): void => this.pump();

  constructor(clock: Clock, io: CopyIo, buffers: CopyBuffers, events: CopierEvents) {
    this.clock = clock;
    this.io = io;
    this.buffers = buffers;
    this.events = events;
    this.settle = new SettlePlan(io.unsettled);
    this.clear = new ClearPlan(io.touched, io.unsettled, io.lacks);
    this.timer = new EarliestTimer(clock, () => this.wantPump());
  }

  /**
   * Called once when the client has become the holder, before a view says that the mirror serves. Marks all regions as touched and, after
   * an unclean end, as unsettled. The marks stay until the maps of all replicas in sync are read.
   */
  begin(isClean: boolean, sizeBytes: number): void {
    this.survey = new MapSurvey(this.io.touched, this.io.unsettled, regionsOf(sizeBytes), isClean);
    this.io.touched.watcher = this.survey.changed;
    this.io.unsettled.watcher = this.diverged;
    this.sizeBytes = sizeBytes;
    this.wantPump();
  }

  setView(view: CopyView): void {
    this.view = view;
    this.grow(view.sizeBytes);
    for (const { role, mayJoin, identity } of view.replicas) {
      const replica = this.returning.get(identity);
      if (role === 'returning' && mayJoin && replica !== undefined) replica.isToldCaughtUp = false;
    }
    this.wantPump();
  }

  /**
   * Marks the new part of a volume as touched, because each server sets the bits of the new part in its intent map. The bits are cleared
   * when the part is idle. The new part reads as zeros, unless a replica was already larger than the volume. The content up to the end of a
   * larger replica is unknown, and this range becomes unsettled (rule M21).
   */
  private grow(sizeBytes: number): void {
    if (this.survey === null || sizeBytes <= this.sizeBytes) return;
    this.io.touched.addRange(this.sizeBytes, sizeBytes);
    const unknownBytes = Math.min(sizeBytes, largestOf(this.view));
    if (unknownBytes > this.sizeBytes) this.io.unsettled.addRange(this.sizeBytes, unknownBytes);
    this.io.lacks.allChanged();
    this.sizeBytes = sizeBytes;
  }

  /** Called when a replica has gained or lost its session, when users' I/O has begun or ended, or when regions have become unsettled. */
  changed(): void {
    this.wantPump();
  }

  /** Called when a user's READ waits for an unsettled region: the copier settles this region first. */
  hurry(region: number): void {
    this.settle.hurry(region);
    // A READ of an unreadable region does not shorten the wait for the next attempt, which grows with each failure.
    if (!this.unreadable.has(region)) this.settleFromMs = Math.min(this.settleFromMs, this.clock.monotonicMs() + COPY_RETRY_MS);
    this.wantPump();
  }

  /** Sets a fixed rate for copies. If `bytesPerSecond` is null, there is no fixed rate, and copies only yield to users' I/O. */
  setRate(bytesPerSecond: number | null): void {
    this.pace.bytesPerSecond = bytesPerSecond;
    this.wantPump();
  }

  /** True if no region is unsettled. While a region is unsettled, the mirror cannot be detached (M13). */
  get isSettled(): boolean {
    return this.survey?.isComplete === true && this.io.unsettled.count === 0;
  }

  progress(): ResyncProgress[] {
    const nowMs = this.clock.monotonicMs();
    return [...this.returning.values()].map((one) => one.progress(nowMs));
  }

  /**
   * M13: pauses the copier, which begins no work until `resume`. Calls `then` when no work remains in progress, possibly before this method
   * returns.
   */
  pause(then: () => void): void {
    this.isPaused = true;
    this.whenIdle = then;
    this.tellIdle();
  }

  resume(): void {
    this.whenIdle = null;
    this.isPaused = false;
    this.wantPump();
  }

  /**
   * Called when a repair has written this region to the replicas `reached`. Every returning replica that is not in `reached` gets the
   * region again, even if it has caught up and joined.
   */
  recopy(region: number, reached: ReadonlySet<string>): void {
    for (const replica of this.returning.values()) {
      if (reached.has(replica.identity)) continue;
      replica.plan.diverged(region);
      replica.fellBack('The replicas in sync were repaired');
    }
  }

  /** Begins no further work, but lets work in progress end. */
  end(): void {
    this.isEnded = true;
    this.timer.cancel();
  }

  private otherEnded(): void {
    this.othersUnderWay = counted(this.othersUnderWay - 1, 'requests in progress');
    this.tellIdle();
  }

  private tellIdle(): void {
    const { whenIdle } = this;
    if (whenIdle === null || this.underWay + this.urgentUnderWay + this.othersUnderWay > 0) return;
    this.whenIdle = null;
    whenIdle();
  }

  private wantPump(): void {
    if (this.isPumpDue || this.isEnded) return;
    this.isPumpDue = true;
    this.clock.soon(this.pumpNow);
  }

  private pump(): void {
    this.isPumpDue = false;
    const { view, survey } = this;
    if (this.isEnded || view === null || survey === null) return;
    const nowMs = this.clock.monotonicMs();
    this.pace.usersSeen(nowMs, this.io.outstanding);
    this.refresh(view);
    this.drainDiverged(survey);
    // Check this only after `fellBack` was reported, because a copier must report `fellBack` even while it is paused or the mirror does not
    // serve.
    if (this.isPaused || !view.isServing) return;
    this.readMaps(view, survey);
    if (!survey.isComplete) return;
    this.startPieces(nowMs);
    this.startFlush(nowMs);
    this.wakeToRetry(nowMs);
    this.startCheckpoints();
    this.tellCaughtUp(view, nowMs);
    this.startClearing(view, nowMs);
    if (!this.hasToldSettled && this.isSettled) this.events.allSettled();
    this.wasSettled ||= this.isSettled;
    this.hasToldSettled = this.isSettled;
  }

  /**
   * Sets the timer for the next retry. Every turn sets the timer again, because a later failure moves the time of the retry, and the timer
   * for an earlier failure may already have fired.
   */
  private wakeToRetry(nowMs: number): void {
    if (this.settleFromMs > nowMs) this.timer.at(this.settleFromMs);
    if (this.flushFromMs > nowMs) this.timer.at(this.flushFromMs);
    for (const { failedUntilMs } of this.returning.values()) if (failedUntilMs > nowMs) this.timer.at(failedUntilMs);
  }

  // --- the state that the plans need

  private refresh(view: CopyView): void {
    const counting = view.replicas.filter((one) => one.counts);
    const tenants = counting.map(({ identity }) => ({ identity, tenure: this.io.tenureOf(identity) }));
    this.members = tenants.length > 0 && tenants.every(isTenant) ? tenants : null;
    this.settle.setSize(view.sizeBytes);
    const isReady = this.survey?.isComplete === true && !view.isPending;
    this.settle.setMembers(isReady ? this.members : null);
    this.clear.setKept(keptRegion(view));
    this.clear.setMembers(isReady && view.isAllInSync ? this.members : null);
    for (const { identity, role } of view.replicas) {
      if ((role === 'returning' || role === 'joining') && !this.returning.has(identity)) {
        this.returning.set(identity, new Returning(identity, this.io, this.events));
      } else if (role === 'member' || role === 'leaving') this.returning.delete(identity);
    }
    for (const identity of this.returning.keys()) {
      if (!view.replicas.some((one) => one.identity === identity)) this.returning.delete(identity);
    }
    if (this.survey?.isComplete === true) for (const replica of this.returning.values()) replica.follow(view.sizeBytes);
  }

  private drainDiverged(survey: MapSurvey): void {
    const { diverged } = this;
    for (let region = diverged.firstFrom(0); region >= 0; region = diverged.firstFrom(region + 1)) {
      if (!survey.isComplete) survey.diverged.add(region);
      this.settle.diverged(region);
      for (const replica of this.returning.values()) {
        replica.plan.diverged(region);
        // Report only replicas that are still returning, because settling also copies the region to the replicas that count.
        if (this.roleOf(replica.identity) === 'returning') replica.fellBack('A change was executed by some of the replicas only');
      }
    }
    if (diverged.count > 0) diverged.clear();
  }

  private roleOf(identity: string): string | null {
    return this.view?.replicas.find((one) => one.identity === identity)?.role ?? null;
  }

  // --- maps

  private readMaps(view: CopyView, survey: MapSurvey): void {
    const regions = regionsOf(view.sizeBytes);
    if (!survey.isComplete) this.readSurvey(survey, regions);
    for (const { identity, plan } of this.returning.values()) {
      const page = plan.nextPage();
      if (page === null) continue;
      this.othersUnderWay++;
      this.io.readMap(identity, page.first, (answer) => {
        const isRight = plan.pageRead(page, answer, regions);
        if (!isRight) this.events.lost(identity, 'It answered with a wrong intent map');
        this.again(isRight && answer !== null);
        this.otherEnded();
      });
    }
  }

  private readSurvey(survey: MapSurvey, regions: number): void {
    const { members, io } = this;
    if (members === null || this.view?.isPending === true) return;
    for (const one of survey.next(members)) {
      this.othersUnderWay++;
      io.readMap(one.identity, one.page.first, (answer) => {
        const isRight = survey.pageRead(one, answer, regions);
        if (!isRight) this.events.lost(one.identity, 'It answered with a wrong intent map');
        this.again(isRight && answer !== null);
        this.otherEnded();
      });
    }
    if (!survey.complete(members)) return;
    io.lacks.allChanged();
    io.settledMany();
    this.clear.watch();
    this.wantPump();
  }

  /** Takes the next turn at once or, if the work has failed, COPY_RETRY_MS later. */
  private again(isGood: boolean): void {
    if (isGood) this.wantPump();
    else this.timer.at(this.clock.monotonicMs() + COPY_RETRY_MS);
  }

  // --- pieces

  private startPieces(nowMs: number): void {
    while (this.settle.isUrgent && this.urgentUnderWay < PIECES_URGENT_MAX && nowMs >= this.settleFromMs) {
      if (!this.startPiece(this.settler(true), true, PIECE_MAX_BYTES)) break;
    }
    while (this.underWay < this.pace.piecesMax(nowMs)) {
      const waitMs = this.pace.waitMs(nowMs);
      if (waitMs > 0) return this.timer.at(nowMs + waitMs);
      if (!this.startOne(nowMs)) return;
    }
  }

  /** Starts the next piece. Settling comes first, because a resync waits until regions are settled. Returning replicas take turns. */
  private startOne(nowMs: number): boolean {
    const bytes = this.pace.pieceBytes(nowMs);
    if (nowMs >= this.settleFromMs && this.startPiece(this.settler(false), false, bytes)) return true;
    const replicas = [...this.returning.values()];
    for (let index = 0; index < replicas.length; index++) {
      const replica = replicas[(this.turn + index) % replicas.length]!;
      if (nowMs < replica.failedUntilMs || this.io.tenureOf(replica.identity) !== replica.plan.tenure) continue;
      if (!this.startPiece(this.resyncer(replica), false, bytes)) continue;
      this.turn++;
      return true;
    }
    return false;
  }

  private settler(isUrgent: boolean): Cutter & SourceAndTargets {
    const { settle } = this;
    return {
      nextPiece: (maxBytes) => settle.nextPiece(maxBytes, isUrgent),
      isVoid: (piece) => settle.isVoid(piece),
      pieceEnded: (piece, isCopied) => settle.pieceEnded(piece, isCopied),
      sources: ({ endBytes }) => this.sources(this.wasSettled ? 'resettle' : 'settle', endBytes),
      targets: (source) => this.members?.flatMap(({ identity }) => (identity === source ? [] : [identity])) ?? [],
      failed: (untilMs) => (this.settleFromMs = untilMs),
    };
  }

  private resyncer(replica: Returning): Cutter & SourceAndTargets {
    const { plan, identity } = replica;
    return {
      nextPiece: (maxBytes) => plan.nextPiece(maxBytes),
      isVoid: (piece) => plan.isVoid(piece) || this.io.tenureOf(identity) !== plan.tenure,
      pieceEnded: (piece, isCopied) => plan.pieceEnded(piece, isCopied && this.io.tenureOf(identity) === plan.tenure),
      sources: ({ endBytes }) => this.sources('resync', endBytes),
      targets: () => [identity],
      failed: (untilMs) => (replica.failedUntilMs = untilMs),
    };
  }

  private sources(kind: CopyKind, endBytes: number): string[] {
    return this.view === null ? [] : sourcesOf(this.view, kind, endBytes, this.io);
  }

  private startPiece(work: Cutter & SourceAndTargets, isUrgent: boolean, maxBytes: number): boolean {
    const grant = this.buffers.take(maxBytes, this.ownBuffers === 0);
    if (grant === null) return false;
    const piece = work.nextPiece(grant.bytes);
    if (piece === null) {
      this.buffers.release(grant);
      return false;
    }
    if (!grant.isShared) this.ownBuffers++;
    if (isUrgent) this.urgentUnderWay++;
    else this.underWay++;
    this.pace.took(this.clock.monotonicMs(), bytesOf(piece));
    const run = new PieceRun(this.io, {
      piece,
      buffer: grant.buffer,
      sources: () => work.sources(piece),
      targets: (source) => work.targets(source),
      isVoid: () => work.isVoid(piece),
      refused: (identity, status) => this.events.lost(identity, `It refused a copy: ${statusEntry(status).sentence}`),
      ended: (result) => {
        if (!grant.isShared) this.ownBuffers = counted(this.ownBuffers - 1, 'own buffers');
        if (isUrgent) this.urgentUnderWay = counted(this.urgentUnderWay - 1, 'urgent pieces in progress');
        else this.underWay--;
        this.buffers.release(grant);
        this.pieceEnded(work, piece, result);
        this.tellIdle();
      },
    });
    run.start();
    return true;
  }

  private pieceEnded(work: Cutter & SourceAndTargets, piece: Piece, result: PieceResult): void {
    work.pieceEnded(piece, result === 'copied');
    const wasReadable = this.unreadable.first === null;
    if (result === 'copied') this.unreadable.copied(piece);
    else if (result !== 'void')
      work.failed(this.clock.monotonicMs() + (result === 'unreadable' ? this.unreadable.failed(piece) : COPY_RETRY_MS));
    if (wasReadable !== (this.unreadable.first === null)) this.events.readableChanged();
    this.wantPump();
  }

  // --- flushes, joining, clearing

  private startFlush(nowMs: number): void {
    const { members } = this;
    if (members === null || nowMs < this.flushFromMs) return;
    const flush = this.settle.nextFlush();
    if (flush === null) return;
    this.othersUnderWay++;
    flushAll(this.io, members, (isFlushed) => {
      if (!isFlushed) this.flushFromMs = this.clock.monotonicMs() + COPY_RETRY_MS;
      // Take over the regions that have diverged since the last turn, because they must not count as settled.
      if (this.survey !== null) this.drainDiverged(this.survey);
      for (const region of this.settle.flushEnded(flush, isFlushed)) {
        this.io.lacks.settled(region);
        this.io.settled(region);
      }
      this.wantPump();
      this.otherEnded();
    });
  }

  private startCheckpoints(): void {
    for (const replica of this.returning.values()) {
      if (!replica.isCheckpointDue(this.checkpointBytes)) continue;
      this.othersUnderWay++;
      replica.checkpoint(() => this.otherEnded());
    }
  }

  private tellCaughtUp(view: CopyView, nowMs: number): void {
    for (const replica of this.returning.values()) {
      replica.measure(nowMs);
      const mayTell = view.replicas.some((one) => one.identity === replica.identity && one.role === 'returning' && one.mayJoin);
      if (!mayTell || this.io.tenureOf(replica.identity) !== replica.plan.tenure || !replica.plan.hasCaughtUp() || replica.isToldCaughtUp)
        continue;
      replica.hasCaughtUp = true;
      replica.isToldCaughtUp = true;
      this.events.caughtUp(replica.identity);
    }
  }

  private startClearing(view: CopyView, nowMs: number): void {
    if (this.io.touched.count === 0 || !view.isAllInSync) return;
    if (nowMs >= this.rotateAtMs) {
      this.clear.rotate();
      this.rotateAtMs = nowMs + CLEAR_IDLE_MS;
    }
    this.timer.at(this.rotateAtMs);
    if (nowMs < this.clearFromMs) return this.timer.at(this.clearFromMs);
    const clearing = this.clear.next();
    if (clearing === null) {
      this.clearFromMs = this.rotateAtMs;
      return;
    }
    this.othersUnderWay++;
    const run = new ClearRun(this.io, this.clock, {
      clearing,
      isValid: () => {
        if (this.view !== null) this.refresh(this.view);
        return !this.isPaused && this.clear.isValid(clearing);
      },
      ended: (isCleared) => {
        this.clear.ended(clearing, isCleared);
        if (!isCleared) this.clearFromMs = this.clock.monotonicMs() + CLEAR_IDLE_MS;
        this.wantPump();
        this.otherEnded();
      },
    });
    run.start();
  }
}

// Data that a replica may have beyond the end of the mirror (rule M21). Pure.
// Invariant: the content of this data counts as unknown, and never as zeros.
interface SizesView {
  readonly sizeBytes: number;
  readonly replicas: readonly { readonly foundBytes: number }[];
}

/** Returns the size of the replica that was largest when it was opened. */
function largestOf(view: SizesView | null): number {
  return Math.max(0, ...(view?.replicas ?? []).map(({ foundBytes }) => foundBytes));
}

/**
 * If a replica is larger than the mirror, returns the region in which the mirror ends; the bit of this region stays set. If no replica is
 * larger, returns null.
 */
function keptRegion(view: SizesView): number | null {
  return largestOf(view) > view.sizeBytes ? Math.floor(view.sizeBytes / MIRROR_REGION_BYTES) : null;
}
