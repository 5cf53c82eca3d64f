// Judges from outside the snapshots of one server (rule P2), what differs between them (N5), and where its volumes are (C5). It keeps what each
// snapshot contained when it was answered. Invariant: it observes and changes nothing.

import { SECTOR_BYTES } from '@rsio/common/lib/limits';

const BREACHES_MAX = 20;

export class StoreJudge {
  readonly breaches: string[] = [];
  /** Snapshots and clones that were answered, and what they contain. */
  private readonly kept = new Map<string, Buffer>();
  /** Asked for, without an answer: each exists, or all of one request do not. */
  private pending: readonly string[] = [];
  /** A snapshot whose removal has no answer yet. */
  private leaving: string | null = null;
  /** Id of a volume whose rollback has no answer yet: it may have the snapshot of its content before. */
  private rolling: string | null = null;
  private readonly server: string;
  private readonly nowMs: () => number;
  /** Orders that were answered, and comparisons with a kept content. */
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

  /** The order is answered or refused. `content`: of what was made. */
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

  /** What is there now: every snapshot and clone, and its content; null: its file is missing. */
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

  /** Only whether the contents are what they were. */
  compareAll(found: ReadonlyMap<string, Buffer | null>, when: string): void {
    for (const [key, now] of found) {
      const was = this.kept.get(key);
      if (was === undefined || key === this.leaving) continue;
      if (now === null) this.breach(`P2: the data of ${key} is gone ${when}`);
      else this.compare(key, was, now, when);
    }
  }

  /** N5. `pairs`: as changedPairs tells; `isSure`: the sector has not changed meanwhile. */
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
