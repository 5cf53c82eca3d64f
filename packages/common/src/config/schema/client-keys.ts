// Returns the keys of a client in the server's configuration: one key, or two keys while the key is being changed. rssrvcfg-edit.ts changes
// the keys. Pure. Invariant: the key in use comes first, and its replacement second.

import type { ServerClientConfig } from './types.ts';

/** Returns the keys with which this client can prove itself: one key, or two keys while the key is being changed. */
export function clientKeys({ key, newKey }: Pick<ServerClientConfig, 'key' | 'newKey'>): readonly string[] {
  return newKey === null ? [key] : [key, newKey];
}

/** Returns the keys with which the client of this name can prove itself. Returns no keys if no client has this name. */
export function keysOf(clients: readonly ServerClientConfig[], node: string): readonly string[] {
  const client = clients.find(({ name }) => name === node);
  return client === undefined ? [] : clientKeys(client);
}
