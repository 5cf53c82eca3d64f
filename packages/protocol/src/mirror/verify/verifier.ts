// Compares the replicas in sync of an attached mirror while the mirror is in use. Requests checksums of one range after another from the
// replicas' servers. For a repair, copies the ranges that differ. The client compares, because servers do not know which changes are in
// flight. Checksums that are kept with the data would change with every write. Invariants: a range is compared within one tenure of each
// replica, and while no change of the range is in flight. Every reported difference is therefore real. Unsettled regions are not compared.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RateMeter } from '@rsio/base/structures/rate-meter';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import { STATUS, statusEntry } from '../../wire/status.ts';
import type { BufferGrant, CopyBuffers } from '../copy/copy-buffers.ts';
import type { CopierEvents, CopyIo, CopyLock, CopyView } from '../copy/copy-ports.ts';
import { Pace } from '../copy/pace.ts';
import { PieceRun } from '../copy/piece-run.ts';
import { areWhole, type ByteRange, differentPieces, Differences, type DifferentRange, type RangeSums } from './differences.ts';
import { VERIFY_BUSY_CHUNK_BYTES, VERIFY_CHUNK_BYTES, VERIFY_FINE_BYTES, VERIFY_PIECE_BYTES, VERIFY_RETRY_MS } from '../limits.ts';

export interface VerifyIo extends CopyIo {
  /** `range`: at most VERIFY_CHUNK_BYTES, in whole sectors. */
  readSums(identity: string, range: ByteRange, pieceBytes: number, done: (answer: SumsAnswer) => void): void;
  /**
   * Calls `work` when no copy and no clearing of bits is in progress, possibly before this method returns. The copier begins no copy and no
   * clearing until `work` calls `done`. A clearing must not run during copies that the copier has not made itself (M3).
   */
  alone(work: (done: () => void) => void): void;
  /** Called when a repair of this region has ended. The region must be copied again to all returning replicas except those in `reached`. */
  recopy(region: number, reached: ReadonlySet<string>): void;
}

/** `sums`: null if the status is not OK or the answer is malformed. */
export interface SumsAnswer {
  readonly status: number;
  readonly sentence: string;
  readonly sums: Buffer | null;
}

export interface VerifyOrder {
  /** True if ranges that differ are also repaired: the content of `source` is copied to the other replicas. */
  readonly isRepair: boolean;
  /** Identity of the replica whose content is taken to be right. If `source` is null, this is the first replica in sync. */
  readonly source: string | null;
}

export interface VerifyReport {
  readonly isRunning: boolean;
  /** Reason why the comparison ended early; null if it did not end early. */
  readonly stopped: string | null;
  /** What the comparison waits for; null if it does not wait. */
  readonly waitsFor: string | null;
  readonly comparedBytes: number;
  readonly sizeBytes: number;
  readonly bytesPerSecond: number;
  readonly differentBytes: number;
  readonly repairedBytes: number;
  readonly ranges: readonly DifferentRange[];
  /** Number of bytes that were not compared, because at least one replica could not read their range. */
  readonly unreadBytes: number;
  /** The first range that could not be read; null if there is none. */
  readonly unread: UnreadRange | null;
}

export interface UnreadRange extends ByteRange {
  readonly replica: string;
  readonly sentence: string;
}

/** Statuses after which a retry may succeed: the session has ended, the server is overloaded, or the volume is stopped. */
const PASSING: ReadonlySet<number> = new Set([
  ...[
    STATUS.OK,
    STATUS.OUTCOME_UNKNOWN,
    STATUS.STALE,
    STATUS.TAKEN,
    STATUS.OUT_OF_MEMORY,
    STATUS.SHUTTING_DOWN,
    STATUS.PAST_END,
    STATUS.STOPPED,
  ],
]);

interface Attempt {
  readonly range: ByteRange;
  readonly pieceBytes: number;
  readonly tenures: ReadonlyMap<string, string>;
  readonly sums: RangeSums[];
  /** A refusal that came from the server itself; a status that only shows the end of the session is not a refusal. */
  refusal: { readonly replica: string; readonly status: number; readonly sentence: string } | null;
  lock: CopyLock | null;
  left: number;
}

export class Verifier {
  private readonly clock: Clock;
  private readonly io: VerifyIo;
  private readonly buffers: CopyBuffers;
  private readonly order: VerifyOrder;
  private readonly events: Pick<CopierEvents, 'lost'>;
  private readonly pace = new Pace();
  private readonly found = new Differences();
  private view: CopyView | null = null;
  private positionBytes = 0;
  private readonly meter = new RateMeter();
  private waitsFor: string | null = null;
  private stopped: string | null = null;
  private isOver = false;
  private isBusy = false;
  private whenIdle: (() => void)[] = [];
  private timer: Timer | null = null;
  private unreadBytes = 0;
  private unread: UnreadRange | null = null;
  private startedMs = 0;
  /** Pieces of the current chunk that differ and are not narrowed down yet. */
  private doubts: ByteRange[] = [];

  constructor(clock: Clock, io: VerifyIo, buffers: CopyBuffers, order: VerifyOrder, events: Pick<CopierEvents, 'lost'>) {
    this.clock = clock;
    this.io = io;
    this.buffers = buffers;
    this.order = order;
    this.events = events;
  }

  get report(): VerifyReport {
    return {
      isRunning: !this.isOver,
      stopped: this.stopped,
      waitsFor: this.waitsFor,
      comparedBytes: this.positionBytes,
      sizeBytes: this.view?.sizeBytes ?? 0,
      bytesPerSecond: this.isOver ? 0 : this.meter.bytesPerSecond(this.clock.monotonicMs(), this.positionBytes),
      differentBytes: this.found.bytes,
      repairedBytes: this.found.repairedBytes,
      ranges: this.found.ranges,
      unreadBytes: this.unreadBytes,
      unread: this.unread,
    };
  }

  /** True if the comparison has ended and none of its requests is in flight. */
  get isIdle(): boolean {
    return this.isOver && !this.isBusy;
  }

  /** Sets the fixed rate of the comparison. If `bytesPerSecond` is null, only users' I/O limits the comparison. */
  setRate(bytesPerSecond: number | null): void {
    this.pace.bytesPerSecond = bytesPerSecond;
  }

  /** Sets the view. The first call starts the comparison. */
  setView(view: CopyView): void {
    const isFirst = this.view === null;
    this.view = view;
    if (isFirst) this.later(0);
  }

  /**
   * Stops the comparison: it begins no further work. Calls `idle` when none of the comparison's requests remains in flight, possibly before
   * this method returns.
   */
  stop(why: string, idle: (() => void) | null = null): void {
    if (!this.isOver) this.stopped = why;
    this.isOver = true;
    this.timer?.cancel();
    if (idle !== null) this.whenIdle.push(idle);
    this.tellIdle();
  }

  private tellIdle(): void {
    if (this.isBusy || this.whenIdle.length === 0) return;
    const { whenIdle } = this;
    this.whenIdle = [];
    for (const idle of whenIdle) idle();
  }

  private later(afterMs: number): void {
    if (this.isOver) return;
    this.timer?.cancel();
    this.timer = this.clock.after(afterMs, () => this.step());
  }

  private retry(why: string): void {
    this.waitsFor = why;
    this.later(VERIFY_RETRY_MS);
  }

  private step(): void {
    const { view, positionBytes } = this;
    if (this.isOver || view === null) return;
    const nowMs = this.clock.monotonicMs();
    this.pace.usersSeen(nowMs, this.io.outstanding);
    const waitMs = this.pace.waitMs(nowMs);
    if (waitMs > 0) return this.later(waitMs);
    if (positionBytes >= view.sizeBytes && this.doubts.length === 0) {
      this.isOver = true;
      return;
    }
    const chunkBytes = this.pace.isBusy(nowMs) ? VERIFY_BUSY_CHUNK_BYTES : VERIFY_CHUNK_BYTES;
    const endBytes = Math.min((Math.floor(positionBytes / chunkBytes) + 1) * chunkBytes, view.sizeBytes);
    const [doubt] = this.doubts;
    this.compare(doubt ?? { beginBytes: positionBytes, endBytes }, doubt === undefined ? VERIFY_PIECE_BYTES : VERIFY_FINE_BYTES);
  }

  private compare(range: ByteRange, pieceBytes: number): void {
    const tenures = this.tenants();
    if (tenures === null) return;
    if (this.io.unsettled.hasAny(range.beginBytes, range.endBytes)) return this.retry('Replicas are being made equal after an unclean end');
    const attempt: Attempt = { range, pieceBytes, tenures, sums: [], refusal: null, lock: null, left: tenures.size };
    this.isBusy = true;
    this.startedMs = this.clock.monotonicMs();
    this.meter.add(this.startedMs, this.positionBytes);
    this.pace.took(this.startedMs, range.endBytes - range.beginBytes);
    // The lock may be granted before `lock` returns; the answers always arrive later.
    attempt.lock = this.io.lock(range.beginBytes, range.endBytes, () => this.ask(attempt));
  }

  /**
   * Returns the replicas in sync with their tenures; the replica that is taken to be right comes first. Returns null if the replicas cannot
   * be compared now.
   */
  private tenants(): ReadonlyMap<string, string> | null {
    const { source } = this.order;
    const members = this.view?.replicas.filter(({ role, counts }) => role === 'member' && counts) ?? [];
    const identities = members.map(({ identity }) => identity);
    if (source !== null) {
      if (!identities.includes(source)) return this.notNow('The replica that is taken to be right is not in sync');
      identities.sort((one, other) => Number(other === source) - Number(one === source));
    }
    if (this.view?.isPending === true || identities.length < 2) return this.notNow('Only one replica is in sync');
    const tenures = identities.map((identity) => [identity, this.io.tenureOf(identity)] as const);
    if (!tenures.every((pair): pair is readonly [string, string] => pair[1] !== null)) return this.notNow('A server does not answer');
    return new Map(tenures);
  }

  private notNow(why: string): null {
    this.retry(why);
    return null;
  }

  private ask(attempt: Attempt): void {
    for (const identity of attempt.tenures.keys()) {
      this.io.readSums(identity, attempt.range, attempt.pieceBytes, ({ status, sentence, sums }) => {
        if (sums !== null) attempt.sums.push({ identity, sums });
        else if (!PASSING.has(status)) attempt.refusal ??= { replica: identity, status, sentence };
        if (--attempt.left === 0) this.answered(attempt);
      });
    }
  }

  private answered(attempt: Attempt): void {
    const { range, pieceBytes, tenures } = attempt;
    const isSame = [...tenures].every(([identity, tenure]) => this.io.tenureOf(identity) === tenure);
    const isSettled = !this.io.unsettled.hasAny(range.beginBytes, range.endBytes);
    attempt.lock?.release();
    const order = [...tenures.keys()];
    const sums = attempt.sums.toSorted((one, other) => order.indexOf(one.identity) - order.indexOf(other.identity));
    if (isSame && isSettled && attempt.refusal !== null) return this.refused(attempt.range, attempt.refusal);
    if (!isSame || !isSettled || sums.length < tenures.size || !areWhole(range, pieceBytes, sums)) {
      this.ended();
      return this.retry('A server has not answered with sums');
    }
    this.waitsFor = null;
    const different = differentPieces(range, pieceBytes, sums);
    if (pieceBytes !== VERIFY_FINE_BYTES) {
      this.doubts = different;
      this.positionBytes = range.endBytes;
      return this.goOn();
    }
    this.doubts.shift();
    if (this.order.isRepair && different.length > 0) return this.repair(range, different);
    for (const piece of different) this.found.add(piece);
    this.goOn();
  }

  private refused(range: ByteRange, { replica, status, sentence }: NonNullable<Attempt['refusal']>): void {
    if (status === STATUS.UNSUPPORTED) {
      this.ended();
      return this.stop('A server cannot compute checksums: update it');
    }
    this.unread ??= { ...range, replica, sentence };
    this.unreadBytes += range.endBytes - range.beginBytes;
    if (this.doubts.length > 0) this.doubts.shift();
    else this.positionBytes = range.endBytes;
    this.waitsFor = null;
    this.goOn();
  }

  /**
   * Continues the comparison. While users' I/O is in progress, first waits for as long as the last step took, so that the users get half of
   * the time.
   */
  private goOn(): void {
    this.ended();
    const nowMs = this.clock.monotonicMs();
    this.later(this.pace.isBusy(nowMs) ? nowMs - this.startedMs : 0);
  }

  private ended(): void {
    this.isBusy = false;
    this.tellIdle();
  }

  /**
   * Copies the range to all other replicas with a session, because a returning replica may have received a copy of the wrong data. Also
   * writes the range to the source, so that the source's own map contains the region. The next holder may be able to read only this map
   * (M12).
   */
  private repair(range: ByteRange, different: readonly DifferentRange[]): void {
    const tenures = this.isOver ? null : this.tenants();
    const grant = tenures === null ? null : this.buffers.take(VERIFY_PIECE_BYTES, true);
    if (tenures === null || grant === null) {
      for (const piece of different) this.found.add(piece);
      return this.goOn();
    }
    const [source = ''] = tenures.keys();
    const region = Math.floor(range.beginBytes / MIRROR_REGION_BYTES);
    let written: ReadonlyMap<string, string> = new Map();
    const order = {
      piece: { region, ...range, runs: [range.beginBytes, range.endBytes] },
      buffer: grant.buffer,
      sources: () => [source],
      targets: () => {
        written = this.repairTargets();
        return [...written.keys()];
      },
      isVoid: () => [...tenures].some(([identity, tenure]) => this.io.tenureOf(identity) !== tenure),
      refused: (identity: string, status: number) => this.events.lost(identity, `It refused a copy: ${statusEntry(status).sentence}`),
    };
    this.io.alone((done) => {
      const ended = (isRepaired: boolean): void => {
        this.io.recopy(region, new Set(isRepaired ? written.keys() : []));
        done();
        this.repaired(grant, different, isRepaired);
      };
      const run = new PieceRun(this.io, {
        ...order,
        ended: (result) => {
          if (result === 'copied') this.flush(written, ended);
          else ended(false);
        },
      });
      run.start();
    });
  }

  /** Returns each replica that has a session, with its tenure. */
  private repairTargets(): ReadonlyMap<string, string> {
    const pairs = this.view?.replicas.map(({ identity }) => [identity, this.io.tenureOf(identity)] as const) ?? [];
    return new Map(pairs.filter((pair): pair is readonly [string, string] => pair[1] !== null));
  }

  /**
   * Calls `flushed` with true if the repair is durable and every replica that counts now was a target of the repair. A replica may have
   * joined since the targets were chosen.
   */
  private flush(tenures: ReadonlyMap<string, string>, flushed: (isDurable: boolean) => void): void {
    let left = tenures.size;
    let isDurable = true;
    for (const [identity, tenure] of tenures) {
      this.io.flushAt(identity, (status) => {
        isDurable &&= status === STATUS.OK && this.io.tenureOf(identity) === tenure;
        if (--left === 0) flushed(isDurable && this.view?.replicas.every((one) => !one.counts || tenures.has(one.identity)) === true);
      });
    }
  }

  private repaired(grant: BufferGrant, different: readonly DifferentRange[], isRepaired: boolean): void {
    this.buffers.release(grant);
    for (const piece of different) this.found.add({ ...piece, isRepaired });
    this.goOn();
  }
}
