// One pull: carries out the steps of its plan (pull-plan.ts), with the bandwidth limit of the order. Invariant: after `ended`, the pull
// writes nothing more, and no buffer of a request that is still in flight is used again.

import { assert, counted } from '@rsio/base/lib/assert';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import { SAVE_EVERY_BYTES } from '../../../jobs/limits.ts';
import {
  PULL_ASK_BYTES,
  PULL_COMPARES_AT_ONCE,
  PULL_COMPARE_BYTES,
  PULL_CREDIT_MS,
  PULL_HOLES_AT_ONCE,
  PULL_HOLE_BYTES,
  PULL_LOOK_MS,
  PULL_PATIENCE_MS,
  PULL_PIECE_BYTES,
  PULL_RANGES_AHEAD,
  PULL_SILENT_MS,
  PULL_SUM_BYTES,
  PULL_WINDOW_BYTES,
} from '../../limits.ts';
import type { PullOrder } from '../messages.ts';
import type { PullProgress } from '../peers.ts';
import type { PulledFile } from './pulled-file.ts';
import { PullPlan, type Piece, type PullStep, type Range } from './pull-plan.ts';
import { createHash } from 'node:crypto';
import { MIRROR_SUM_BYTES } from '@rsio/protocol/wire/limits';

const BOUNDS = {
  windowBytes: PULL_WINDOW_BYTES,
  pieceBytes: PULL_PIECE_BYTES,
  holeBytes: PULL_HOLE_BYTES,
  holesAtOnce: PULL_HOLES_AT_ONCE,
  rangesAhead: PULL_RANGES_AHEAD,
  askBytes: PULL_ASK_BYTES,
  saveEveryBytes: SAVE_EVERY_BYTES,
};
/** Of a pull that compares: each piece is a request for sums, and the peer computes a few of them at a time. */
const COMPARING = { ...BOUNDS, pieceBytes: PULL_COMPARE_BYTES, windowBytes: PULL_COMPARES_AT_ONCE * PULL_COMPARE_BYTES };

export interface SourceEvents {
  /** Called when the snapshot is open, for the first time or again. */
  opened(blockBytes: number): void;
  failed(error: RsError): void;
}

/** The snapshot at the peer. No callback is called during the call that takes it. */
export interface PullSource {
  /** True while nothing can be sent; `reason` says why. */
  readonly isHalted: boolean;
  readonly reason: string;
  open(events: SourceEvents): void;
  read(buffer: Buffer, offsetBytes: number, lengthBytes: number, done: (error: RsError | null) => void): void;
  changes(since: string, offsetBytes: number, lengthBytes: number, done: (pairs: readonly number[] | RsError) => void): void;
  /** Null: the peer cannot tell data from holes. */
  extents(offsetBytes: number, lengthBytes: number, done: (pairs: readonly number[] | null | RsError) => void): void;
  /**
   * Asks for the first MIRROR_SUM_BYTES of the SHA-256 of each piece of a range. Null: the peer cannot compute them, or not now.
   */
  sums(offsetBytes: number, lengthBytes: number, pieceBytes: number, done: (sums: Buffer | null | RsError) => void): void;
  close(): void;
}

export interface PullEvents {
  progress(progress: PullProgress): void;
  /** Called once. Null: the whole content is durable in the file. */
  ended(error: RsError | null): void;
}

export class SnapshotPull {
  private readonly order: PullOrder;
  private readonly source: PullSource;
  private readonly file: Pick<PulledFile, 'read' | 'write' | 'zero' | 'sync' | 'close'>;
  private readonly clock: Clock;
  private readonly events: PullEvents;
  /** Null until the snapshot is open. */
  private plan: PullPlan | null = null;
  private readonly freeBuffers: Buffer[] = [];
  private readonly freeCompared: Buffer[] = [];
  /** Parts of compared pieces that differ, and wait for the limit of bandwidth. At most those of the pieces in work. */
  private readonly parts: { readonly range: Range; readonly read: () => void }[] = [];
  /** Steps on the file that have not ended, and requests for data and sums. */
  private fileSteps = 0;
  private requests = 0;
  private error: RsError | null = null;
  private isOver = false;
  private hasEnded = false;
  /** Time from which the limit of bandwidth allows the next read. */
  private freeMs = Number.NEGATIVE_INFINITY;
  private paceTimer: Timer | null = null;
  private lookTimer: Timer | null = null;
  /** Last time at which anything has ended, and at which the source was not halted. */
  private aliveMs: number;
  private sendingMs: number;
  private reported = '';

  constructor(order: PullOrder, source: PullSource, file: SnapshotPull['file'], clock: Clock, events: PullEvents) {
    this.order = order;
    this.source = source;
    this.file = file;
    this.clock = clock;
    this.events = events;
    this.aliveMs = clock.monotonicMs();
    this.sendingMs = this.aliveMs;
  }

  start(): void {
    this.lookLater();
    this.source.open({ opened: (blockBytes) => this.opened(blockBytes), failed: (error) => this.end(error) });
  }

  /** Ends the pull. `ended` is called with this error when no step on the file is in progress. */
  end(error: RsError | null): void {
    if (this.isOver) return;
    this.isOver = true;
    this.error = error;
    this.paceTimer?.cancel();
    this.lookTimer?.cancel();
    this.source.close();
    this.leave();
  }

  private opened(blockBytes: number): void {
    const { sizeBytes, fromBytes, since, isCompared } = this.order;
    this.alive();
    const isWhole = since === null || isCompared;
    const shape = { sizeBytes, fromBytes, blockBytes, isWhole, isBlank: isWhole && !isCompared };
    this.plan ??= new PullPlan(shape, isCompared ? COMPARING : BOUNDS);
    this.pump();
  }

  private pump(): void {
    const { plan, order } = this;
    while (!this.isOver && plan !== null) {
      const waitMs = order.limitBytes === null ? 0 : this.freeMs - this.clock.monotonicMs();
      const part = waitMs <= 0 ? this.parts.shift() : undefined;
      if (part !== undefined) {
        this.read(part.range, part.read);
        continue;
      }
      const step = plan.next(waitMs <= 0);
      if (step === null) {
        if (waitMs > 0) this.pumpAfter(waitMs);
        return;
      }
      this.begin(plan, step);
    }
  }

  private pumpAfter(waitMs: number): void {
    this.paceTimer ??= this.clock.after(waitMs, () => {
      this.paceTimer = null;
      this.pump();
    });
  }

  private begin(plan: PullPlan, step: PullStep): void {
    const { order } = this;
    switch (step.kind) {
      case 'read':
        if (order.isCompared) this.compare(plan, step);
        else this.read(step, () => plan.completed(step));
        return;
      case 'hole':
        this.onFile(this.file.zero(step.offsetBytes, step.lengthBytes), () => plan.completed(step));
        return;
      case 'sync':
        this.onFile(this.file.sync(), () => {
          plan.synced();
          this.report();
        });
        return;
      case 'changes':
        this.source.changes(this.order.since ?? '', step.offsetBytes, step.lengthBytes, (pairs) =>
          this.answered(pairs, (all) => plan.changesAnswered(all)),
        );
        return;
      case 'extents':
        this.source.extents(step.offsetBytes, step.lengthBytes, (pairs) => this.answered(pairs, (all) => plan.extentsAnswered(all)));
        return;
      case 'done':
        this.report();
        this.end(null);
    }
  }

  /** Reads those parts of the piece from the source whose sums differ from those of the file. */
  private compare(plan: PullPlan, piece: Piece): void {
    const { offsetBytes, lengthBytes } = piece;
    const buffer = this.freeCompared.pop() ?? Buffer.allocUnsafeSlow(PULL_COMPARE_BYTES);
    this.onFile(this.file.read(buffer, lengthBytes, offsetBytes), () => {
      this.requests++;
      this.source.sums(offsetBytes, lengthBytes, PULL_SUM_BYTES, (sums) => {
        this.requests = counted(this.requests - 1, 'requests of a pull');
        this.answered(sums, (known) => {
          const parts = differing(buffer.subarray(0, lengthBytes), known, PULL_SUM_BYTES, PULL_PIECE_BYTES);
          this.freeCompared.push(buffer);
          let left = parts.length;
          if (left === 0) plan.completed(piece);
          const read = (): void => {
            if (--left === 0) plan.completed(piece);
          };
          for (const part of parts) this.parts.push({ range: { ...part, offsetBytes: offsetBytes + part.offsetBytes }, read });
        });
      });
    });
  }

  private read({ offsetBytes, lengthBytes }: Range, then: () => void): void {
    const { limitBytes } = this.order;
    const buffer = this.freeBuffers.pop() ?? Buffer.allocUnsafeSlow(PULL_PIECE_BYTES);
    if (limitBytes !== null) {
      const sinceMs = Math.max(this.clock.monotonicMs() - PULL_CREDIT_MS, this.freeMs);
      this.freeMs = sinceMs + (lengthBytes / limitBytes) * 1_000;
    }
    this.requests++;
    this.source.read(buffer, offsetBytes, lengthBytes, (error) => {
      this.requests = counted(this.requests - 1, 'requests of a pull');
      this.alive();
      if (this.isOver) return;
      if (error !== null) return this.end(error);
      this.onFile(this.file.write(buffer, lengthBytes, offsetBytes), () => {
        this.freeBuffers.push(buffer);
        then();
      });
    });
  }

  private answered<T>(answer: T | RsError, take: (answer: T) => void): void {
    this.alive();
    if (this.isOver) return;
    if (answer instanceof RsError) return this.end(answer);
    take(answer);
    this.pump();
  }

  /** Counts a step on the file, which must have ended before the pull ends. */
  private onFile(work: Promise<void>, then: () => void): void {
    assert(!this.hasEnded, 'A pull changes its file after its end');
    this.fileSteps++;
    const ended = (after: () => void): void => {
      this.fileSteps = counted(this.fileSteps - 1, 'steps on the file of a pull');
      this.alive();
      if (this.isOver) this.leave();
      else after();
    };
    work.then(
      () =>
        ended(() => {
          then();
          this.pump();
        }),
      (thrown: unknown) => ended(() => this.end(toRsError(thrown))),
    );
  }

  private leave(): void {
    if (this.fileSteps > 0 || this.hasEnded) return;
    this.hasEnded = true;
    void this.file.close().then(() => this.events.ended(this.error));
  }

  private alive(): void {
    this.aliveMs = this.clock.monotonicMs();
  }

  private lookLater(): void {
    this.lookTimer = this.clock.after(PULL_LOOK_MS, () => {
      this.lookLater();
      this.report();
      this.look();
    });
  }

  /** Ends a pull that does not go on. While the limit of bandwidth alone delays it, nothing is in flight. */
  private look(): void {
    const nowMs = this.clock.monotonicMs();
    const { source } = this;
    if (!source.isHalted) this.sendingMs = nowMs;
    if (this.paceTimer !== null && this.requests === 0 && this.fileSteps === 0) this.alive();
    if (nowMs - this.sendingMs >= PULL_PATIENCE_MS)
      this.end(
        new RsError(
          'E_UNREACHABLE',
          `${source.reason}; waited ${printDuration(PULL_PATIENCE_MS)}: the copy goes on later from its position`,
        ),
      );
    else if (!source.isHalted && nowMs - this.aliveMs >= PULL_SILENT_MS)
      this.end(new RsError('E_TIMEOUT', `Nothing was copied for ${printDuration(PULL_SILENT_MS)}: find out which storage does not answer`));
  }

  private report(): void {
    if (this.plan === null || this.isOver) return;
    const { positionBytes, doneBytes, totalBytes } = this.plan;
    const text = `${positionBytes} ${doneBytes} ${totalBytes}`;
    if (text === this.reported) return;
    this.reported = text;
    this.events.progress({ positionBytes, doneBytes, totalBytes });
  }
}

// Finds the parts of a range that differ from the source, by checksums. Pure. Invariant: a part is left out only if the source has sent a
// checksum for it, and the bytes here have the same one. Rules: T11.
/**
 * Returns the parts of `own` that differ, in order, as ranges of at most `partBytes`. `sums`: the first MIRROR_SUM_BYTES of the SHA-256 of
 * each `pieceBytes` at the source, one for each; null if the source cannot tell, so that everything differs.
 */
function differing(own: Buffer, sums: Buffer | null, pieceBytes: number, partBytes: number): readonly Range[] {
  const pieces = Math.ceil(own.length / pieceBytes);
  const parts: Range[] = [];
  for (let piece = 0; piece < pieces; piece++) {
    const offsetBytes = piece * pieceBytes;
    const bytes = own.subarray(offsetBytes, offsetBytes + pieceBytes);
    const sum = createHash('sha256').update(bytes).digest();
    if (sums?.compare(sum, 0, MIRROR_SUM_BYTES, piece * MIRROR_SUM_BYTES, (piece + 1) * MIRROR_SUM_BYTES) === 0) continue;
    const last = parts.at(-1);
    const isNext =
      last !== undefined && last.offsetBytes + last.lengthBytes === offsetBytes && last.lengthBytes + bytes.length <= partBytes;
    if (isNext) parts[parts.length - 1] = { ...last, lengthBytes: last.lengthBytes + bytes.length };
    else parts.push({ offsetBytes, lengthBytes: bytes.length });
  }
  return parts;
}
