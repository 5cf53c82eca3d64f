// Judges the snapshots of one server (rule P2), the differences between snapshots (N5), and the pools of the server's volumes (C5). The
// judge keeps a copy of the content that each snapshot had when the creation of the snapshot was answered. Invariant: the judge observes
// and changes nothing.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';

const BREACHES_MAX = 20;

export class StoreJudge {
  readonly breaches: string[] = [];
  /** Snapshots and clones whose creation was answered, with the contents at that time. */
  private readonly kept = new Map<string, Buffer>();
  /** Snapshots or clones that the unanswered request makes. Either all of these snapshots and clones exist or none. */
  private pending: readonly string[] = [];
  /** A snapshot whose removal has no answer yet. */
  private leaving: string | null = null;
  /** Id of a volume whose rollback has no answer yet. The snapshot that a rollback makes of the earlier content may already exist. */
  private rolling: string | null = null;
  private readonly server: string;
  private readonly nowMs: () => number;
  /** `done`: number of answered orders. `compared`: number of comparisons with kept contents. */
  done = 0;
  compared = 0;

  constructor(server: string, nowMs: () => number) {
    this.server = server;
    this.nowMs = nowMs;
  }

  contentOf(key: string): Buffer | null {
    return this.kept.get(key) ?? null;
  }

  asks(keys: readonly string[]): void {
    this.pending = keys;
  }

  /** The order was answered or refused. `made`: contents of the snapshots and clones that the order has made. */
  answered(made: ReadonlyMap<string, Buffer>): void {
    this.pending = [];
    this.rolling = null;
    this.done++;
    for (const [key, content] of made) this.kept.set(key, Buffer.from(content));
  }

  rollsBack(volumeId: string): void {
    this.rolling = volumeId;
  }

  removes(key: string): void {
    this.leaving = key;
  }

  removed(isRemoved: boolean): void {
    if (isRemoved) this.kept.delete(this.leaving!);
    this.leaving = null;
    this.done++;
  }

  /**
   * Judges which snapshots and clones exist, and compares their contents with the kept copies. `found` has null for a snapshot or clone
   * whose file is missing.
   */
  look(found: ReadonlyMap<string, Buffer | null>, when: string): void {
    for (const [key, content] of this.kept) {
      if (key === this.leaving) continue;
      const now = found.get(key) ?? null;
      if (now === null) this.breach(`P2: ${key} is gone ${when}`);
      else this.compare(key, content, now, when);
    }
    for (const key of found.keys())
      if (!this.kept.has(key) && !this.pending.includes(key) && !key.startsWith(`${this.rolling}@`))
        this.breach(`P2: ${key} is there ${when}, and was not made, or was removed`);
    const made = this.pending.filter((key) => found.has(key));
    if (made.length > 0 && made.length < this.pending.length)
      this.breach(`P2: of ${this.pending.join(', ')} only ${made.join(', ')} is there ${when}`);
  }

  /** Compares the contents of all found snapshots and clones with the kept copies. Does not judge which snapshots and clones exist. */
  compareAll(found: ReadonlyMap<string, Buffer | null>, when: string): void {
    for (const [key, now] of found) {
      const was = this.kept.get(key);
      if (was === undefined || key === this.leaving) continue;
      if (now === null) this.breach(`P2: the data of ${key} is gone ${when}`);
      else this.compare(key, was, now, when);
    }
  }

  /** Judges N5. `pairs`: result of changedPairs; `isSure(sector)`: whether the sector is unchanged since the request. */
  differs(what: string, before: Buffer, after: Buffer, pairs: readonly number[], isSure: (sector: number) => boolean): void {
    this.done++;
    let at = 0;
    for (let index = 0; index < pairs.length; index += 2) {
      const end = at + pairs[index]!;
      for (; pairs[index + 1] === 0 && at < end; at += SECTOR_BYTES) {
        if (!isSure(at / SECTOR_BYTES) || before.compare(after, at, at + SECTOR_BYTES, at, at + SECTOR_BYTES) === 0) continue;
        this.breach(`N5: sector ${at / SECTOR_BYTES} differs between ${what}, and is told to be the same`);
        return;
      }
      at = end;
    }
  }

  breach(sentence: string): void {
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(`${this.server} at ${this.nowMs().toFixed(1)} ms: ${sentence}`);
  }

  private compare(key: string, was: Buffer, now: Buffer, when: string): void {
    this.compared++;
    if (was.equals(now)) return;
    let sector = 0;
    while (was.compare(now, sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES, sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES) === 0)
      sector++;
    this.breach(`P2: ${key} has changed in sector ${sector} ${when}`);
  }
}
