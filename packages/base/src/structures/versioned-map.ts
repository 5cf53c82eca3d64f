// A map with the semantics of a value: a change returns a new version, and each earlier version keeps its content. A change of one entry
// does not copy the map, so that a large map can change often. Invariants: each version has the content and the order of a Map that was
// copied before the change, as `new Map(before).set(key, value)` does it. No read and no change of a version alters another version. An
// iteration covers the version in which it began, even if a newer version is made meanwhile.
//
//   oldest ── change ──> older ── change ──> newest: owns the Map
//
// An earlier version knows the one entry by which it differs from the next version. A version never refers to an earlier version, so an
// earlier version that nothing else refers to can be freed.

/** An earlier version that is further than this from the version with the Map gets its own Map when it is read. */
const STEPS_MAX = 16;
/** A chain of versions has at least this many changes before the map is copied. */
const CHANGES_MIN = 64;

interface Step<V> {
  readonly key: string;
  /** The value before the change, if the earlier version has the key. */
  readonly value: V | undefined;
  readonly isPresent: boolean;
  readonly next: VersionedMap<V>;
}

/** The keys are strings. A value may be anything but `undefined`, which means that a key is absent. */
export class VersionedMap<V> implements ReadonlyMap<string, V> {
  readonly size: number;
  /** The Map with the content of this version, or the step to the next version. */
  private content: Map<string, V> | Step<V>;
  /** Number of changes since the Map was copied. */
  private readonly changes: number;

  private constructor(own: Map<string, V>, changes: number) {
    this.content = own;
    this.size = own.size;
    this.changes = changes;
  }

  /** Copies `entries`, unless they are a version already. */
  static of<V>(entries: ReadonlyMap<string, V>): VersionedMap<V> {
    return entries instanceof VersionedMap ? (entries as VersionedMap<V>) : new VersionedMap(new Map(entries), 0);
  }

  /** Returns the version with this entry. A new key comes last, and a known key keeps its place. */
  with(key: string, value: V): VersionedMap<V> {
    const own = this.own();
    const isPresent = own.has(key);
    const known = own.get(key);
    if (isPresent && known === value) return this;
    // A version that is kept for long keeps the later steps, so a chain has a bound. The copies cost a constant time for each change.
    if (this.changes >= Math.max(CHANGES_MIN, own.size)) return new VersionedMap(new Map(own).set(key, value), 0);
    const next = new VersionedMap(own.set(key, value), this.changes + 1);
    this.content = { key, value: known, isPresent, next };
    return next;
  }

  /**
   * Returns the version without these entries. Copies the map, because only a copy lets the earlier version keep the place of an entry. It is
   * copied once, however many keys there are.
   */
  without(keys: readonly string[]): VersionedMap<V> {
    const gone = keys.filter((key) => this.has(key));
    if (gone.length === 0) return this;
    const rest = new Map(this.own());
    for (const key of gone) rest.delete(key);
    return new VersionedMap(rest, 0);
  }

  get(key: string): V | undefined {
    const found = this.nearest(key);
    return found instanceof Map ? found.get(key) : found.value;
  }

  has(key: string): boolean {
    const found = this.nearest(key);
    return found instanceof Map ? found.has(key) : found.isPresent;
  }

  // Each of these iterators has its own list, because a live iterator of the Map would see the entries of newer versions.
  entries(): MapIterator<[string, V]> {
    return [...this.own().entries()].values();
  }

  keys(): MapIterator<string> {
    return [...this.own().keys()].values();
  }

  values(): MapIterator<V> {
    return [...this.own().values()].values();
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }

  forEach(action: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this.entries()) action(value, key, this);
  }

  /** Returns the first step that concerns the key, or the Map that has the entry of this version. */
  private nearest(key: string): Map<string, V> | Step<V> {
    let { content } = this;
    for (let steps = 0; !(content instanceof Map); steps++) {
      if (content.key === key) return content;
      if (steps === STEPS_MAX) return this.own();
      ({ content } = content.next);
    }
    return content;
  }

  /** Returns the Map of this version. An earlier version makes its own copy, and takes back the later changes in it. */
  private own(): Map<string, V> {
    if (this.content instanceof Map) return this.content;
    const steps: Step<V>[] = [];
    let content: Map<string, V> | Step<V> = this.content;
    while (!(content instanceof Map)) {
      steps.push(content);
      content = content.next.content;
    }
    const own = new Map(content);
    for (const { key, value, isPresent } of steps.toReversed()) {
      // A key that the later version has added is the last one, so that its deletion leaves the order as it was.
      if (isPresent) own.set(key, value as V);
      else own.delete(key);
    }
    this.content = own;
    return own;
  }
}
