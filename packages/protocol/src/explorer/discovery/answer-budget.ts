// Rate limits for a server's answers to discovery requests: one for each source, one shared by all unknown sources, and a reserve for known
// sources that unknown ones cannot exhaust. Pure. The caller decides which datagrams are requests and which sources are known. Invariants:
// memory is bounded. While answers are scarce, sources answered recently wait for the others, so that sources that ask constantly cannot
// silence one that asks once.

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

  /** Fill level of the bucket, 0 to 1. It is 0 if less than one answer is left. */
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
  /** In order of the last request, oldest first. */
  private readonly sources = new Map<string, Source>();

  /** Number of sources remembered. */
  get size(): number {
    return this.sources.size;
  }

  /** Takes one answer from the budget and returns true, or returns false. `nowMs` comes from a monotonic clock. */
  mayAnswer(address: string, isKnown: boolean, nowMs: number): boolean {
    // A peer that forges a known source address exhausts only the budget of that address, not the budget of signed requests.
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

/** Below half of the bucket's capacity, the emptier the bucket, the longer a source must have been without an answer. */
function isTurn({ answeredMs }: Source, level: number, nowMs: number): boolean {
  return level > 0 && nowMs - answeredMs >= DISCOVERY_SCARCE_MS * (1 - 2 * level);
}
