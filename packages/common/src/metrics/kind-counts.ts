// Counts events by the kind of thing that they are about. Invariant: the kinds are those of a list and one for the rest, so that no name in an
// event becomes a label.

const OTHER = 'other';

export class KindCounts {
  private readonly counts: Map<string, number>;

  constructor(kinds: readonly string[]) {
    this.counts = new Map([...kinds, OTHER].map((kind) => [kind, 0]));
  }

  /** `object`: what an event is about, such as `volume oracle@0`. */
  note(object: string): void {
    const [kind = ''] = object.split(' ', 1);
    const counted = this.counts.has(kind) ? kind : OTHER;
    this.counts.set(counted, (this.counts.get(counted) ?? 0) + 1);
  }

  get byKind(): ReadonlyMap<string, number> {
    return this.counts;
  }
}
