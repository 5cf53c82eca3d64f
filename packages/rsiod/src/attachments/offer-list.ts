// Every volume that every server of every namespace offers, made anew only when something of it has changed: with a thousand volumes each of
// which asks for it, it would be a million entries. Leaves what a name means among them to offers.ts. Invariant: it is what the servers say now.

import type { ClientNamespaceConfig } from '@rsio/common/config/schema/types';
import type { Namespace } from '../network/namespace.ts';
import type { HeldOffer } from './offers.ts';
import type { Server } from '../network/server.ts';

export interface ServerOffer extends HeldOffer {
  readonly from: Server;
  readonly config: ClientNamespaceConfig;
}

export class OfferList {
  /** What the list was made of: all that may change, as it was. */
  private seen: readonly unknown[] = [];
  private list: readonly ServerOffer[] = [];

  of(namespaces: readonly Namespace[]): readonly ServerOffer[] {
    const servers = namespaces.flatMap((namespace) => namespace.orderedServers.map((from) => ({ from, config: namespace.config })));
    const seen = servers.flatMap(({ from, config }) => [from, config, from.volumes, from.name, from.serverid, from.isConnected]);
    if (seen.length === this.seen.length && seen.every((value, at) => value === this.seen[at])) return this.list;
    this.seen = seen;
    this.list = servers.flatMap(({ from, config }) =>
      from.volumes.map(({ name, universe, id, readonly, holders }) => ({
        namespace: config.name,
        server: from.name,
        serverid: from.serverid,
        isConnected: from.isConnected,
        name,
        universe,
        id,
        readonly,
        holders,
        from,
        config,
      })),
    );
    return this.list;
  }
}
