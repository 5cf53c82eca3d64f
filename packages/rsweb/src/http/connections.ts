// Which connections stay when there are too many. A connection counts for the address that it comes from until a request on it has shown a right
// token, and for that token from then on. Pure but for what it keeps. Invariants: the bound of strangers never ends a connection with a token, and
// the other way round; within a bound, the one that has the most loses its oldest connection, so that a new one always gets its turn.

import { CONNECTIONS_PER_SOURCE_MAX, CONNECTIONS_PER_TOKEN_MAX, PROVEN_CONNECTIONS_MAX, STRANGE_CONNECTIONS_MAX } from './limits.ts';

export interface Connection {
  /** A request on it has shown this token. */
  prove(token: string): void;
  /** It has closed. */
  closed(): void;
}

interface Kept {
  /** Address or token. */
  owner: string;
  isProven: boolean;
  readonly end: () => void;
}

export class Connections {
  /** The oldest first. */
  private readonly kept = new Set<Kept>();

  /** `end`: closes the connection. */
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

/** The oldest one of the owner that has the most. */
function oldestOfMost(all: readonly Kept[]): Kept | undefined {
  const counts = new Map<string, number>();
  for (const { owner } of all) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return all.find(({ owner }) => counts.get(owner) === most);
}
