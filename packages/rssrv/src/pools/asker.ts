// The client or administrator that asks for a change, and the rights of this asker. Pure. Invariants: the server checks all rights itself
// and does not rely on checks of the client. With `tenants`, the table CHANGES alone says which changes of a volume need its owner, and
// every change is in the table. A refusal names the missing right and the place where the right is granted.

import { GIFTS, includesRight, roleIn } from '@rsio/common/config/client-rights';
import type { LocalRole } from '@rsio/common/config/schema/local-roles';
import type { ClientRights, ClientRole, RssrvConfig } from '@rsio/common/config/schema/types';
import type { RemoteRight } from '@rsio/common/control/method-table';
import { RsError } from '@rsio/base/lib/errors';
import { printRoundedSize, printSize } from '@rsio/base/lib/units';

/** The rights of an asker. The fields may be computed at each access, because a reload may change the rights at any time. */
export interface AskerRights {
  readonly role: ClientRole;
  /** Pools that a client with the role `manage` may use; null for all pools. */
  readonly pools: readonly string[] | null;
  /** The most bytes that the volumes of a client with the role `manage` may have together; null if the client has no limit. */
  readonly limitBytes: number | null;
  /** True if the key `tenants` is set: a client with the role `manage` then changes only its own volumes. Absent: false. */
  readonly isTenant?: boolean;
}

/** What says to whom a volume belongs. `managers`: null for all clients with the right `manage`; absent for none. */
interface Owned {
  readonly name: string;
  readonly owner: string | null;
  readonly managers?: readonly string[] | null;
}

/**
 * The changes of volumes, by their words in refusals. `attach`: every client with the right `manage` that may attach the volume makes them,
 * because they leave the volume as it is. `owner`: with `tenants`, only the client that created the volume, its managers and administrators
 * do. `maker`: like `owner`, and the client that made the snapshot.
 */
const CHANGES = {
  'make snapshots': 'attach',
  'clone snapshots': 'attach',
  'copy snapshots': 'attach',
  'copy volumes': 'attach',
  'make images': 'attach',
  'read images': 'attach',
  'remove snapshots': 'maker',
  'change volumes': 'owner',
  'demote volumes': 'owner',
  'end replications': 'owner',
  'grow volumes': 'owner',
  'make replicas of mirrors': 'owner',
  'move volumes': 'owner',
  'promote volumes': 'owner',
  'refresh images': 'owner',
  'remove volumes': 'owner',
  'rename volumes': 'owner',
  'replicate volumes': 'owner',
  'restore volumes': 'owner',
  'roll volumes back': 'owner',
  'seed followers': 'owner',
  'split images': 'owner',
  'take volumes away from clients': 'owner',
} as const;

export type Change = keyof typeof CHANGES;

export function neededFor(change: Change): 'attach' | 'maker' | 'owner' {
  return CHANGES[change];
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
    return this.node === null ? `An ${this.localRole} on the server` : `Client ${this.node}`;
  }

  /** Text that names the asker within a sentence. */
  get by(): string {
    return this.node === null ? `an ${this.localRole} on the server` : `client ${this.node}`;
  }

  private get localRole(): LocalRole {
    return this.role === 'admin' ? 'administrator' : 'operator';
  }

  /** True if the asker sees all objects, and every part of them. */
  get seesAll(): boolean {
    return this.node === null || GIFTS[this.role].seesAll;
  }

  has(needed: RemoteRight): boolean {
    return includesRight(this.role, needed);
  }

  /** Throws E_RIGHTS unless the role of the asker includes the right `needed`. `what`: what the asker wants, such as `create volumes`. */
  needs(needed: RemoteRight, what: string): void {
    if (!this.has(needed)) throw this.lacks(needed, what);
  }

  lacks(needed: RemoteRight, what: string): RsError {
    const remedy =
      this.node === null ? 'run as root or as the user of rssrv, or as a member of admin-group' : rightsRemedy(this.node, needed);
    const text = `${this.text} may not ${what}: its right is ${this.role}, and ${needed} is needed; ${remedy}`;
    return new RsError('E_RIGHTS', text, { node: this.node, role: this.role, needed });
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
      `${this.text} may not change pool ${pool}: its pools are ${(this.rights.pools ?? []).join(', ')}; ${this.poolRemedy(pool)}`,
      { node: this.node, pool },
    );
  }

  /** Names the order by which an administrator lets the client use a further pool, and which takes and gives nothing else. */
  poolRemedy(pool: string): string {
    const { pools, limitBytes } = this.rights;
    const limit = limitBytes === null ? '' : ` limit=${printSize(limitBytes)}`;
    return rightsRemedy(this.node ?? '', `manage pool=${[...(pools ?? []), pool].join(',')}${limit}`);
  }

  /**
   * Returns true if the asker may attach a volume whose key `clients` has this value (null stands for all clients), or sees all volumes. Any
   * other asker may neither see nor change the volume.
   */
  mayAttach(clients: readonly string[] | null): boolean {
    return this.node === null || this.seesAll || clients === null || clients.includes(this.node);
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
        'remove a snapshot, or remove a volume and delete it for good (volume purge NAME), or raise its limit= with rsadm client rights',
      { node: this.node, askedBytes: moreBytes, hasBytes, limitBytes },
    );
  }

  /** Returns true if the asker may do with the volume what the client that created it may do. */
  owns({ owner, managers = [] }: Omit<Owned, 'name'>): boolean {
    const { node, role, rights } = this;
    if (node === null || role === 'admin' || rights.isTenant !== true) return true;
    return owner === node || managers === null || managers.includes(node);
  }

  /** Throws E_RIGHTS if the change needs the owner of the volume, and the volume belongs to others. */
  checkMine(volume: Owned, change: Change): void {
    if (CHANGES[change] === 'owner' && !this.owns(volume)) throw this.notMine(volume, change);
  }

  /** Throws E_RIGHTS unless the asker has made the snapshot, or owns its volume. */
  checkMaker(volume: Owned, creator: string | null, change: Change): void {
    if (creator !== this.node && !this.owns(volume)) throw this.notMine(volume, change);
  }

  notMine({ name, owner }: Owned, change: Change): RsError {
    const text =
      `${this.text} may not ${change} of others: ${name} belongs to ${ownerText(owner)}, which permits it with ` +
      `volume set ${name} managers=${this.node}`;
    return new RsError('E_RIGHTS', text, { volume: name, node: this.node });
  }

  /**
   * Returns who may attach a new volume of the asker, and who may take it over. With `tenants`, a client that names no clients gets a
   * volume for itself alone.
   */
  access({ clients, takeOver }: Access): Access {
    const { node } = this;
    return node === null || this.rights.isTenant !== true || clients !== null
      ? { clients, takeOver }
      : { clients: [node], takeOver: [node] };
  }

  /** Throws E_RIGHTS if the asker has a limit, and the volume counts towards the limit of another client. */
  checkOwner({ owner, name }: { readonly owner: string | null; readonly name: string }): void {
    const { role, limitBytes } = this.rights;
    if (role === 'admin' || limitBytes === null || owner === this.node) return;
    const text = `Client ${this.node} has a limit, and may not take space for volume ${name}, which ${ownerText(owner)} created: ask an administrator`;
    throw new RsError('E_RIGHTS', text, { volume: name, node: this.node });
  }
}

/** A client does not learn which other client has created the volume. */
function ownerText(owner: string | null): string {
  return owner === null ? 'an administrator' : 'another client';
}

interface Access {
  readonly clients: readonly string[] | null;
  readonly takeOver: readonly string[] | null;
}

export const LOCAL_ASKER = new Asker(null, { role: 'admin', pools: null, limitBytes: null });
const OPERATOR_ASKER = new Asker(null, { role: 'manage', pools: null, limitBytes: null });

/** Returns the asker for a person on the server. mayCall (api/src/rssrv/may-call.ts) has decided which methods it calls. */
export function localAsker(role: LocalRole): Asker {
  return role === 'operator' ? OPERATOR_ASKER : LOCAL_ASKER;
}

/** Names the order by which an administrator gives a client a right, such as `manage`. */
export function rightsRemedy(node: string, right: string): string {
  return `rsadm client rights ${node} ${right} gives it`;
}

/** Returns the rights of a client. A client without a line in [rights] has the role `use`. */
export function rightsOf(node: string, rights: readonly ClientRights[]): AskerRights {
  return rights.find(({ name }) => name === node) ?? { role: roleIn(rights, node), pools: null, limitBytes: null };
}

export function clientAsker(node: string, { rights, namespace }: AskingConfig): Asker {
  return new Asker(node, { ...rightsOf(node, rights), isTenant: namespace.tenants });
}

/** What the rights of an asker depend on. */
export interface AskingConfig {
  readonly rights: readonly ClientRights[];
  readonly namespace: Pick<RssrvConfig['namespace'], 'tenants'>;
}

/** Returns true if several clients have the right `manage`, and each may change the volumes of the others. */
export function sharesVolumes({ rights, namespace }: AskingConfig): boolean {
  return !namespace.tenants && rights.filter(({ role }) => role === 'manage').length > 1;
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
export function mayFound(node: string, config: Pick<RssrvConfig, 'server'> & AskingConfig): boolean {
  return config.server.witness || clientAsker(node, config).has('manage');
}

/** Returns why the client may not make a volume of these pools a replica of a mirror; null if the client may. */
export function whyNoPlace(node: string, volume: Owned, pools: readonly string[], config: AskingConfig): string | null {
  const asker = clientAsker(node, config);
  const barred = pools.find((pool) => !asker.mayUsePool(pool));
  const where = pools.length === 0 ? '' : ` for pool ${barred ?? pools[0] ?? ''}`;
  if (!asker.has('manage') || barred !== undefined) {
    const remedy = barred === undefined ? rightsRemedy(node, 'manage') : asker.poolRemedy(barred);
    return `Client ${node} may not make volume ${volume.name} a replica: it needs the right manage${where}; ${remedy}`;
  }
  return asker.owns(volume) ? null : asker.notMine(volume, 'make replicas of mirrors').message;
}
