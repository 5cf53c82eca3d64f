// The keys of a client in the server's configuration: one, or two while the key is being changed. rssrvcfg-edit.ts changes them. Pure.
// Invariant: the key in use comes first, and its replacement second.

import type { ServerClientConfig } from './types.ts';

/** Returns the keys that prove this client: one, or two while its key is being changed. */
export function clientKeys({ key, newKey }: Pick<ServerClientConfig, 'key' | 'newKey'>): readonly string[] {
  return newKey === null ? [key] : [key, newKey];
}

/** Returns the keys that prove the client of this name; none if there is no such client. */
export function keysOf(clients: readonly ServerClientConfig[], node: string): readonly string[] {
  const client = clients.find(({ name }) => name === node);
  return client === undefined ? [] : clientKeys(client);
}
