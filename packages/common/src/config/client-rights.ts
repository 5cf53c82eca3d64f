// What each right in [rights] of rssrvcfg gives a client. This table is the only place that compares rights. Pure. Invariant: `copy`, `use`,
// `manage` and `admin` each include the rights before them. `view` is none of these steps: a client with it sees what an administrator sees,
// opens no volume, and changes nothing.

import type { ClientRights, ClientRole } from './schema/types.ts';

/** The rights that a method can need. */
type NeededRight = Exclude<ClientRole, 'view'>;

export interface Gift {
  /** A method that needs one of these rights is open to the client, whether it changes something or not. */
  readonly includes: readonly NeededRight[];
  /** `moments`: only the moments of the replications to the client (T8). */
  readonly opens: 'volumes' | 'moments' | 'nothing';
  /** `own`: the volumes whose key `clients` permits the client. */
  readonly lists: 'own' | 'all' | 'none';
  /** True if the client sees all objects, and nothing is removed from its answers. */
  readonly seesAll: boolean;
}

export const GIFTS: { readonly [R in ClientRole]: Gift } = {
  copy: { includes: ['copy'], opens: 'moments', lists: 'none', seesAll: false },
  use: { includes: ['copy', 'use'], opens: 'volumes', lists: 'own', seesAll: false },
  view: { includes: [], opens: 'nothing', lists: 'all', seesAll: true },
  manage: { includes: ['copy', 'use', 'manage'], opens: 'volumes', lists: 'own', seesAll: false },
  admin: { includes: ['copy', 'use', 'manage', 'admin'], opens: 'volumes', lists: 'own', seesAll: true },
};

export function includesRight(role: ClientRole, needed: NeededRight): boolean {
  return GIFTS[role].includes.includes(needed);
}

/** Returns the role of a client. A client without a line in [rights] has the role `use`. */
export function roleIn(rights: readonly Pick<ClientRights, 'name' | 'role'>[], node: string): ClientRole {
  return rights.find(({ name }) => name === node)?.role ?? 'use';
}

export function giftTo(node: string, rights: readonly Pick<ClientRights, 'name' | 'role'>[]): Gift {
  return GIFTS[roleIn(rights, node)];
}
