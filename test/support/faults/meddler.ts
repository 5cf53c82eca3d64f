// A middleman that changes the bytes of a stream in ways that a network never does: it flips bits, leaves bytes out, repeats earlier bytes
// (of this connection or an older one), and ends a stream in the middle. Pure: chaos-line.ts passes the bytes in, and sends the bytes that
// come out. Invariants: the seed and the bytes decide everything, and each manipulation is counted once.

export const MEDDLINGS = ['flip', 'drop', 'replay', 'cut'] as const;
export type Meddling = (typeof MEDDLINGS)[number];

export interface MeddlerPlan {
  readonly kinds: readonly Meddling[];
  /** Mean number of bytes between two manipulations of a connection. */
  readonly everyBytes: number;
  /** Share of the connections whose first manipulation comes during the handshake, within the first EARLY_BYTES. Default: 0. */
  readonly earlyShare?: number;
  /** Largest number of manipulations. Default: no limit. */
  readonly max?: number;
}

export interface Meddled {
  readonly pieces: readonly Buffer[];
  /** How the stream ends after these pieces. Null: the stream continues. */
  readonly ending: 'end' | 'reset' | null;
}

/** A handshake has about this many bytes in one direction. */
const EARLY_BYTES = 700;
const HOLE_MAX_BYTES = 4096;
const REPLAY_MAX_BYTES = 8192;
/** The middleman remembers at most this many chunks to repeat them later. */
const REMEMBERED_MAX = 64;

/** The middleman in one direction of a path, over all connections of the path. */
export class Meddler {
  readonly plan: MeddlerPlan;
  readonly counts: Record<Meddling, number> = { flip: 0, drop: 0, replay: 0, cut: 0 };
  /** Number of manipulations among the first bytes of a connection. */
  early = 0;
  readonly random: () => number;
  private readonly remembered: Buffer[] = [];

  /** `random` gives numbers in [0, 1). */
  constructor(plan: MeddlerPlan, random: () => number) {
    this.plan = plan;
    this.random = random;
  }

  get total(): number {
    return MEDDLINGS.reduce((sum, kind) => sum + this.counts[kind], 0);
  }

  hand(): MeddlersHand {
    return new MeddlersHand(this);
  }

  int(max: number): number {
    return Math.floor(this.random() * (max + 1));
  }

  remember(bytes: Buffer): void {
    if (this.remembered.length < REMEMBERED_MAX) this.remembered.push(bytes);
    else this.remembered[this.int(REMEMBERED_MAX - 1)] = bytes;
  }

  /** Returns bytes that passed earlier in this direction, perhaps on another connection. */
  recalled(): Buffer {
    const chunk = this.remembered[this.int(this.remembered.length - 1)] ?? Buffer.alloc(0);
    if (this.random() < 0.5) return chunk;
    const begin = this.int(Math.max(0, chunk.length - 1));
    return chunk.subarray(begin, begin + 1 + this.int(REPLAY_MAX_BYTES));
  }
}

/** The middleman in one direction of one connection. */
export class MeddlersHand {
  private readonly meddler: Meddler;
  private passedBytes = 0;
  private untilNext: number;

  constructor(meddler: Meddler) {
    this.meddler = meddler;
    const { earlyShare = 0 } = meddler.plan;
    this.untilNext = meddler.random() < earlyShare ? meddler.int(EARLY_BYTES) : this.gap();
  }

  pass(bytes: Buffer): Meddled {
    const pieces: Buffer[] = [];
    let rest = bytes;
    let ending: Meddled['ending'] = null;
    while (ending === null && this.untilNext < rest.length && this.isAllowed) {
      const before = rest.subarray(0, this.untilNext);
      this.passedBytes += before.length;
      const step = this.meddle(rest.subarray(this.untilNext), bytes);
      pieces.push(before, ...step.pieces);
      rest = step.rest;
      ending = step.ending;
      this.untilNext = this.gap();
    }
    if (ending === null) {
      this.passedBytes += rest.length;
      this.untilNext -= rest.length;
      pieces.push(rest);
    }
    this.meddler.remember(bytes);
    return { pieces: pieces.filter(({ length }) => length > 0), ending };
  }

  private get isAllowed(): boolean {
    return this.meddler.total < (this.meddler.plan.max ?? Number.POSITIVE_INFINITY);
  }

  /** `rest` begins at the manipulation and is not empty; `chunk` has all bytes that arrived together. */
  private meddle(rest: Buffer, chunk: Buffer): { pieces: Buffer[]; rest: Buffer; ending: Meddled['ending'] } {
    const { meddler } = this;
    const { kinds } = meddler.plan;
    const kind = kinds[meddler.int(kinds.length - 1)] ?? 'flip';
    meddler.counts[kind]++;
    if (this.passedBytes <= EARLY_BYTES) meddler.early++;
    switch (kind) {
      case 'flip': {
        const flipped = Buffer.from(rest.subarray(0, 1));
        flipped.writeUInt8(flipped.readUInt8(0) ^ (1 << meddler.int(7)), 0);
        return { pieces: [flipped], rest: rest.subarray(1), ending: null };
      }
      case 'drop':
        return { pieces: [], rest: rest.subarray(1 + meddler.int(HOLE_MAX_BYTES - 1)), ending: null };
      case 'replay': {
        // Half of the time, repeats the whole chunk at once, because it contains whole frames or records of the same connection.
        if (meddler.random() < 0.5) return { pieces: [rest, chunk], rest: Buffer.alloc(0), ending: null };
        const recalled = meddler.recalled();
        return { pieces: [recalled.length > 0 ? recalled : chunk], rest, ending: null };
      }
      case 'cut':
        return { pieces: [], rest: Buffer.alloc(0), ending: meddler.random() < 0.5 ? 'end' : 'reset' };
    }
  }

  private gap(): number {
    return Math.floor(-Math.log(1 - this.meddler.random()) * this.meddler.plan.everyBytes);
  }
}
