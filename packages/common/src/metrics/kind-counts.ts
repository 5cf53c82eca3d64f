// Counts events by the kind of their object, such as `volume`. Invariant: only kinds of a fixed list and one for all others exist, so that
// no name in an event becomes a label.

const OTHER = 'other';

export class KindCounts {
  private readonly counts: Map<string, number>;

  constructor(kinds: readonly string[]) {
    this.counts = new Map([...kinds, OTHER].map((kind) => [kind, 0]));
  }

  /** `object`: object of an event, such as `volume oracle@0`. */
  note(object: string): void {
    const [kind = ''] = object.split(' ', 1);
    const counted = this.counts.has(kind) ? kind : OTHER;
    this.counts.set(counted, (this.counts.get(counted) ?? 0) + 1);
  }

  get byKind(): ReadonlyMap<string, number> {
    return this.counts;
  }
}
