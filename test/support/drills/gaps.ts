// Finds the gaps of a load: times in which no I/O was answered. Reports the longest gap, and the gap around a given moment. Pure: the
// caller reports the answers. The causes of gaps are not recorded here. Gaps shorter than KEPT_FROM_MS are not kept.

export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

const KEPT_FROM_MS = 10;
const NONE: Gap = { fromMs: 0, toMs: 0 };

export function lengthMs({ fromMs, toMs }: Gap): number {
  return toMs - fromMs;
}

export class Gaps {
  private lastMs: number | null = null;
  private kept: Gap[] = [];

  /** The longest gap since the last call of `forget`. */
  get longest(): Gap {
    return this.kept.reduce((longest, gap) => (lengthMs(gap) > lengthMs(longest) ? gap : longest), NONE);
  }

  answered(nowMs: number): void {
    if (this.lastMs !== null && nowMs - this.lastMs >= KEPT_FROM_MS) this.kept.push({ fromMs: this.lastMs, toMs: nowMs });
    this.lastMs = nowMs;
  }

  /** The gap around this moment. Undefined: I/O was answered shortly before this moment and shortly after it. */
  around(atMs: number): Gap | undefined {
    return this.kept.find(({ fromMs, toMs }) => fromMs <= atMs && atMs <= toMs);
  }

  /** Forgets the gaps that have ended. A gap that has begun and not ended yet is kept, and counts when it ends. */
  forget(): void {
    this.kept = [];
  }
}
