// Decides how an order changes the clients that may attach a volume. Pure. Invariant: after an order that takes a volume away from a
// client, the volume's list does not contain the client. If all clients may attach the volume, such an order is refused.

import { CLIENTS_MAX } from '@rsio/common/config/schema/limits';
import { RsError } from '@rsio/base/lib/errors';
import type { Asker } from './asker.ts';
import { type Found, volumeText } from './catalogue.ts';
import type { Manifest } from './disk/manifest.ts';

/**
 * Returns the manifest with or without the client in its list of clients. Throws E_USAGE if the client would be removed from the list
 * `all`, and E_LIMIT if the list is full.
 */
export function decideAccess({ manifest }: Found, node: string, mayAttach: boolean, asker: Asker, request: string | null): Manifest {
  const { clients } = manifest;
  const text = volumeText(manifest);
  if (clients === null && !mayAttach)
    throw new RsError(
      'E_USAGE',
      `All clients may attach volume ${text}, so that ${node} could attach it again: first name the clients that may, ` +
        `and ${node} if it has the volume (volume set ${text} clients=NAMES)`,
      { volume: text, node },
    );
  const others = clients?.filter((name) => name !== node) ?? null;
  if (others !== null && mayAttach && others.length >= CLIENTS_MAX)
    throw new RsError('E_LIMIT', `Volume ${text} lists ${others.length} clients, and no more are allowed: clients=all lists all`);
  const next = { ...manifest, clients: others === null || !mayAttach ? others : [...others, node], request };
  asker.checkOwnAccess(manifest.name, next.clients);
  return next;
}
