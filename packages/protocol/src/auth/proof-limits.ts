// Limits how many wrong proofs a node may send before its next proof must wait. Failures are counted by node name and address, never by
// address alone, so that the failures of one node never block another node. Invariants: memory is bounded. Removing an entry never allows a
// client more guesses. A new entry in a full table replaces the entry that is closest to its full allowance. The new entry starts with the
// remaining allowance of the replaced entry.

import type { Clock } from '@rsio/base/lib/clock';
import { sourceKey } from '@rsio/base/lib/subnet';
import { type BucketSize, TokenBucket } from '@rsio/base/structures/token-bucket';
import {
  FAILED_PROOFS_AT_ONCE,
  FAILED_PROOFS_OF_NODE_AT_ONCE,
  FAILED_PROOFS_REMEMBERED_MAX,
  FAILED_PROOF_EACH_MS,
  FAILED_PROOF_OF_NODE_EACH_MS,
} from './limits.ts';

export class AttemptLimit {
  private readonly clock: Clock;
  private readonly allowance: BucketSize;
  private readonly buckets = new Map<string, TokenBucket>();

  /** `allowance` sets how many failures are allowed at once, and the interval after which one more is allowed. */
  constructor(clock: Clock, allowance: BucketSize) {
    this.clock = clock;
    this.allowance = allowance;
  }

  failed(key: string): void {
    const nowMs = this.clock.monotonicMs();
    const bucket = this.bucketOf(key);
    if (!this.buckets.has(key)) this.makeRoom(nowMs);
    bucket.take(nowMs);
    this.buckets.set(key, bucket);
  }

  /** Time in ms until the next attempt with `key` is allowed; 0 if an attempt is allowed now. */
  waitMs(key: string): number {
    return this.bucketOf(key).waitMs(this.clock.monotonicMs());
  }

  get size(): number {
    return this.buckets.size;
  }

  /** Returns the bucket of a key. If the key is not in the table, returns a new bucket, but does not add it to the table. */
  private bucketOf(key: string): TokenBucket {
    const own = this.buckets.get(key);
    if (own !== undefined) return own;
    const fullAtMs = this.size < FAILED_PROOFS_REMEMBERED_MAX ? undefined : this.least().fullAtMs;
    return new TokenBucket(this.allowance, fullAtMs);
  }

  private makeRoom(nowMs: number): void {
    if (this.size < FAILED_PROOFS_REMEMBERED_MAX) return;
    const { key, fullAtMs } = this.least();
    this.buckets.delete(key);
    if (fullAtMs > nowMs) return;
    for (const [one, bucket] of this.buckets) if (bucket.fullAtMs <= nowMs) this.buckets.delete(one);
  }

  private least(): { key: string; fullAtMs: number } {
    let found = { key: '', fullAtMs: Number.POSITIVE_INFINITY };
    for (const [key, { fullAtMs }] of this.buckets) if (fullAtMs < found.fullAtMs) found = { key, fullAtMs };
    return found;
  }
}

export interface Claim {
  readonly address: string;
  readonly node: string;
  readonly machine: string;
}

/**
 * Applies the limits on wrong proofs. A machine that has proved itself before is counted separately, under its secret machine id. Other
 * machines at the same address therefore cannot use up the attempts of a proven machine.
 */
export class ProofLimits {
  private readonly isKnown: (claim: Claim) => boolean;
  private readonly known: AttemptLimit;
  private readonly unknown: AttemptLimit;
  private readonly nodes: AttemptLimit;

  /** `isKnown` returns true if the given machine has already proved its identity as the given node. */
  constructor(clock: Clock, isKnown: (claim: Claim) => boolean) {
    const ofOne = { atOnce: FAILED_PROOFS_AT_ONCE, eachMs: FAILED_PROOF_EACH_MS };
    this.isKnown = isKnown;
    this.known = new AttemptLimit(clock, ofOne);
    this.unknown = new AttemptLimit(clock, ofOne);
    this.nodes = new AttemptLimit(clock, { atOnce: FAILED_PROOFS_OF_NODE_AT_ONCE, eachMs: FAILED_PROOF_OF_NODE_EACH_MS });
  }

  waitMs(claim: Claim): number {
    if (this.isKnown(claim)) return this.known.waitMs(knownKey(claim));
    return Math.max(this.unknown.waitMs(unknownKey(claim)), this.nodes.waitMs(claim.node));
  }

  failed(claim: Claim): void {
    if (this.isKnown(claim)) {
      this.known.failed(knownKey(claim));
      return;
    }
    this.unknown.failed(unknownKey(claim));
    this.nodes.failed(claim.node);
  }
}

function unknownKey({ address, node }: Claim): string {
  return `${sourceKey(address)} ${node}`;
}

function knownKey(claim: Claim): string {
  return `${unknownKey(claim)} ${claim.machine}`;
}
