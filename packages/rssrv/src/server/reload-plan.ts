// Decides how a changed rssrvcfg applies to a running server. The result contains either all changes, or every reason why the file is
// refused. This module is pure. The module volume-plan.ts decides about volumes, and the listener makes the changes. Invariants: if one
// part is refused, the whole file is refused; no message shows a secret key.

import { giftTo } from '@rsio/common/config/client-rights';
import { LOCAL_ROLE_WORDS, LOCAL_ROLES } from '@rsio/common/config/schema/local-roles';
import type {
  MetricsConfig,
  PeerConfig,
  PoolConfig,
  RssrvConfig,
  ServerInterfaceConfig,
  ServerVolumeConfig,
  TlsPolicy,
  TriggerConfig,
} from '@rsio/common/config/schema/types';
import { clientKeys } from '@rsio/common/config/schema/client-keys';
import { addressKey } from '@rsio/base/lib/subnet';
import { printEndpoint } from '@rsio/base/lib/units';
import { volumeChanges, type VolumePlan, type VolumeStanding } from '../volumes/volume-plan.ts';

/** Keys that are no longer valid for a client that stays configured. */
export interface DroppedKeys {
  readonly client: string;
  readonly keys: readonly string[];
}

export interface ReloadPlan {
  readonly kind: 'apply';
  /** Interfaces on which the server begins to listen. */
  readonly opened: readonly ServerInterfaceConfig[];
  readonly closed: readonly ServerInterfaceConfig[];
  /** True if clients must get a new list of interfaces, because names, addresses, ports or their order have changed. */
  readonly isListChanged: boolean;
  /** Names of clients that are no longer admitted. */
  readonly removedClients: readonly string[];
  /**
   * Keys that are no longer valid. A session that was begun or joined with one of these keys ends, because an impostor may have used the
   * key.
   */
  readonly droppedKeys: readonly DroppedKeys[];
  /** True if the server begins to require encrypted paths, and therefore ends plain paths. */
  readonly endsPlainPaths: boolean;
  readonly volumes: VolumePlan;
  /** Log texts that describe the changes. */
  readonly changes: readonly string[];
  /**
   * True if keys, rights, users, clients, peers or the encryption of paths change, so that the log line about the reload belongs to the audit
   * trail.
   */
  readonly isAudited: boolean;
  /** Warnings that apply to the new file but not to the old one. */
  readonly newWarnings: RssrvConfig['warnings'];
}

export interface ReloadRefusal {
  readonly kind: 'refuse';
  /** One sentence for each change that cannot be made while the server runs. */
  readonly sentences: readonly string[];
}

const TLS_CHANGES: Readonly<Record<TlsPolicy, string>> = {
  off: 'tls is off: new paths are plain, and encrypted ones stay',
  allow: 'tls is allow: new paths are encrypted if the client asks for it',
  require: 'tls is require: plain paths end',
};

/** `old` is the configuration in force, `next` is the new file, and `standingOf` returns the status of a volume in `old`. */
export function reloadPlan(
  old: RssrvConfig,
  next: RssrvConfig,
  standingOf: (volume: ServerVolumeConfig) => VolumeStanding,
): ReloadPlan | ReloadRefusal {
  const volumes = volumeChanges(old.volumes, next.volumes, standingOf);
  const sentences = [
    ...identityRefusals(old, next),
    ...diskRefusals(old, next),
    ...viewRefusals(old, next, standingOf),
    ...volumes.refusals,
  ];
  if (sentences.length > 0) return { kind: 'refuse', sentences };
  const [before, after] = [byEndpoint(old.interfaces), byEndpoint(next.interfaces)];
  const opened = next.interfaces.filter((one) => !before.has(endpointKey(one)));
  const closed = old.interfaces.filter((one) => !after.has(endpointKey(one)));
  const isListChanged = listText(old) !== listText(next);
  const peers = peerChanges(old, next);
  const admission = [...clientChanges(old, next), ...rightsChanges(old, next)];
  const warned = new Set(old.warnings.map(({ message }) => message));
  return {
    kind: 'apply',
    opened,
    closed,
    isListChanged: isListChanged || listsDiffer(old, next),
    removedClients: namesMissingIn(old.clients, next.clients),
    droppedKeys: keyChanges(old, next).flatMap(({ name, dropped }) => (dropped.length > 0 ? [{ client: name, keys: dropped }] : [])),
    endsPlainPaths: next.namespace.tls === 'require' && old.namespace.tls !== 'require',
    volumes: volumes.plan,
    changes: [
      ...closed.map((one) => `interface ${endpointText(one)} is closed`),
      ...opened.map((one) => `interface ${endpointText(one)} was added`),
      ...(isListChanged && opened.length + closed.length === 0 ? ['names or order of the interfaces changed'] : []),
      ...admission,
      ...poolChanges(old, next),
      ...peers,
      ...triggerChanges(old, next),
      ...settingChanges(old, next),
      ...volumes.changes,
    ],
    isAudited:
      admission.length + peers.length > 0 ||
      (['namespacekey', 'tls'] as const).some((key) => old.namespace[key] !== next.namespace[key]) ||
      old.server.user?.name !== next.server.user?.name ||
      groupChanges(old, next).length > 0,
    newWarnings: next.warnings.filter(({ message }) => !warned.has(message)),
  };
}

/** Returns a key for an address and port. The spelling of the address does not matter. */
export function endpointKey({ address, port }: Pick<ServerInterfaceConfig, 'address' | 'port'>): string {
  return `${addressKey(address)} ${port}`;
}

function identityRefusals(old: RssrvConfig, next: RssrvConfig): string[] {
  const section = `[server ${old.server.name}]`;
  const refusals: string[] = [];
  const fixed = (place: string, what: string, isSame: boolean): void => {
    if (!isSame)
      refusals.push(`${what} in ${place} has changed, but clients identify the server by it: restart rssrv, or take the change back`);
  };
  fixed(`[namespace ${old.namespace.name}]`, 'namespaceid', old.namespace.namespaceid === next.namespace.namespaceid);
  fixed(section, 'The name', old.server.name === next.server.name);
  fixed(section, 'serverid', old.server.serverid === next.server.serverid);
  fixed(section, 'serverkey', old.server.serverkey === next.server.serverkey);
  return refusals;
}

/** A shared pool that is mounted, or that another server is fencing, cannot get another disk or fence. */
function diskRefusals(old: RssrvConfig, next: RssrvConfig): string[] {
  const placeOf = ({ path, shared }: PoolConfig): string => JSON.stringify(shared === null ? null : [path, shared.disk, shared.fence]);
  return next.pools.flatMap((pool) => {
    const was = old.pools.find(({ name }) => name === pool.name);
    const there = old.pools.find(({ path, name }) => path === pool.path && name !== pool.name);
    if (there !== undefined && (there.shared !== null || pool.shared !== null))
      return [`Pool ${pool.name} has the path of pool ${there.name}, and a shared pool is mounted there: remove pool ${there.name} first`];
    if (was === undefined || (was.shared === null && pool.shared === null) || placeOf(was) === placeOf(pool)) return [];
    return [`The path, disk or fence of shared pool ${pool.name} has changed: remove the pool first (rsadm pool remove ${pool.name})`];
  });
}

function clientChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  return [
    ...namesMissingIn(old.clients, next.clients).map((name) => `client ${name} is removed: its session ends, its holds stay`),
    ...namesMissingIn(next.clients, old.clients).map((name) => `client ${name} is added`),
    ...keyChanges(old, next).map(keyChangeText),
  ];
}

function poolChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  const before = new Map(old.pools.map((pool) => [pool.name, pool]));
  const settingsOf = (pool: PoolConfig): string => JSON.stringify({ ...pool, line: 0 });
  const isOther = (pool: PoolConfig): boolean => {
    const was = before.get(pool.name);
    return was !== undefined && settingsOf(was) !== settingsOf(pool);
  };
  return [
    ...namesMissingIn(old.pools, next.pools).map((name) => `pool ${name} is closed`),
    ...namesMissingIn(next.pools, old.pools).map((name) => `pool ${name} is added`),
    ...next.pools.filter(isOther).map(({ name }) => `pool ${name} has other settings`),
  ];
}

function peerChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  const settingsOf = (peer: PeerConfig): string => JSON.stringify({ ...peer, line: 0 });
  const before = new Map(old.peers.map((peer) => [peer.name, settingsOf(peer)]));
  return [
    ...namesMissingIn(old.peers, next.peers).map((name) => `peer ${name} is removed: copies from it stop`),
    ...namesMissingIn(next.peers, old.peers).map((name) => `peer ${name} is added`),
    ...next.peers
      .filter((peer) => (before.get(peer.name) ?? settingsOf(peer)) !== settingsOf(peer))
      .map(({ name }) => `peer ${name} has other settings`),
  ];
}

/** Compares triggers by name, because their order in the file does not matter. */
function triggerChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  const before = new Map(old.triggers.map((trigger) => [trigger.name, trigger]));
  const isOther = ({ name, on, run, timeoutMs }: TriggerConfig): boolean => {
    const was = before.get(name);
    return was !== undefined && (was.on !== on || was.run !== run || was.timeoutMs !== timeoutMs);
  };
  return [
    ...namesMissingIn(old.triggers, next.triggers).map((name) => `trigger ${name} is removed`),
    ...namesMissingIn(next.triggers, old.triggers).map((name) => `trigger ${name} is added`),
    ...next.triggers.filter(isOther).map(({ name }) => `trigger ${name} has other settings`),
  ];
}

/** Returns log texts about the changed rights of clients that stay configured, including the right to force a take-over. */
function rightsChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  const rights = ({ rights: lines }: RssrvConfig): Map<string, string> =>
    new Map(lines.map(({ name, role, pools, limitBytes, limits }) => [name, JSON.stringify([role, pools, limitBytes, limits])]));
  const [had, has] = [rights(old), rights(next)];
  const stays = (name: string): boolean => [old, next].every(({ clients }) => clients.some((client) => client.name === name));
  const changed = [...new Set([...had.keys(), ...has.keys()])].filter((name) => stays(name) && had.get(name) !== has.get(name));
  return [...changed.map((name) => `client ${name} has other rights`), ...forceChanges(old, next)];
}

/**
 * Refuses a change of the right of a client that has a volume or a snapshot attached, and could not open it again. `standingOf` returns the
 * status of a volume in `old`.
 */
export function viewRefusals(
  old: RssrvConfig,
  next: RssrvConfig,
  standingOf: (volume: ServerVolumeConfig) => Pick<VolumeStanding, 'users' | 'readers'>,
): string[] {
  const views = ({ rights }: RssrvConfig, name: string): boolean => giftTo(name, rights).opens === 'nothing';
  const losing = next.clients.filter(({ name }) => views(next, name) && !views(old, name));
  if (losing.length === 0) return [];
  const users = old.volumes.flatMap((volume) => {
    const { users: holders, readers = [] } = standingOf(volume);
    return [...holders, ...readers].map(({ node }) => ({ node, volume: volume.name }));
  });
  return losing.flatMap(({ name }) => {
    const used = users.find(({ node }) => node === name);
    if (used === undefined) return [];
    return `Client ${name} gets the right view in [rights], but uses volume ${used.volume}: detach it there first (rsconfig -d ${used.volume})`;
  });
}

/** Returns true if other volumes are listed to a client. */
function listsDiffer(old: RssrvConfig, next: RssrvConfig): boolean {
  return next.clients.some(({ name }) => giftTo(name, old.rights).lists !== giftTo(name, next.rights).lists);
}

function forceChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  if (old.hasRights === next.hasRights) return [];
  return [`a forced take-over ${next.hasRights ? 'needs' : 'no longer needs'} the right admin`];
}

interface KeyChange {
  readonly name: string;
  readonly dropped: readonly string[];
  readonly added: readonly string[];
}

/** Returns the changed keys of clients that stay configured. */
function keyChanges(old: RssrvConfig, next: RssrvConfig): KeyChange[] {
  const before = new Map(old.clients.map((client) => [client.name, clientKeys(client)]));
  return next.clients.flatMap((client) => {
    const [had, has] = [before.get(client.name), clientKeys(client)];
    if (had === undefined) return [];
    const dropped = had.filter((key) => !has.includes(key));
    const added = has.filter((key) => !had.includes(key));
    return dropped.length + added.length === 0 ? [] : [{ name: client.name, dropped, added }];
  });
}

function keyChangeText({ name, dropped, added }: KeyChange): string {
  if (dropped.length === 0) return `client ${name} has a second key: both are valid`;
  const [which, text] = added.length === 0 ? ['other', 'one key again'] : ['old', 'a new key'];
  return `client ${name} has ${text}: a session by the ${which} one ends, its holds stay`;
}

function settingChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  const changes: string[] = [];
  const [before, after] = [old.namespace, next.namespace];
  if (before.name !== after.name) changes.push(`the namespace is called ${after.name}`);
  if (before.port !== after.port) changes.push(`exploration is answered on port ${after.port}`);
  if (before.explore !== after.explore) changes.push(`explore is ${after.explore}`);
  if (before.tls !== after.tls) changes.push(TLS_CHANGES[after.tls]);
  if (before.tenants !== after.tenants) changes.push(`tenants is ${after.tenants ? 'yes' : 'no'}`);
  if (before.namespacekey !== after.namespacekey)
    changes.push(after.namespacekey === null ? 'namespacekey was removed' : 'namespacekey has changed');
  if (old.server.witness !== next.server.witness) changes.push(`witness is ${next.server.witness ? 'yes' : 'no, for mirrors to come'}`);
  if (old.server.processes !== next.server.processes) changes.push(`processes is ${next.server.processes}, for new sessions`);
  if (old.server.logLevel !== next.server.logLevel) changes.push(`log-level is ${next.server.logLevel}`);
  if (old.server.log !== next.server.log) changes.push(`log is ${next.server.log}`);
  if (old.server.logTime !== next.server.logTime) changes.push(`log-time is ${next.server.logTime}`);
  changes.push(...metricsChanges(old.server.metrics, next.server.metrics));
  const [was, is] = [old, next].map(({ server }) => server.user?.name ?? null);
  if (was !== is) changes.push(`user is ${is ?? 'the default'}, for server processes that start from now on`);
  changes.push(...groupChanges(old, next));
  const subnets = ({ interfaces }: RssrvConfig): string =>
    interfaces.map(({ address, prefixLength }) => `${address}/${prefixLength}`).join();
  if (listText(old) === listText(next) && subnets(old) !== subnets(next)) changes.push('subnets of the interfaces changed');
  return changes;
}

function groupChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  return LOCAL_ROLES.flatMap((role) => {
    const [had, has] = [old, next].map(({ server }) => server.groups[role]?.name ?? null);
    const { key, may } = LOCAL_ROLE_WORDS[role];
    if (had === has) return [];
    return has === null ? `${key} was removed` : `${key} is ${has}: its members may ${may}`;
  });
}

function metricsChanges(old: MetricsConfig | null, next: MetricsConfig | null): string[] {
  const [before, after] = [old, next].map((one) => (one === null ? 'off' : printEndpoint(one.address, one.port)));
  if (before !== after) return [`metrics is ${after}`];
  return old?.token === next?.token ? [] : ['metrics-token has changed'];
}

function byEndpoint(interfaces: readonly ServerInterfaceConfig[]): ReadonlyMap<string, ServerInterfaceConfig> {
  return new Map(interfaces.map((one) => [endpointKey(one), one]));
}

function listText({ interfaces }: RssrvConfig): string {
  return interfaces.map((one) => `${one.name} ${one.address} ${one.port}`).join();
}

function endpointText({ name, address, port }: ServerInterfaceConfig): string {
  return `${name} (${printEndpoint(address, port)})`;
}

function namesMissingIn(these: readonly { readonly name: string }[], those: readonly { readonly name: string }[]): string[] {
  const others = new Set(those.map(({ name }) => name));
  return these.map(({ name }) => name).filter((name) => !others.has(name));
}
