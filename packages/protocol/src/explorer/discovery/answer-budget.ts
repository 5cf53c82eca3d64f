// How many requests of exploration a server answers: for each source, for all strangers together, and a part for those that it knows, which no
// stranger can use up. Pure; what a request is, and who is known, is the caller's. Invariants: memory is bounded; while answers are scarce,
// who had one lately leaves them to those who had none, so that the many who ask all the time do not silence the one who asks once.

import {
  DISCOVERY_BURST,
  DISCOVERY_BURST_KNOWN,
  DISCOVERY_BURST_PER_SOURCE,
  DISCOVERY_RATE,
  DISCOVERY_RATE_KNOWN,
  DISCOVERY_RATE_PER_SOURCE,
  DISCOVERY_SCARCE_MS,
  DISCOVERY_SOURCES_MAX,
} from './limits.ts';

class Bucket {
  private readonly perSecond: number;
  private readonly most: number;
  private tokens: number;
  private atMs: number;

  constructor(perSecond: number, most: number, nowMs: number) {
    this.perSecond = perSecond;
    this.most = most;
    this.tokens = most;
    this.atMs = nowMs;
  }

  /** Share of it that is there, 0 when it is not enough for one. */
  level(nowMs: number): number {
    this.tokens = Math.min(this.most, this.tokens + ((nowMs - this.atMs) / 1000) * this.perSecond);
    this.atMs = nowMs;
    return this.tokens < 1 ? 0 : this.tokens / this.most;
  }

  take(): void {
    this.tokens--;
  }
}

interface Source {
  readonly own: Bucket;
  answeredMs: number;
}

export class AnswerBudget {
  private readonly unknown = new Bucket(DISCOVERY_RATE, DISCOVERY_BURST, 0);
  private readonly known = new Bucket(DISCOVERY_RATE_KNOWN, DISCOVERY_BURST_KNOWN, 0);
  /** In order of their last request, oldest first. */
  private readonly sources = new Map<string, Source>();

  /** Sources remembered. */
  get size(): number {
    return this.sources.size;
  }

  /** Takes one answer, or does not. `nowMs`: of a clock that never goes back. */
  mayAnswer(address: string, isKnown: boolean, nowMs: number): boolean {
    // Who only writes a known address into its datagrams uses up what that address may, and no more; not what one with a signature may.
    const source = this.sourceOf(isKnown ? `known ${address}` : address, nowMs);
    if (source.own.level(nowMs) === 0) return false;
    const pool = [...(isKnown ? [this.known] : []), this.unknown].find((one) => isTurn(source, one.level(nowMs), nowMs));
    if (pool === undefined) return false;
    pool.take();
    source.own.take();
    source.answeredMs = nowMs;
    return true;
  }

  private sourceOf(key: string, nowMs: number): Source {
    const source = this.sources.get(key) ?? {
      own: new Bucket(DISCOVERY_RATE_PER_SOURCE, DISCOVERY_BURST_PER_SOURCE, nowMs),
      answeredMs: -Infinity,
    };
    this.sources.delete(key);
    this.sources.set(key, source);
    if (this.sources.size > DISCOVERY_SOURCES_MAX) this.sources.delete(this.sources.keys().next().value ?? key);
    return source;
  }
}

/** Below half of what there may be at once, a source must have had no answer for the longer, the less there is. */
function isTurn({ answeredMs }: Source, level: number, nowMs: number): boolean {
  return level > 0 && nowMs - answeredMs >= DISCOVERY_SCARCE_MS * (1 - 2 * level);
}
