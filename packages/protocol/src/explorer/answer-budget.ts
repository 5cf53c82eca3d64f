// Rate limits for a server's answers to discovery requests: one for each source, one for all unknown sources together, and a reserve for
// known sources. Pure. The caller decides which datagrams are requests and which sources are known. Invariants: memory is bounded. While
// answers are scarce, a source that was answered recently must wait. Sources that ask constantly therefore cannot starve a source that asks
// once.

import { TokenBucket } from '@rsio/base/structures/token-bucket';
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

const SECOND_MS = 1000;
const PER_SOURCE = { atOnce: DISCOVERY_BURST_PER_SOURCE, eachMs: SECOND_MS / DISCOVERY_RATE_PER_SOURCE };

interface Source {
  readonly own: TokenBucket;
  answeredMs: number;
}

export class AnswerBudget {
  private readonly unknown = new TokenBucket({ atOnce: DISCOVERY_BURST, eachMs: SECOND_MS / DISCOVERY_RATE });
  private readonly known = new TokenBucket({ atOnce: DISCOVERY_BURST_KNOWN, eachMs: SECOND_MS / DISCOVERY_RATE_KNOWN });
  /** Sources in the order of their last request; the source that has been silent longest comes first. */
  private readonly sources = new Map<string, Source>();

  get size(): number {
    return this.sources.size;
  }

  /** Takes one answer from the budget. Returns false if the budget does not permit an answer. `nowMs` comes from a monotonic clock. */
  mayAnswer(address: string, isKnown: boolean, nowMs: number): boolean {
    // A peer that forges a known source's address uses up only the budget for unsigned requests from that address.
    const source = this.sourceOf(isKnown ? `known ${address}` : address);
    if (source.own.level(nowMs) === 0) return false;
    const pool = [...(isKnown ? [this.known] : []), this.unknown].find((one) => isTurn(source, one.level(nowMs), nowMs));
    if (pool === undefined) return false;
    pool.take(nowMs);
    source.own.take(nowMs);
    source.answeredMs = nowMs;
    return true;
  }

  private sourceOf(key: string): Source {
    const source = this.sources.get(key) ?? { own: new TokenBucket(PER_SOURCE), answeredMs: -Infinity };
    this.sources.delete(key);
    this.sources.set(key, source);
    if (this.sources.size > DISCOVERY_SOURCES_MAX) this.sources.delete(this.sources.keys().next().value ?? key);
    return source;
  }
}

/** While less than half of the burst is left, a source must wait between answers; the wait grows as the budget shrinks. */
function isTurn({ answeredMs }: Source, level: number, nowMs: number): boolean {
  return level > 0 && nowMs - answeredMs >= DISCOVERY_SCARCE_MS * (1 - 2 * level);
}
