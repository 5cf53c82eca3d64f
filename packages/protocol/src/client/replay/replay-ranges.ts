// The zeroed and discarded ranges of the replay log, sorted by first sector. A newer change cuts or splits the older ranges that it
// overlaps. Invariant: no two ranges share a sector. Rules: L3.

export interface ReplayRange {
  readonly begin: number;
  /** First sector after the range. */
  readonly end: number;
  /** Op and flags of the ZERO or DISCARD that made the range. */
  readonly op: number;
  readonly flags: number;
  readonly age: number;
}

export class ReplayRanges {
  private list: ReplayRange[] = [];

  get count(): number {
    return this.list.length;
  }

  get sectors(): number {
    return this.list.reduce((sum, { begin, end }) => sum + end - begin, 0);
  }

  /** The ranges in ascending order. The list is valid only until the next change. */
  get all(): readonly ReplayRange[] {
    return this.list;
  }

  /** True if any range shares a sector with the range from `begin` to `end` (exclusive). */
  overlaps(begin: number, end: number): boolean {
    return this.list.length > 0 && (this.list[this.firstAfter(begin)]?.begin ?? Number.POSITIVE_INFINITY) < end;
  }

  put(range: ReplayRange): void {
    this.cut(range.begin, range.end);
    const at = this.firstAfter(range.begin);
    const before = this.list[at - 1];
    // Adjacent ranges with the same op, flags and age become one range.
    if (before !== undefined && before.end === range.begin && isAlike(before, range)) this.list[at - 1] = { ...before, end: range.end };
    else this.list.splice(at, 0, range);
  }

  cut(begin: number, end: number): void {
    if (this.list.length === 0) return;
    const first = this.firstAfter(begin);
    let last = first;
    const left: ReplayRange[] = [];
    for (; last < this.list.length && this.list[last]!.begin < end; last++) {
      const range = this.list[last]!;
      if (range.begin < begin) left.push({ ...range, end: begin });
      if (range.end > end) left.push({ ...range, begin: end });
    }
    if (last > first) this.list.splice(first, last - first, ...left);
  }

  trim(age: number): void {
    if (this.list.length > 0) this.list = this.list.filter((range) => range.age > age);
  }

  clear(): void {
    this.list = [];
  }

  /** Index of the first range that ends after this sector. */
  private firstAfter(sector: number): number {
    let [low, high] = [0, this.list.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.list[middle]!.end > sector) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function isAlike(one: ReplayRange, other: ReplayRange): boolean {
  return one.op === other.op && one.flags === other.flags && one.age === other.age;
}
