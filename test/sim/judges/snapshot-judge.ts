// Judges snapshots (rule P1). The judge works from the outside: it knows the order in which changes of all volumes were submitted and
// answered. A snapshot must have every change that was answered before the request for the snapshot. If change B was submitted after change
// A was answered, a snapshot with B must also have A, even if A belongs to another volume of the snapshot. A snapshot has each write
// completely or not at all. Invariant: the judge observes and changes nothing.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SEGMENT_MIN_BYTES } from '@rsio/protocol/client/limits';
import type { ChangeWatch, Oracle } from './oracle.ts';

interface Change {
  readonly lba: number;
  readonly count: number;
  readonly isWrite: boolean;
  readonly submitted: number;
  readonly incarnations: number;
  /** Position of the OK answer in the order of submissions and answers; infinity: the change was not answered OK. */
  answered: number;
}

export interface JudgedCopy {
  readonly oracle: Oracle;
  readonly name: string;
  readonly content: Buffer;
}

interface Begun {
  readonly acked: Uint32Array;
  readonly lowerings: number;
  /** Number of changes that were answered when the snapshot was requested. */
  readonly answers: number;
}

/** A snapshot that is being taken. */
export type Take = ReadonlyMap<Oracle, Begun>;

const BREACHES_MAX = 20;

class History implements ChangeWatch {
  readonly changes = new Map<number, Change>();
  readonly answers: number[] = [];
  private readonly next: () => number;

  constructor(next: () => number) {
    this.next = next;
  }

  submitted(number: number, lba: number, count: number, isWrite: boolean, incarnations: number): void {
    this.changes.set(number, { lba, count, isWrite, incarnations, submitted: this.next(), answered: Number.POSITIVE_INFINITY });
  }

  answered(number: number): void {
    const change = this.changes.get(number);
    // The judge does not know the change, because it was submitted before the judge began.
    if (change === undefined) return;
    change.answered = this.next();
    this.answers.push(number);
  }
}

export class SnapshotJudge {
  readonly breaches: string[] = [];
  judged = 0;
  private readonly histories = new Map<Oracle, History>();
  private moment = 0;

  watch(oracle: Oracle): void {
    if (this.histories.has(oracle)) return;
    const history = new History(() => ++this.moment);
    this.histories.set(oracle, history);
    oracle.changes = history;
  }

  /** A snapshot is requested. */
  asks(oracles: readonly Oracle[]): Take {
    return new Map(
      oracles.map((oracle) => [
        oracle,
        { acked: oracle.flushBegins(), lowerings: oracle.lowerings, answers: this.historyOf(oracle).answers.length },
      ]),
    );
  }

  /** The request for the snapshot was answered. */
  answered(take: Take, copies: readonly JudgedCopy[]): void {
    this.judged++;
    // Leaves out each volume with an acknowledged change that stopped being required after the snapshot was requested.
    const sure = copies.filter(({ oracle }) => take.get(oracle)!.lowerings === oracle.lowerings);
    for (const copy of sure) this.judgeBefore(copy, take.get(copy.oracle)!);
    const newest = Math.max(0, ...sure.map((copy) => this.newestIn(copy, take.get(copy.oracle)!)));
    for (const copy of sure) this.judgeCut(copy, take.get(copy.oracle)!, newest);
    for (const copy of copies) this.judgeWhole(copy);
  }

  private judgeBefore({ oracle, name, content }: JudgedCopy, { acked }: Begun): void {
    for (let sector = 0; sector < content.length / SECTOR_BYTES; sector++) {
      const shown = oracle.shownIn(content, sector);
      if (shown === null) this.breach(`the snapshot of ${name} has bytes of no write in sector ${sector}`);
      else if (!oracle.isAsLate(content, sector, acked[sector]!))
        this.breach(
          `the snapshot of ${name} shows change ${shown} of sector ${sector}; ${acked[sector]} was answered before it was asked for`,
        );
    }
  }

  /**
   * Returns the submission of the newest change that the copy certainly has, as a position in the order of submissions and answers; 0: no
   * change is certain.
   */
  private newestIn({ oracle, content }: JudgedCopy, { acked }: Begun): number {
    const { changes } = this.historyOf(oracle);
    let newest = 0;
    for (let sector = 0; sector < content.length / SECTOR_BYTES; sector++)
      newest = Math.max(newest, changes.get(oracle.leastIn(content, sector, acked[sector]!))?.submitted ?? 0);
    return newest;
  }

  private judgeCut({ oracle, name, content }: JudgedCopy, { answers: first }: Begun, newest: number): void {
    const { answers, changes } = this.historyOf(oracle);
    for (let at = first; at < answers.length; at++) {
      const number = answers[at]!;
      const { lba, count, answered } = changes.get(number)!;
      if (answered > newest) return;
      const end = Math.min(lba + count, content.length / SECTOR_BYTES);
      for (let sector = lba; sector < end; sector++) {
        if (oracle.isAsLate(content, sector, number)) continue;
        this.breach(
          `the snapshot of ${name} lacks change ${number} of sector ${sector}, and holds one that was submitted after its answer`,
        );
        return;
      }
    }
  }

  /**
   * Expects that the copy has each write that was sent as one segment completely or not at all. Writes that the client sent again are not
   * judged.
   */
  private judgeWhole({ oracle, name, content }: JudgedCopy): void {
    const { changes } = this.historyOf(oracle);
    const sectors = content.length / SECTOR_BYTES;
    const seen = new Set<number>();
    for (let sector = 0; sector < sectors; sector++) {
      const number = oracle.shownIn(content, sector) ?? 0;
      const change = changes.get(number);
      if (change === undefined || seen.has(number)) continue;
      seen.add(number);
      const { lba, count, isWrite, answered, incarnations } = change;
      const isOne = isWrite && count * SECTOR_BYTES <= SEGMENT_MIN_BYTES && incarnations === oracle.incarnations;
      if (!isOne || answered === Number.POSITIVE_INFINITY) continue;
      for (let other = lba; other < Math.min(lba + count, sectors); other++)
        if (!oracle.isAsLate(content, other, number)) {
          this.breach(`the snapshot of ${name} holds write ${number} in sector ${sector}, and not in sector ${other}`);
          return;
        }
    }
  }

  private historyOf(oracle: Oracle): History {
    return this.histories.get(oracle)!;
  }

  private breach(sentence: string): void {
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(`P1: ${sentence}`);
  }
}
