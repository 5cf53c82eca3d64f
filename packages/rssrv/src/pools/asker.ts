// The client or administrator that asks for a change, and the rights of this asker. Pure. Invariant: the server checks all rights itself
// and does not rely on checks of the client. A refusal names the missing right and the place where the right is granted.

import { CLIENT_ROLES, type ClientRights, type ClientRole, type RssrvConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { printRoundedSize } from '@rsio/common/lib/units';

/** The rights of an asker. The fields may be computed at each access, because a reload may change the rights at any time. */
export interface AskerRights {
  readonly role: ClientRole;
  /** Pools that a client with the role `manage` may use; null for all pools. */
  readonly pools: readonly string[] | null;
  /** The most bytes that the volumes of a client with the role `manage` may have together; null if the client has no limit. */
  readonly limitBytes: number | null;
}

export class Asker {
  /** Name of the client. Null if the asker is a program on the server, which has all rights. */
  readonly node: string | null;
  readonly rights: AskerRights;

  constructor(node: string | null, rights: AskerRights) {
    this.node = node;
    this.rights = rights;
  }

  get role(): ClientRole {
    return this.rights.role;
  }

  /** Text that names the asker at the beginning of a sentence. */
  get text(): string {
    return this.node === null ? 'An administrator on the server' : `Client ${this.node}`;
  }

  /** Text that names the asker within a sentence. */
  get by(): string {
    return this.node === null ? 'an administrator on the server' : `client ${this.node}`;
  }

  has(needed: ClientRole): boolean {
    return CLIENT_ROLES.indexOf(this.role) >= CLIENT_ROLES.indexOf(needed);
  }

  /** Throws E_RIGHTS unless the asker has the role `needed` or a higher role. `what`: what the asker wants, such as `create volumes`. */
  needs(needed: ClientRole, what: string): void {
    if (this.has(needed)) return;
    throw new RsError(
      'E_RIGHTS',
      `${this.text} may not ${what}: its right is ${this.role}, and ${needed} is needed; change its line in [rights] of rssrvcfg`,
      { node: this.node, role: this.role, needed },
    );
  }

  mayUsePool(pool: string): boolean {
    const { role, pools } = this.rights;
    return role === 'admin' || pools === null || pools.includes(pool);
  }

  /** Throws E_RIGHTS unless the asker may use the pool. */
  checkPool(pool: string): void {
    if (this.mayUsePool(pool)) return;
    throw new RsError(
      'E_RIGHTS',
      `${this.text} may not change pool ${pool}: its pools are ${(this.rights.pools ?? []).join(', ')}; change its line in [rights] of rssrvcfg`,
      { node: this.node, pool },
    );
  }

  /**
   * Returns true if the asker may attach a volume whose key `clients` has this value (null stands for all clients). An asker that may not
   * attach the volume may neither see nor change the volume.
   */
  mayAttach(clients: readonly string[] | null): boolean {
    return this.role === 'admin' || this.node === null || clients === null || clients.includes(this.node);
  }

  /** Throws E_RIGHTS if `clients` would prevent the asker from attaching its own volume. */
  checkOwnAccess(volume: string, clients: readonly string[] | null): void {
    if (this.mayAttach(clients)) return;
    throw new RsError('E_RIGHTS', `Client ${this.node} would not be able to attach volume ${volume}: name it in clients`, { volume });
  }

  /**
   * Throws E_RIGHTS if the asker would exceed its limit. `hasBytes`: the bytes that already count towards the limit (see
   * `ownedBytes`). `moreBytes`: the bytes that the change adds.
   */
  checkLimit(hasBytes: number, moreBytes: number): void {
    const { role, limitBytes } = this.rights;
    if (role === 'admin' || limitBytes === null || hasBytes + moreBytes <= limitBytes) return;
    throw new RsError(
      'E_RIGHTS',
      `${this.text} asks for ${printRoundedSize(moreBytes)} and has ${printRoundedSize(hasBytes)} of its limit ${printRoundedSize(limitBytes)}: ` +
        'remove a snapshot, or remove a volume and delete it for good (volume purge NAME), or raise limit= in its line in [rights] of rssrvcfg',
      { node: this.node, askedBytes: moreBytes, hasBytes, limitBytes },
    );
  }

  /** Throws E_RIGHTS if the asker has a limit, and the volume counts towards the limit of another client. */
  checkOwner({ owner, name }: { readonly owner: string | null; readonly name: string }): void {
    const { role, limitBytes } = this.rights;
    if (role === 'admin' || limitBytes === null || owner === this.node) return;
    // A client does not learn which other client has created the volume.
    const who = owner === null ? 'an administrator' : 'another client';
    const text = `Client ${this.node} has a limit, and may not take space for volume ${name}, which ${who} created: ask an administrator`;
    throw new RsError('E_RIGHTS', text, { volume: name, node: this.node });
  }
}

export const LOCAL_ASKER = new Asker(null, { role: 'admin', pools: null, limitBytes: null });

/** Returns the rights of a client. A client without a line in [rights] has the role `use`. */
export function rightsOf(node: string, rights: readonly ClientRights[]): AskerRights {
  return rights.find(({ name }) => name === node) ?? { role: 'use', pools: null, limitBytes: null };
}

export function clientAsker(node: string, rights: readonly ClientRights[]): Asker {
  return new Asker(node, rightsOf(node, rights));
}

/** Returns the limit of a client in bytes; null if the client has no limit. */
export function limitOf(node: string, rights: readonly ClientRights[]): number | null {
  const { role, limitBytes } = rightsOf(node, rights);
  return role === 'admin' ? null : limitBytes;
}

/**
 * Returns the role that decides whether a client may force a take-over. Returns null if the file has no section [rights]; a forced
 * take-over then needs no right.
 */
export function forceRole(node: string, { rights, hasRights }: Pick<RssrvConfig, 'rights' | 'hasRights'>): ClientRole | null {
  return hasRights ? rightsOf(node, rights).role : null;
}

/**
 * Returns true if a client may make this server a voter of the client's mirrors: the server is a witness, or the client may put
 * replicas on the server.
 */
export function mayFound(node: string, { server, rights }: Pick<RssrvConfig, 'server' | 'rights'>): boolean {
  return server.witness || clientAsker(node, rights).has('manage');
}

/** Returns why the client may not make a volume of these pools a replica of a mirror; null if the client may. */
export function whyNoPlace(node: string, volume: string, pools: readonly string[], { rights }: Pick<RssrvConfig, 'rights'>): string | null {
  const asker = clientAsker(node, rights);
  const barred = pools.find((pool) => !asker.mayUsePool(pool));
  if (asker.has('manage') && barred === undefined) return null;
  const where = pools.length === 0 ? '' : ` for pool ${barred ?? pools[0] ?? ''}`;
  return `Client ${node} may not make volume ${volume} a replica: it needs the right manage${where}, in its line in [rights] of rssrvcfg`;
}
