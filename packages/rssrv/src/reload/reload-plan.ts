// Decides how a changed rssrvcfg applies to a running server. The result contains either all changes, or every reason why the file is
// refused. Pure. The module volume-plan.ts decides about volumes, and the listener makes the changes. Invariants: if any part is refused,
// the whole file is refused; no message shows a secret key.

import type { PoolConfig, RssrvConfig, ServerInterfaceConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { addressKey } from '@rsio/common/lib/subnet';
import { printEndpoint } from '@rsio/common/lib/units';
import { volumeChanges, type VolumePlan, type VolumeStanding } from '../volumes/volume-plan.ts';

export interface ReloadPlan {
  readonly kind: 'apply';
  /** Interfaces on which the server begins to listen. */
  readonly opened: readonly ServerInterfaceConfig[];
  /** Interfaces to close. */
  readonly closed: readonly ServerInterfaceConfig[];
  /** True if clients must get a new list of interfaces, because names, addresses, ports or their order have changed. */
  readonly isListChanged: boolean;
  /** Names of clients that are no longer admitted. */
  readonly removedClients: readonly string[];
  /** Names of clients whose key has changed. The sessions of these clients end, because an impostor may have used the old key. */
  readonly rekeyedClients: readonly string[];
  readonly volumes: VolumePlan;
  /** Log texts that describe the changes. */
  readonly changes: readonly string[];
  /** Warnings that apply to the new file but not to the old one. */
  readonly newWarnings: RssrvConfig['warnings'];
}

export interface ReloadRefusal {
  readonly kind: 'refuse';
  /** One sentence for each change that cannot be made while the server runs. */
  readonly sentences: readonly string[];
}

/** `old` is the configuration in force, `next` is the new file, and `standingOf` returns the status of a volume in `old`. */
export function reloadPlan(
  old: RssrvConfig,
  next: RssrvConfig,
  standingOf: (volume: ServerVolumeConfig) => VolumeStanding,
): ReloadPlan | ReloadRefusal {
  const volumes = volumeChanges(old.volumes, next.volumes, standingOf);
  const sentences = [...identityRefusals(old, next), ...volumes.refusals];
  if (sentences.length > 0) return { kind: 'refuse', sentences };
  const [before, after] = [byEndpoint(old.interfaces), byEndpoint(next.interfaces)];
  const opened = next.interfaces.filter((one) => !before.has(endpointKey(one)));
  const closed = old.interfaces.filter((one) => !after.has(endpointKey(one)));
  const isListChanged = listText(old) !== listText(next);
  const warned = new Set(old.warnings.map(({ message }) => message));
  return {
    kind: 'apply',
    opened,
    closed,
    isListChanged,
    removedClients: namesMissingIn(old.clients, next.clients),
    rekeyedClients: rekeyed(old, next),
    volumes: volumes.plan,
    changes: [
      ...closed.map((one) => `interface ${endpointText(one)} is closed`),
      ...opened.map((one) => `interface ${endpointText(one)} was added`),
      ...(isListChanged && opened.length + closed.length === 0 ? ['names or order of the interfaces changed'] : []),
      ...clientChanges(old, next),
      ...poolChanges(old, next),
      ...settingChanges(old, next),
      ...volumes.changes,
    ],
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

function clientChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  return [
    ...namesMissingIn(old.clients, next.clients).map((name) => `client ${name} is removed: its session ends, its holds stay`),
    ...namesMissingIn(next.clients, old.clients).map((name) => `client ${name} is added`),
    ...rekeyed(old, next).map((name) => `client ${name} has a new key: its session by the old one ends, its holds stay`),
  ];
}

function poolChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  const before = new Map(old.pools.map((pool) => [pool.name, pool]));
  const isOther = ({ name, path, limitBytes, reserve }: PoolConfig): boolean => {
    const was = before.get(name);
    return was !== undefined && (was.path !== path || was.limitBytes !== limitBytes || was.reserve !== reserve);
  };
  const rights = ({ rights: lines }: RssrvConfig): Map<string, string> =>
    new Map(lines.map(({ name, role, pools, limitBytes }) => [name, JSON.stringify([role, pools, limitBytes])]));
  const [had, has] = [rights(old), rights(next)];
  const stays = (name: string): boolean => [old, next].every(({ clients }) => clients.some((client) => client.name === name));
  const changed = [...new Set([...had.keys(), ...has.keys()])].filter((name) => stays(name) && had.get(name) !== has.get(name));
  return [
    ...namesMissingIn(old.pools, next.pools).map((name) => `pool ${name} is closed`),
    ...namesMissingIn(next.pools, old.pools).map((name) => `pool ${name} is added`),
    ...next.pools.filter(isOther).map(({ name }) => `pool ${name} has other settings`),
    ...changed.map((name) => `client ${name} has other rights`),
  ];
}

function rekeyed(old: RssrvConfig, next: RssrvConfig): string[] {
  const keys = new Map(old.clients.map(({ name, key }) => [name, key]));
  return next.clients.filter(({ name, key }) => keys.has(name) && keys.get(name) !== key).map(({ name }) => name);
}

function settingChanges(old: RssrvConfig, next: RssrvConfig): string[] {
  const changes: string[] = [];
  const [before, after] = [old.namespace, next.namespace];
  if (before.name !== after.name) changes.push(`the namespace is called ${after.name}`);
  if (before.port !== after.port) changes.push(`exploration is answered on port ${after.port}`);
  if (before.explore !== after.explore) changes.push(`explore is ${after.explore}`);
  if (before.namespacekey !== after.namespacekey)
    changes.push(after.namespacekey === null ? 'namespacekey was removed' : 'namespacekey has changed');
  if (old.server.processes !== next.server.processes) changes.push(`processes is ${next.server.processes}, for new sessions`);
  if (old.server.logLevel !== next.server.logLevel) changes.push(`log-level is ${next.server.logLevel}`);
  const subnets = ({ interfaces }: RssrvConfig): string =>
    interfaces.map(({ address, prefixLength }) => `${address}/${prefixLength}`).join();
  if (listText(old) === listText(next) && subnets(old) !== subnets(next)) changes.push('subnets of the interfaces changed');
  return changes;
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

/** Returns the names in `these` that are missing from `those`. */
function namesMissingIn(these: readonly { readonly name: string }[], those: readonly { readonly name: string }[]): string[] {
  const others = new Set(those.map(({ name }) => name));
  return these.map(({ name }) => name).filter((name) => !others.has(name));
}
