// The client or administrator that asks for a change, and its rights. Pure. Invariant: the server checks all rights itself and does not
// rely on checks of the client. A refusal names the missing right and the place that gives it.

import { CLIENT_ROLES, type ClientRights, type ClientRole, type RssrvConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { printRoundedSize } from '@rsio/common/lib/units';

export interface Asker {
  /** Null for a program on the server, which has all rights. */
  readonly node: string | null;
  readonly role: ClientRole;
  /** Pools that a client with the role `manage` may use; null for all pools. */
  readonly pools: readonly string[] | null;
  /** The most bytes that the volumes of a client with the role `manage` may have together; null for no limit. */
  readonly limitBytes: number | null;
}

export const LOCAL_ASKER: Asker = { node: null, role: 'admin', pools: null, limitBytes: null };

/** Returns the asker for a client. A client without a line in [rights] has the role `use`. */
export function clientAsker(node: string, rights: readonly ClientRights[]): Asker {
  const line = rights.find(({ name }) => name === node);
  return { node, role: line?.role ?? 'use', pools: line?.pools ?? null, limitBytes: line?.limitBytes ?? null };
}

/** Returns the limit of a client; null if it has none. */
export function limitOf(node: string, rights: readonly ClientRights[]): number | null {
  const { role, limitBytes } = clientAsker(node, rights);
  return role === 'admin' ? null : limitBytes;
}

/** Returns the role that decides about forced take-overs of a client; null if the file has no section [rights], and none is needed. */
export function forceRole(node: string, { rights, hasRights }: Pick<RssrvConfig, 'rights' | 'hasRights'>): ClientRole | null {
  return hasRights ? clientAsker(node, rights).role : null;
}

/** True if a client may make this server a voter of its mirrors: the server is a witness, or the client may put replicas on it. */
export function mayFound(node: string, { server, rights }: Pick<RssrvConfig, 'server' | 'rights'>): boolean {
  return server.witness || hasRole(clientAsker(node, rights), 'manage');
}

/** Returns why the client may not make a volume of these pools a replica of a mirror; null if it may. */
export function whyNoPlace(node: string, volume: string, pools: readonly string[], { rights }: Pick<RssrvConfig, 'rights'>): string | null {
  const asker = clientAsker(node, rights);
  const barred = pools.find((pool) => !mayUsePool(asker, pool));
  if (hasRole(asker, 'manage') && barred === undefined) return null;
  const where = pools.length === 0 ? '' : ` for pool ${barred ?? pools[0] ?? ''}`;
  return `Client ${node} may not make volume ${volume} a replica: it needs the right manage${where}, in its line in [rights] of rssrvcfg`;
}

function hasRole({ role }: Asker, needed: ClientRole): boolean {
  return CLIENT_ROLES.indexOf(role) >= CLIENT_ROLES.indexOf(needed);
}

export function askerText({ node }: Asker): string {
  return node === null ? 'An administrator on the server' : `Client ${node}`;
}

/** Throws E_RIGHTS unless the asker has this role or a higher one. `what`: what the asker wants, such as `create volumes`. */
export function checkRole(asker: Asker, needed: ClientRole, what: string): void {
  if (hasRole(asker, needed)) return;
  throw new RsError(
    'E_RIGHTS',
    `${askerText(asker)} may not ${what}: its right is ${asker.role}, and ${needed} is needed; change its line in [rights] of rssrvcfg`,
    { node: asker.node, role: asker.role, needed },
  );
}

/** Throws E_RIGHTS unless the asker may use the pool. */
export function checkPool(asker: Asker, pool: string): void {
  if (mayUsePool(asker, pool)) return;
  throw new RsError(
    'E_RIGHTS',
    `${askerText(asker)} may not change pool ${pool}: its pools are ${(asker.pools ?? []).join(', ')}; change its line in [rights] of rssrvcfg`,
    { node: asker.node, pool },
  );
}

export function mayUsePool({ role, pools }: Asker, pool: string): boolean {
  return role === 'admin' || pools === null || pools.includes(pool);
}

/** True if the asker may attach a volume for these clients (null: all), and may therefore know and change it. */
export function mayAttach(asker: Asker, clients: readonly string[] | null): boolean {
  return asker.role === 'admin' || asker.node === null || clients === null || clients.includes(asker.node);
}

/** Throws E_RIGHTS if `clients` would prevent the asker from attaching its own volume. */
export function checkOwnAccess(asker: Asker, volume: string, clients: readonly string[] | null): void {
  if (mayAttach(asker, clients)) return;
  throw new RsError('E_RIGHTS', `Client ${asker.node} would not be able to attach volume ${volume}: name it in clients`, { volume });
}

/** Throws E_RIGHTS if the asker would exceed its limit. `hasBytes`: see `ownedBytes`; `moreBytes`: bytes to add. */
export function checkLimit(asker: Asker, hasBytes: number, moreBytes: number): void {
  const { limitBytes, node } = asker;
  if (asker.role === 'admin' || limitBytes === null || hasBytes + moreBytes <= limitBytes) return;
  throw new RsError(
    'E_RIGHTS',
    `${askerText(asker)} asks for ${printRoundedSize(moreBytes)} and has ${printRoundedSize(hasBytes)} of its limit ${printRoundedSize(limitBytes)}: ` +
      'remove a snapshot, or remove a volume and delete it for good (volume purge NAME), or raise limit= in its line in [rights] of rssrvcfg',
    { node, askedBytes: moreBytes, hasBytes, limitBytes },
  );
}

/** Throws E_RIGHTS if the asker has a limit, and the volume does not count towards it. */
export function checkOwner(
  { role, limitBytes, node }: Asker,
  { owner, name }: { readonly owner: string | null; readonly name: string },
): void {
  if (role === 'admin' || limitBytes === null || owner === node) return;
  // A client does not learn which other client has created the volume.
  const who = owner === null ? 'an administrator' : 'another client';
  const text = `Client ${node} has a limit, and may not take space for volume ${name}, which ${who} created: ask an administrator`;
  throw new RsError('E_RIGHTS', text, { volume: name, node });
}
