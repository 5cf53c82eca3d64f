// Judges from which replicas the copier settles blocks after another client's term (rules M7 and Q10), for the world of mirror-copy-world.ts.
// The judge knows the content that replicas without losses have at the beginning. After a fault, it judges nothing, because a replica that
// leaves or crashes may take the only copy of a write with it. Invariant: a block that users have not written is settled with this content.

import type { SimReplica } from './mirror-replicas.ts';

/** The term of which some replicas lack writes. */
const LACKED = { number: 1, node: 'earlier', instance: 1 };

export class KeptWrites {
  /** Replicas that may lack writes. */
  readonly lacking = new Set<string>();
  /** For each block: the contents of the replicas that lack nothing. */
  private readonly kept = new Map<number, ReadonlySet<number>>();

  /** What a replica may lack, according to its server. */
  lacksTerm(identity: string): typeof LACKED | null {
    return this.lacking.has(identity) ? LACKED : null;
  }

  begin(inSync: readonly SimReplica[], blocks: number): void {
    const best = inSync.filter(({ identity }) => !this.lacking.has(identity));
    if (best.length === 0) return;
    for (let block = 0; block < blocks; block++) this.kept.set(block, new Set(best.map(({ cache }) => cache[block]!)));
  }

  /** A user writes the block. */
  written(block: number): void {
    this.kept.delete(block);
  }

  /** A replica crashes or leaves. */
  failed(): void {
    this.kept.clear();
  }

  /** The blocks from `begin` to `end` are settled with the content of this replica. Returns the violated rule; null if there is none. */
  settled(replica: SimReplica | undefined, begin: number, end: number): string | null {
    for (let block = begin; block < end; block++) {
      const contents = this.kept.get(block);
      const found = replica?.cache[block];
      if (contents === undefined || found === undefined || contents.has(found)) continue;
      return `block ${block} is settled with ${found}, which only replicas have that lack writes`;
    }
    return null;
  }
}
