// Decides which server owns the pool of a volume, and whether an attached volume must move to another server (docs/PROTOCOL.md F9). Pure;
// farm-moves.ts acts on the decision. Invariants: generations are compared only within one pool. Within the pool of the last grant, a
// volume moves only to a server whose generation is higher than every known one. A move to a server of another pool is only a guess.

import type { Attachment, Ownership } from '@rsio/protocol/client/attachment';

export interface OwnedOffer {
  readonly namespace: string;
  readonly id: string;
  readonly isConnected: boolean;
  readonly poolGeneration: number | null;
  readonly poolId: string | null;
}

interface ServerClaim extends OwnedOffer {
  readonly serverid: number;
}

/** Where an attached volume is. */
export interface Whereabouts {
  readonly serverid: number;
  /** See Attachment; null if the volume is not in a shared pool. */
  readonly ownership: Ownership | null;
  readonly isGuess: boolean;
  /** The claims (`claimKey`) whose servers have refused OPEN since the last grant. */
  readonly refused: ReadonlySet<string>;
}

/**
 * Returns the offer of the server to which the volume must move, from the offers that `ownersOf` returns; null if the volume stays. A
 * volume moves to another pool, or returns from a guess, only if its server no longer offers it or has refused OPEN.
 */
export function nextOwner<O extends ServerClaim>({ serverid, ownership, isGuess, refused }: Whereabouts, owners: readonly O[]): O | null {
  if (ownership === null) return null;
  const able = owners.filter((offer) => !refused.has(claimKey(offer)));
  const same = able.find((offer) => offer.poolId === ownership.poolId && generationIn(offer) >= ownership.generation);
  if (same !== undefined && generationIn(same) > ownership.generation) return same.serverid === serverid ? null : same;
  if (able.some((offer) => offer.serverid === serverid)) return null;
  if (same !== undefined) return isGuess ? same : null;
  return able.find((offer) => offer.poolId !== ownership.poolId) ?? null;
}

/**
 * Updates the claims whose servers have refused OPEN since the last grant. `mine`: the offer of the attachment's server. If this server has
 * refused again, all other servers are tried again, so that there is at most one round of attempts in each REOPEN_RETRY_MS.
 */
export function noteRefusals(
  refused: Set<string>,
  { refusals, isGuess }: Pick<Attachment, 'refusals' | 'isGuess'>,
  mine: ServerClaim | undefined,
): void {
  if (refusals > 1 || (refusals === 0 && !isGuess)) refused.clear();
  if (refusals > 0 && mine !== undefined) refused.add(claimKey(mine));
}

/** Maps each volume in shared pools to the offer of the connected server with the highest generation in each pool; see `ownerKey`. */
export function ownersOf<O extends OwnedOffer>(offers: Iterable<O>): ReadonlyMap<string, readonly O[]> {
  const owners = new Map<string, O[]>();
  for (const offer of offers) {
    if (!offer.isConnected || offer.poolGeneration === null) continue;
    const key = ownerKey(offer.namespace, offer.id);
    const all = owners.get(key) ?? [];
    owners.set(key, all);
    const at = all.findIndex(({ poolId }) => poolId === offer.poolId);
    if (at < 0) all.push(offer);
    else if (offer.poolGeneration > generationIn(all[at]!)) all[at] = offer;
  }
  return owners;
}

export function ownerKey(namespace: string, id: string): string {
  return `${namespace} ${id}`;
}

/** Identifies one ownership of one server. A later ownership of the same server is a different claim. */
export function claimKey({ serverid, poolId, poolGeneration }: Pick<ServerClaim, 'serverid' | 'poolId' | 'poolGeneration'>): string {
  return `${serverid} ${poolId ?? ''} ${poolGeneration ?? ''}`;
}

function generationIn({ poolGeneration }: OwnedOffer): number {
  return poolGeneration ?? -1;
}
