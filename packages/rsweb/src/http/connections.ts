// Decides which connections are closed if there are too many. A connection counts for its remote address until a request on the connection
// contains a valid token. After that, the connection counts for the token. Pure except for the kept list. Invariants: connections with a
// token and connections without a token have separate bounds. A new connection is always accepted: when a bound is reached, the owner with
// the most connections loses its oldest connection.

import { CONNECTIONS_PER_SOURCE_MAX, CONNECTIONS_PER_TOKEN_MAX, PROVEN_CONNECTIONS_MAX, STRANGE_CONNECTIONS_MAX } from '../limits.ts';

export interface Connection {
  /** Called when a request on the connection contains this valid token. */
  prove(token: string): void;
  /** Called when the connection has been closed. */
  closed(): void;
}

interface Kept {
  /** The remote address of the connection; its token if `isProven` is true. */
  owner: string;
  isProven: boolean;
  readonly end: () => void;
}

export class Connections {
  /** All open connections, the oldest first. */
  private readonly kept = new Set<Kept>();

  /** Adds a connection, and closes another connection if a bound is exceeded. `end`: the function that closes the added connection. */
  add(address: string, end: () => void): Connection {
    const one: Kept = { owner: address, isProven: false, end };
    this.kept.add(one);
    this.bound(one);
    return {
      prove: (token) => {
        if (!this.kept.has(one) || (one.isProven && one.owner === token)) return;
        one.owner = token;
        one.isProven = true;
        this.bound(one);
      },
      closed: () => void this.kept.delete(one),
    };
  }

  private bound({ isProven, owner }: Kept): void {
    const all = [...this.kept].filter((one) => one.isProven === isProven);
    const own = all.filter((one) => one.owner === owner);
    if (own.length > (isProven ? CONNECTIONS_PER_TOKEN_MAX : CONNECTIONS_PER_SOURCE_MAX)) this.end(own[0]);
    else if (all.length > (isProven ? PROVEN_CONNECTIONS_MAX : STRANGE_CONNECTIONS_MAX)) this.end(oldestOfMost(all));
  }

  private end(one: Kept | undefined): void {
    if (one === undefined) return;
    this.kept.delete(one);
    one.end();
  }
}

/** Returns the oldest connection of the owner that has the most connections. */
function oldestOfMost(all: readonly Kept[]): Kept | undefined {
  const counts = new Map<string, number>();
  for (const { owner } of all) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return all.find(({ owner }) => counts.get(owner) === most);
}
