// Judges the answers to the user of a mirror, block by block. Changes of a block take effect in the order of submission (M14), and each
// change writes a unique value. If a change was acknowledged, or returned by a READ, before another READ was submitted, this later READ
// must not return an older change. A change with unknown outcome may have taken effect or not; the first READ after the end of the change
// shows which of the two is true.

export interface UserIo {
  readonly op: 'read' | 'write' | 'flush';
  readonly block: number;
  readonly count: number;
  /** Number of the WRITE, in order of submission. Values below FIRST_WRITE are initial contents. */
  readonly value: number;
  readonly submittedAt: number;
  /** For each block of the volume: the newest WRITE that was acknowledged or read when this request was submitted. */
  readonly floor: readonly number[];
  /** For each block of the volume: the newest WRITE that was acknowledged when this request was submitted. */
  readonly acknowledged: readonly number[];
  /** WRITEs, by block and value, that were known to have had no effect when this request was submitted. */
  readonly dead: ReadonlySet<string>;
  answers: number;
}

export const FIRST_WRITE = 100;

export function ageOf(value: number): number {
  return value < FIRST_WRITE ? 0 : value;
}

export class RegisterOracle {
  private readonly floor: number[];
  private readonly acknowledged: number[];
  private readonly begun: number[];
  private readonly dead = new Set<string>();
  private readonly unknown: { readonly io: UserIo; readonly endedAt: number }[] = [];
  private nextValue = FIRST_WRITE;

  constructor(blocks: number) {
    this.floor = Array.from({ length: blocks }, () => 0);
    this.acknowledged = [...this.floor];
    this.begun = [...this.floor];
  }

  begins(op: UserIo['op'], block: number, count: number, at: number): UserIo {
    const value = op === 'write' ? this.nextValue++ : 0;
    const { floor, acknowledged, dead } = this;
    const io: UserIo = {
      op,
      block,
      count,
      value,
      submittedAt: at,
      floor: [...floor],
      acknowledged: [...acknowledged],
      dead: new Set(dead),
      answers: 0,
    };
    if (op === 'write') for (let each = block; each < block + count; each++) this.begun[each] = value;
    return io;
  }

  wrote(io: UserIo): void {
    for (let block = io.block; block < io.block + io.count; block++) {
      this.floor[block] = Math.max(this.floor[block]!, io.value);
      this.acknowledged[block] = Math.max(this.acknowledged[block]!, io.value);
    }
  }

  failed(io: UserIo, at: number): void {
    if (io.op === 'write') this.unknown.push({ io, endedAt: at });
  }

  /** Returns the error in the answer to a READ; null if the answer is permitted. */
  read(io: UserIo, values: readonly number[]): string | null {
    for (const [index, value] of values.entries()) {
      const block = io.block + index;
      if (ageOf(value) < ageOf(io.floor[block]!)) return `block ${block}: ${value} read after ${io.floor[block]}`;
      if (value < FIRST_WRITE && io.floor[block]! > 0 && io.floor[block] !== value)
        return `block ${block}: ${value} read after ${io.floor[block]}`;
      if (io.dead.has(`${block} ${value}`)) return `block ${block}: ${value} read although an earlier read was without it`;
      if (ageOf(value) > this.begun[block]!) return `block ${block}: ${value} was never written`;
    }
    for (const [index, value] of values.entries()) this.seen(io, io.block + index, value);
    return null;
  }

  private seen(io: UserIo, block: number, value: number): void {
    if (ageOf(value) >= ageOf(this.floor[block]!)) this.floor[block] = value;
    for (const { io: write, endedAt } of this.unknown) {
      const covers = block >= write.block && block < write.block + write.count;
      if (covers && endedAt < io.submittedAt && write.value > ageOf(value)) this.dead.add(`${block} ${write.value}`);
    }
  }
}
