// Decides which server owns the pool of a volume, and whether an attached volume must go to another server (docs/PROTOCOL.md F9). Pure;
// farm-moves.ts acts on the decision. Invariant: a volume never goes to a server whose generation is not higher than every generation under
// which the volume was open or to which it went. A server that does not know yet that it has lost the pool can therefore never win.

export interface OwnedOffer {
  readonly namespace: string;
  readonly id: string;
  readonly isConnected: boolean;
  readonly poolGeneration: number | null;
}

/** Where an attached volume is. `generation`: see Attachment; null if the volume is not in a shared pool. */
export interface Whereabouts {
  readonly serverid: number;
  readonly generation: number | null;
}

/** True if the volume must go to the server of `owner`. */
export function mustMove({ serverid, generation }: Whereabouts, owner: OwnedOffer & { readonly serverid: number }): boolean {
  const { poolGeneration } = owner;
  if (generation === null || poolGeneration === null) return false;
  return owner.isConnected && owner.serverid !== serverid && poolGeneration > generation;
}

/** Maps each volume in a shared pool to the offer of the connected server with the highest generation; see `ownerKey`. */
export function ownersOf<O extends OwnedOffer>(offers: Iterable<O>): ReadonlyMap<string, O> {
  const owners = new Map<string, O>();
  for (const offer of offers) {
    const key = ownerKey(offer.namespace, offer.id);
    const highest = owners.get(key)?.poolGeneration ?? -1;
    if (offer.isConnected && offer.poolGeneration !== null && offer.poolGeneration > highest) owners.set(key, offer);
  }
  return owners;
}

export function ownerKey(namespace: string, id: string): string {
  return `${namespace} ${id}`;
}
