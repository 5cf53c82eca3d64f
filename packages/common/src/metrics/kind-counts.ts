// Counts events by the kind of their object, such as `volume`. Invariant: every kind that is not in a fixed list is counted under one
// common kind, so that no name in an event becomes a label.

const OTHER = 'other';

export class KindCounts {
  private readonly counts: Map<string, number>;

  constructor(kinds: readonly string[]) {
    this.counts = new Map([...kinds, OTHER].map((kind) => [kind, 0]));
  }

  /** Counts an event. `object`: the object of the event, such as `volume oracle@0`. */
  note(object: string): void {
    const [kind = ''] = object.split(' ', 1);
    const counted = this.counts.has(kind) ? kind : OTHER;
    this.counts.set(counted, (this.counts.get(counted) ?? 0) + 1);
  }

  get byKind(): ReadonlyMap<string, number> {
    return this.counts;
  }
}
