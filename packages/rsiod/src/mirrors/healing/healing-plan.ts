// Decides whether a replica whose server is lost is rebuilt on a spare server (replace-after, spares). Pure. Invariants: nothing is rebuilt
// on doubt, which is: while another replica lacks writes, while no replica with every write can be read, while the voters change, while this
// client reaches at most half of the servers of the namespace, or if the server answers and only its replica does not. Nothing is rebuilt
// while another mirror is being copied, so that one copy runs at a time. A server that was seen again begins anew. At most one replica is
// named.

export interface HealingReplica {
  readonly identity: string;
  readonly serverid: number;
  readonly server: string;
  /** The replica has every write, as far as the voters have recorded. */
  readonly isInSync: boolean;
  /** This client has a session with the replica. */
  readonly isOpen: boolean;
  /** Monotonic time since which neither the replica nor its server was seen; null: one of them is there. */
  readonly lostSinceMs: number | null;
}

export interface HealingServer {
  readonly name: string;
  readonly serverid: number;
  readonly isConnected: boolean;
  /** It is connected, and knows mirrors. */
  readonly canBeAsked: boolean;
}

export interface HealingFacts {
  readonly nowMs: number;
  /** Null: replicas are not rebuilt. */
  readonly replaceAfterMs: number | null;
  /** Names of servers, in the order in which they are taken. */
  readonly spares: readonly string[];
  readonly isServing: boolean;
  /** True if a change of the replicas or voters is not finished. */
  readonly isPending: boolean;
  readonly replicas: readonly HealingReplica[];
  /** Serverids of the voters. */
  readonly voters: readonly number[];
  /** The servers of the namespace that were reached since rsiod began. */
  readonly servers: readonly HealingServer[];
  /** Number of the configured servers that were never reached. */
  readonly unreached: number;
  /** Another mirror of this process whose replica is being copied now; null: none is. */
  readonly copied: string | null;
  /** Names of the spares that have refused lately. */
  readonly refused: ReadonlySet<string>;
}

/** What keeps a replica from being rebuilt, and a sentence about it. */
export interface Doubt {
  readonly kind: 'no source' | 'lacking' | 'pending' | 'unreached' | 'names' | 'copying' | 'no spare';
  readonly sentence: string;
}

export type Healing =
  /** Nothing is lost, or nothing may be rebuilt. */
  | { readonly kind: 'idle' }
  /** `leftMs`: time until the replica is rebuilt; 0 if it is due. `doubt`: null if only the time keeps it from being rebuilt. */
  | {
      readonly kind: 'waits';
      readonly lost: HealingReplica;
      readonly spare: string | null;
      readonly leftMs: number;
      readonly doubt: Doubt | null;
    }
  | { readonly kind: 'replace'; readonly lost: HealingReplica; readonly spare: string };

const IDLE: Healing = { kind: 'idle' };

export function nextHealing(facts: HealingFacts): Healing {
  const { replaceAfterMs, spares, isServing, replicas, nowMs } = facts;
  if (replaceAfterMs === null || spares.length === 0 || !isServing) return IDLE;
  const [lost] = replicas
    .filter(({ lostSinceMs }) => lostSinceMs !== null)
    .toSorted((one, other) => (one.lostSinceMs ?? 0) - (other.lostSinceMs ?? 0));
  if (lost === undefined) return IDLE;
  const spare = spareFor(facts);
  const doubt = doubtOf(facts, lost) ?? (spare === null ? noSpare(facts) : null);
  const leftMs = Math.max(0, (lost.lostSinceMs ?? nowMs) + replaceAfterMs - nowMs);
  if (leftMs > 0 || doubt !== null || spare === null) return { kind: 'waits', lost, spare, leftMs, doubt };
  return { kind: 'replace', lost, spare };
}

function doubtOf({ replicas, isPending, servers, unreached, copied }: HealingFacts, lost: HealingReplica): Doubt | null {
  const others = replicas.filter((one) => one !== lost);
  if (!others.some(({ isInSync, isOpen }) => isInSync && isOpen))
    return { kind: 'no source', sentence: 'no other replica with every write can be read' };
  const lacking = others.find(({ isInSync, lostSinceMs }) => !isInSync && lostSinceMs === null);
  if (lacking !== undefined)
    return { kind: 'lacking', sentence: `the replica on server ${lacking.server} lacks writes, and is copied first` };
  if (isPending) return { kind: 'pending', sentence: 'a change of the mirror is not finished' };
  const [reached, all] = [servers.filter(({ isConnected }) => isConnected).length, servers.length + unreached];
  if (2 * reached <= all)
    return {
      kind: 'unreached',
      sentence: `this client reaches only ${reached} of ${all} servers, so that its own network may be at fault`,
    };
  const twice = servers.find(({ name, serverid }) => servers.some((one) => one.name === name && one.serverid !== serverid));
  if (twice !== undefined) return { kind: 'names', sentence: `two servers are called ${twice.name}` };
  return copied === null ? null : { kind: 'copying', sentence: `mirror ${copied} is copied first` };
}

/** A spare neither has a replica nor votes: a witness that gets a replica would no longer be a third vote. */
function spareFor({ spares, servers, replicas, voters, refused }: HealingFacts): string | null {
  const isFree = (name: string): boolean => {
    const server = servers.find((one) => one.name === name);
    if (server?.canBeAsked !== true || refused.has(name)) return false;
    return !voters.includes(server.serverid) && !replicas.some(({ serverid }) => serverid === server.serverid);
  };
  return spares.find(isFree) ?? null;
}

function noSpare({ spares, refused }: HealingFacts): Doubt {
  const all = spares.map((name) => (refused.has(name) ? `${name} has refused` : name)).join(', ');
  return { kind: 'no spare', sentence: `no spare is connected and free of this mirror (spares: ${all})` };
}
