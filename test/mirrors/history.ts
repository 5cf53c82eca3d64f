// The operations of the users of the explored volume, and the values that a read may return now. The oracle is the same as in
// test/models/members: an operation comes before all operations that were issued after its answer, and a cycle in this order is a
// violation.

const READS = 16;

interface Operation {
  state: 'none' | 'issued' | 'answered' | 'void';
  readonly block: number;
  value: number;
  readonly term: number;
  /** Operations that were answered before this operation was issued. */
  before: Set<Operation>;
  readonly isWrite: boolean;
}

export class History {
  readonly writesMax: number;
  readonly writes: Operation[] = [];
  readonly reads: Operation[] = [];
  /** `flushed`: values that an acknowledged flush covers. `dropped`: values that a crash has dropped. */
  readonly flushed = new Set<number>();
  readonly dropped = new Set<number>();
  /** The largest size that a user has seen. */
  toldBytes = 1;

  constructor(writesMax: number) {
    this.writesMax = writesMax;
  }

  canRead(): boolean {
    return this.reads.length < READS;
  }

  answered(): Set<Operation> {
    return new Set([...this.writes, ...this.reads].filter(({ state }) => state === 'answered'));
  }

  /** Notes a new write. Returns the value of the new write. */
  write(block: number, term: number): number {
    const value = this.writes.length + 1;
    this.writes.push({ state: 'issued', block, value, term, before: this.answered(), isWrite: true });
    return value;
  }

  read(block: number, term: number): Operation {
    const operation: Operation = { state: 'issued', block, value: -1, term, before: this.answered(), isWrite: false };
    this.reads.push(operation);
    return operation;
  }

  acknowledge(value: number): void {
    const operation = this.writes[value - 1];
    if (operation !== undefined) operation.state = 'answered';
  }

  /**
   * Returns, for each value of the block, a mask of the values that must come later. Returns null if the order has a cycle. `next`: the
   * value that the next read is assumed to return. Null: no next read is assumed.
   */
  order(block: number, next: number | null): number[] | null {
    const later = Array.from({ length: this.writes.length + 1 }, () => 0);
    const edge = (before: Set<Operation>, to: number): void => {
      for (const { block: at, value, state, isWrite } of before) {
        if (at === block && value !== to && (state === 'answered' || (isWrite && state === 'issued')))
          later[value] = (later[value] ?? 0) | (1 << to);
      }
    };
    if (next !== null && next > this.writes.length) return null;
    for (const one of this.writes) {
      if (one.block !== block) continue;
      later[0] = (later[0] ?? 0) | (1 << one.value);
      edge(one.before, one.value);
    }
    for (const one of this.reads) {
      if (one.block !== block || one.state !== 'answered') continue;
      if (one.value > this.writes.length) return null;
      edge(one.before, one.value);
    }
    if (next !== null) edge(this.answered(), next);
    for (const middle of later.keys())
      for (const from of later.keys()) if (((later[from] ?? 0) >> middle) & 1) later[from] = (later[from] ?? 0) | (later[middle] ?? 0);
    return later.some((mask, value) => (mask >> value) & 1) ? null : later;
  }

  /** When a holder is replaced, the loss of its acknowledged writes is accepted if they were never flushed and a crash has dropped them. */
  excuse(servingTerm: number): void {
    const mayGo = (value: number, term: number): boolean => this.dropped.has(value) && !this.flushed.has(value) && term < servingTerm;
    const gone = new Set<Operation>();
    for (const one of this.writes) {
      if (one.state !== 'answered' || !mayGo(one.value, one.term)) continue;
      one.state = 'issued';
      gone.add(one);
    }
    for (const one of this.reads) {
      const write = this.writes[one.value - 1];
      if (one.state !== 'answered' || one.term >= servingTerm || write === undefined || write.state !== 'issued') continue;
      if (!mayGo(one.value, write.term)) continue;
      one.state = 'void';
      gone.add(one);
    }
    if (gone.size === 0) return;
    for (const one of [...this.writes, ...this.reads]) for (const other of gone) one.before.delete(other);
  }
}

export type { Operation };
