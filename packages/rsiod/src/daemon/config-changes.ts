// Describes the differences between the current and a new configuration, with the reasons why a difference cannot be applied at runtime.
// Invariant: no text contains a secret key.

import { isDeepStrictEqual } from 'node:util';
import type { KeyTable, SectionFields } from '@rsio/common/config/schema/entries';
import { INHERITED, type NamespaceSettings, type VolumeOverrides } from '@rsio/common/config/schema/inherited';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import { printValue, type ValueType } from '@rsio/common/config/schema/value-types';
import type {
  AoeGateConfig,
  ClientGateConfig,
  ClientInterfaceConfig,
  ClientNamespaceConfig,
  ClientServerConfig,
  RscltConfig,
  TriggerConfig,
  VolumeOverride,
} from '@rsio/common/config/schema/types';
import { printDuration, printEndpoint } from '@rsio/base/lib/units';
import { isSameLogin } from '../network/namespace.ts';

/** One difference, which an event shows as OBJECT: FROM -> TO. */
export interface ConfigChange {
  readonly object: string;
  readonly from: string;
  readonly to: string;
}

/**
 * For each property of `T`: the name of the key in the file, and a function that prints the key's value. The function is null if the value
 * is secret.
 */
type Shown<T> = { readonly [K in keyof T]-?: readonly [key: string, print: ((value: T[K]) => string) | null] };

const plain = (value: string | number | null): string => (value === null ? '-' : String(value));
const yesNo = (value: boolean | null): string => (value === null ? '-' : value ? 'yes' : 'no');
const names = (value: string | readonly string[]): string => (typeof value === 'string' ? value : value.join(', '));

type DefaultKeys = (typeof SCHEMA)['rscltcfg']['defaults']['keys'];

const INTERFACE: Shown<Omit<ClientInterfaceConfig, 'name' | 'port'>> = {
  address: ['address', plain],
  prefixLength: ['length of the subnet', plain],
  portGiven: ['port', plain],
};

const SERVER: Shown<Omit<ClientServerConfig, 'name' | 'position'>> = {
  address: ['address', plain],
  port: ['port', plain],
  serverkey: ['serverkey', null],
};

const VOLUME: Shown<Omit<VolumeOverride, 'name'>> = {
  ...shownOverrides(),
  attach: ['attach', yesNo],
  readonly: ['readonly', yesNo],
  path: ['path', plain],
};

const TRIGGER: Shown<Omit<TriggerConfig, 'name' | 'line'>> = {
  on: ['on', plain],
  run: ['run', plain],
  timeoutMs: ['timeout', printDuration],
};

const NAMESPACE: Shown<Omit<ClientNamespaceConfig, 'name' | 'servers' | 'volumes'>> = {
  namespaceid: ['namespaceid', plain],
  nodename: ['nodename', plain],
  nodekey: ['nodekey', null],
  namespacekey: ['namespacekey', null],
  port: ['port', plain],
  ...shownSettings(),
};

const GATE: Shown<
  Pick<ClientGateConfig, 'protocol' | 'addresses' | 'hosts' | 'nqn' | 'volumes' | 'secretFile' | 'secrets' | 'tls' | 'tlsKeys'>
> = {
  protocol: ['protocol', plain],
  addresses: ['address', (value) => names(value.map(({ address, port }) => printEndpoint(address, port)))],
  hosts: ['hosts', (value) => names(value ?? 'all')],
  nqn: ['nqn', plain],
  volumes: ['volumes', names],
  secretFile: ['secret-file', plain],
  secrets: ['set of secrets', null],
  tls: ['tls', (value) => (value ? 'required' : 'off')],
  tlsKeys: ['set of TLS keys', null],
};

const AOE_GATE: Shown<Omit<AoeGateConfig, 'name'>> = {
  interface: ['interface', plain],
  shelf: ['shelf', plain],
  hosts: ['hosts', (value) => names(value ?? 'all')],
  volumes: ['volumes', names],
  slots: ['slots', (value) => (value.size === 0 ? '-' : [...value].map(([name, slot]) => `${name}=${slot}`).join(', '))],
  hasUnsafeWrites: ['aoe-writes', (value) => (value ? 'unsafe' : 'off')],
};

const METRICS: Shown<{ readonly place: string; readonly token: string | null }> = {
  place: ['metrics', plain],
  token: ['metrics-token', null],
};

const DEFAULTS: Shown<Pick<RscltConfig, 'defaultPort'> & SectionFields<DefaultKeys>> = {
  defaultPort: ['port', plain],
  ...shownKeys(SCHEMA.rscltcfg.defaults.keys),
};

/** The keys of a section that the configuration has as they are. */
function shownKeys<K extends KeyTable>(keys: K): Shown<SectionFields<K>> {
  const named = Object.entries(keys).flatMap(([key, { field, type }]) => (field === undefined ? [] : [[field, shownKey(key, type)]]));
  return Object.fromEntries(named) as Shown<SectionFields<K>>;
}

function shownSettings(): Shown<NamespaceSettings> {
  return Object.fromEntries(
    Object.entries(INHERITED).map(([key, { field, type }]) => [field, shownKey(key, type)]),
  ) as Shown<NamespaceSettings>;
}

function shownOverrides(): Shown<VolumeOverrides> {
  const own = Object.entries(INHERITED).filter(([, { ofVolume }]) => ofVolume);
  return Object.fromEntries(own.map(([key, { field, type }]) => [field, shownKey(key, type)])) as Shown<VolumeOverrides>;
}

function shownKey(key: string, type: ValueType<unknown>): readonly [string, ((value: unknown) => string) | null] {
  return [key, type.isSecret ? null : (value) => printValue(type, value)];
}

/**
 * Returns all differences in the order of the file, except that removed sections come after the other sections of the same type. A new or
 * removed section counts as one difference.
 */
export function configChanges(before: RscltConfig, after: RscltConfig): ConfigChange[] {
  return [
    ...valueChanges('defaults', DEFAULTS, before, after),
    ...valueChanges('defaults', METRICS, metricsOf(before), metricsOf(after)),
    ...sectionChanges('interface', INTERFACE, before.interfaces, after.interfaces),
    ...after.namespaces.flatMap((namespace) => {
      const old = before.namespaces.find(({ name }) => name === namespace.name);
      const inside = ` of namespace ${namespace.name}`;
      if (old === undefined) return [added(`namespace ${namespace.name}`)];
      return [
        ...valueChanges(`namespace ${namespace.name}`, NAMESPACE, old, namespace),
        ...sectionChanges('server', SERVER, old.servers, namespace.servers, inside),
        ...sectionChanges('volume', VOLUME, old.volumes, namespace.volumes, inside),
      ];
    }),
    ...sectionChanges('gate', GATE, before.gates, after.gates),
    ...sectionChanges('gate', AOE_GATE, before.aoeGates, after.aoeGates),
    ...sectionChanges('trigger', TRIGGER, before.triggers, after.triggers),
    ...gone(before.namespaces, after.namespaces).map(({ name }) => removed(`namespace ${name}`)),
  ];
}

/**
 * Returns the reasons why the new configuration cannot be applied at runtime, each with a remedy. `inUse` returns the labels of a
 * namespace's attached volumes.
 */
export function changeObstacles(before: RscltConfig, after: RscltConfig, inUse: (namespace: string) => readonly string[]): string[] {
  const sentences: string[] = [];
  if (before.nbdGroup !== after.nbdGroup) sentences.push('nbd-group cannot change at runtime: restore it, or restart rsiod');
  for (const namespace of before.namespaces) {
    const labels = inUse(namespace.name);
    if (labels.length === 0 || after.namespaces.some((other) => isSameLogin(namespace, other))) continue;
    const isGone = !after.namespaces.some(({ name }) => name === namespace.name);
    const what = isGone ? 'be removed' : 'log in under another namespaceid or nodename';
    sentences.push(
      `Namespace ${namespace.name} cannot ${what} while ${labels.join(', ')} ${labels.length === 1 ? 'is' : 'are'} attached: restore it, or run rsconfig -d ${labels.join(' ')} first`,
    );
  }
  return sentences;
}

/** Splits the metrics settings into the two keys of the file: the address and the token. */
function metricsOf({ metrics }: RscltConfig): { readonly place: string; readonly token: string | null } {
  return metrics === null ? { place: 'off', token: null } : { place: printEndpoint(metrics.address, metrics.port), token: metrics.token };
}

function added(object: string): ConfigChange {
  return { object, from: '-', to: 'added' };
}

function removed(object: string): ConfigChange {
  return { object, from: 'configured', to: 'removed' };
}

interface Named {
  readonly name: string;
}

function gone<T extends Named>(before: readonly T[], after: readonly T[]): T[] {
  return before.filter(({ name }) => !after.some((other) => other.name === name));
}

function sectionChanges<S, T extends Named & S>(
  type: string,
  shown: Shown<S>,
  before: readonly T[],
  after: readonly T[],
  inside = '',
): ConfigChange[] {
  return [
    ...after.flatMap((one) => {
      const old = before.find(({ name }) => name === one.name);
      const object = `${type} ${one.name}${inside}`;
      return old === undefined ? [added(object)] : valueChanges(object, shown, old, one);
    }),
    ...gone(before, after).map(({ name }) => removed(`${type} ${name}${inside}`)),
  ];
}

function valueChanges<S>(object: string, shown: Shown<S>, before: S, after: S): ConfigChange[] {
  const fields = Object.keys(shown) as (keyof S)[];
  return fields
    .filter((field) => !isDeepStrictEqual(before[field], after[field]))
    .map((field) => {
      const [key, print] = shown[field];
      if (print === null) return { object, from: key, to: `another ${key}` };
      return { object, from: `${key} = ${print(before[field])}`, to: `${key} = ${print(after[field])}` };
    });
}
