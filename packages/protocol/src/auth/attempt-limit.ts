// How often a proof may be wrong before the next one of its kind has to wait: counted by node name and address, never by address alone, so
// that nobody's failures keep another node out. What becomes of who must wait is left to the listener. Invariants: memory is bounded;
// forgetting never lets anybody guess more often, since a name that comes new to a full table stands for the least of those in it.

import type { Clock } from '@rsio/common/lib/clock';
import { sourceKey } from '@rsio/common/lib/subnet';
import {
  FAILED_PROOFS_AT_ONCE,
  FAILED_PROOFS_OF_NODE_AT_ONCE,
  FAILED_PROOFS_REMEMBERED_MAX,
  FAILED_PROOF_EACH_MS,
  FAILED_PROOF_OF_NODE_EACH_MS,
} from './limits.ts';

/** So many failures at once, and then one for each such time. */
export interface Allowance {
  readonly atOnce: number;
  readonly eachMs: number;
}

export class AttemptLimit {
  private readonly clock: Clock;
  private readonly allowance: Allowance;
  /** Until when what has failed is being worked off. */
  private readonly owedUntilMs = new Map<string, number>();

  constructor(clock: Clock, allowance: Allowance) {
    this.clock = clock;
    this.allowance = allowance;
  }

  /** Counts a failed proof. */
  failed(key: string): void {
    const nowMs = this.clock.monotonicMs();
    const owedUntilMs = Math.max(nowMs, this.owed(key));
    if (!this.owedUntilMs.has(key)) this.makeRoom(nowMs);
    this.owedUntilMs.set(key, owedUntilMs + this.allowance.eachMs);
  }

  /** Milliseconds until this one may try again; 0: it may now. */
  waitMs(key: string): number {
    const { atOnce, eachMs } = this.allowance;
    return Math.max(0, this.owed(key) - (atOnce - 1) * eachMs - this.clock.monotonicMs());
  }

  /** Keys remembered. */
  get size(): number {
    return this.owedUntilMs.size;
  }

  private owed(key: string): number {
    const own = this.owedUntilMs.get(key);
    if (own !== undefined) return own;
    return this.size < FAILED_PROOFS_REMEMBERED_MAX ? 0 : this.least()[1];
  }

  private makeRoom(nowMs: number): void {
    if (this.size < FAILED_PROOFS_REMEMBERED_MAX) return;
    const [key, untilMs] = this.least();
    this.owedUntilMs.delete(key);
    if (untilMs > nowMs) return;
    for (const [one, oneUntilMs] of this.owedUntilMs) if (oneUntilMs <= nowMs) this.owedUntilMs.delete(one);
  }

  private least(): [key: string, untilMs: number] {
    let found: [string, number] = ['', Infinity];
    for (const one of this.owedUntilMs) if (one[1] < found[1]) found = one;
    return found;
  }
}

/** Who a connection says it is, in HELLO, and where it comes from. */
export interface Claim {
  readonly address: string;
  readonly node: string;
  readonly machine: string;
}

/**
 * What wrong proofs of a node cost. A machine that has proved itself before is counted by itself: its name of itself is a secret of that
 * machine as good as, so that others on its address cannot use up what it may.
 */
export class ProofLimits {
  private readonly isKnown: (claim: Claim) => boolean;
  private readonly known: AttemptLimit;
  private readonly unknown: AttemptLimit;
  private readonly nodes: AttemptLimit;

  /** `isKnown`: this machine has proved before that it is this node. */
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
