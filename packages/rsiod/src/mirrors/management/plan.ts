// What a mirror is to be, and what a creation has made of it so far. creation.ts and take-back.ts work on it. Invariant: what a server may have
// done is noted before it is asked, so that a lost answer leaves nothing behind unnoticed.

import type { MirrorServer } from './mirror-server.ts';

export interface MirrorPlan {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  /** Id of the mirror. */
  readonly mirror: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  /** Null: each server chooses. */
  readonly pool: string | null;
  /** Name of a server -> its pool, in place of `pool`. */
  readonly pools: ReadonlyMap<string, string>;
  /** Id of the request that makes the volumes. */
  readonly request: string;
  readonly replicas: readonly MirrorServer[];
  /** The replica whose volume was there before and has the data; null: all replicas are new, and equal. */
  readonly kept: MirrorServer | null;
  /** The servers of the replicas, and the witness if there is one. */
  readonly voters: readonly MirrorServer[];
  /** Name of this client on the servers. */
  readonly nodename: string;
}

/** What a creation has made, or may have made. */
export class Made {
  /** Volumes that the servers have created; `unsure`: it is not known whether the server has created it. */
  readonly volumes = new Map<MirrorServer, 'made' | 'unsure'>();
  /** Servers that may have a record. */
  readonly records = new Set<MirrorServer>();
  /** Servers on which the volume may be marked as a replica. */
  readonly marks = new Set<MirrorServer>();
  /** Number of the claim. */
  number = 1;
  /** A voter has a configuration, so that clients may use the mirror. */
  isUsable = false;
}
