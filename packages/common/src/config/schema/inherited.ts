// The keys of rscltcfg that a namespace, and perhaps a volume, inherits from [defaults]. From an entry follow the key in each section, the
// type of the configuration, the inheritance, and what a reload says. Invariant: a key that is inherited is told once.

import { printDuration, printSize } from '@rsio/base/lib/units';
import type { ValueOf } from './entries.ts';
import {
  DEAD_AFTER_MS,
  DEAD_MAX_MS,
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_MAX_MS,
  HEARTBEAT_MIN_MS,
  MIRROR_PATIENCE_MAX_MS,
  MIRROR_PATIENCE_MIN_MS,
  MIRROR_PATIENCE_MS,
  REPLACE_AFTER_MAX_MS,
  REPLACE_AFTER_MIN_MS,
  REPLAY_LOG_BYTES,
  REPLAY_LOG_MAX_BYTES,
  RESYNC_RATE_BYTES,
  RESYNC_RATE_MAX_BYTES,
  STALL_MAX_MS,
  STALL_MIN_MS,
  STALL_MS,
  SUSPECT_AFTER_MS,
  SUSPECT_MIN_MS,
  VERIFY_EVERY_MAX_MS,
  VERIFY_EVERY_MIN_MS,
} from './limits.ts';
import * as types from './value-types.ts';

interface InheritedKey<T, F extends string, V extends boolean> {
  readonly type: types.ValueType<T>;
  /** The default in the notation of the file. */
  readonly default: string;
  /** Name of the value in the configuration. */
  readonly field: F;
  /** True if a section [volume] may set the key as well. */
  readonly ofVolume: V;
  readonly help: string;
}

function ofNamespace<T, const F extends string>(type: types.ValueType<T>, text: string, field: F, help: string): InheritedKey<T, F, false> {
  return { type, default: text, field, ofVolume: false, help };
}

function ofVolume<T, const F extends string>(type: types.ValueType<T>, text: string, field: F, help: string): InheritedKey<T, F, true> {
  return { type, default: text, field, ofVolume: true, help };
}

export const INHERITED = {
  stall: ofVolume(
    types.stall(STALL_MIN_MS, STALL_MAX_MS),
    printDuration(STALL_MS),
    'stall',
    'How long I/O waits for a path before the I/O fails (forever: never; fail: within 1s)',
  ),
  attach: ofNamespace(
    types.attachChoice,
    'none',
    'attach',
    'Volumes to attach at start, at reload and when rsiod connects, unless rsconfig -d has detached them since boot',
  ),
  device: ofVolume(
    types.choice('auto', 'block', 'raw', 'nbd-socket', 'none'),
    'auto',
    'device',
    'Devices of an attached volume (block: block and raw device; raw: raw device; nbd-socket: NBD export only; none: no access)',
  ),
  paths: ofNamespace(
    types.choice('auto', 'all', 'configured'),
    'auto',
    'paths',
    'Interface pairs that become paths (auto: same subnet; all: every pair; configured: like auto, but only [server] addresses)',
  ),
  heartbeat: ofNamespace(
    types.duration(HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS),
    printDuration(HEARTBEAT_INTERVAL_MS),
    'heartbeatMs',
    'Interval between heartbeats on each path',
  ),
  suspect: ofNamespace(
    types.duration(SUSPECT_MIN_MS, HEARTBEAT_MAX_MS),
    printDuration(SUSPECT_AFTER_MS),
    'suspectMs',
    'How long a path may be silent before its requests are sent again on other paths; must be less than heartbeat',
  ),
  dead: ofNamespace(
    types.duration(HEARTBEAT_MIN_MS, DEAD_MAX_MS),
    printDuration(DEAD_AFTER_MS),
    'deadMs',
    'How long a path may be silent before rsiod closes and reconnects it; more than 2 heartbeats, enough to send a batch',
  ),
  digest: ofNamespace(types.offOn, 'off', 'digest', 'Whether frames carry CRC-32 checksums in addition to the checksums of TCP'),
  tls: ofNamespace(
    types.offOn,
    'off',
    'tls',
    'Whether paths are encrypted with TLS 1.3; with on, rsiod does not use a server that refuses to encrypt',
  ),
  'log-size': ofVolume(
    types.size(0, REPLAY_LOG_MAX_BYTES),
    printSize(REPLAY_LOG_BYTES),
    'logSizeBytes',
    'Memory per volume for unflushed writes; rsiod sends them again after a server crash (0: writes go straight to storage)',
  ),
  'mirror-patience': ofVolume(
    types.duration(MIRROR_PATIENCE_MIN_MS, MIRROR_PATIENCE_MAX_MS),
    printDuration(MIRROR_PATIENCE_MS),
    'mirrorPatienceMs',
    'How long a mirror waits for a replica without a path before it drops the replica; it always waits for a slow server',
  ),
  'resync-rate': ofVolume(
    types.size(0, RESYNC_RATE_MAX_BYTES),
    printSize(RESYNC_RATE_BYTES),
    'resyncRateBytes',
    'Maximum bytes per second that each mirror copies to replicas that return (0: no limit)',
  ),
  'replace-after': ofVolume(
    types.orOff(types.duration(REPLACE_AFTER_MIN_MS, REPLACE_AFTER_MAX_MS)),
    'off',
    'replaceAfterMs',
    'How long the server of a replica may be lost before rsiod rebuilds the replica on one of the servers of spares',
  ),
  spares: ofVolume(
    types.spareNames,
    'none',
    'spares',
    'Servers on which rsiod may rebuild replicas of lost servers, the first choice first',
  ),
  'verify-every': ofVolume(
    types.orOff(types.duration(VERIFY_EVERY_MIN_MS, VERIFY_EVERY_MAX_MS)),
    'off',
    'verifyEveryMs',
    'Interval at which rsiod compares the replicas of an attached mirror; differences are events, and nothing is repaired',
  ),
  'verify-rate': ofVolume(
    types.orAuto(types.size(0, RESYNC_RATE_MAX_BYTES)),
    'auto',
    'verifyRateBytes',
    'Maximum bytes per second that each mirror compares when it is verified (auto: the rate of resync-rate; 0: no limit)',
  ),
  // `confirmed`: a READ is answered after the other servers have confirmed that this client still holds the mirror. `local`: one server alone
  // answers the READ.
  'mirror-reads': ofVolume(
    types.choice('confirmed', 'local'),
    'confirmed',
    'mirrorReads',
    'Reads of a mirror (confirmed: after servers have confirmed the claim; local: at once, but data may be outdated)',
  ),
};

type Table = typeof INHERITED;
export type InheritedName = keyof Table;
type OfVolume = { [K in InheritedName]: Table[K]['ofVolume'] extends true ? K : never }[InheritedName];
type Value<K extends InheritedName> = ReturnType<Table[K]['type']['parse']>;

/** The values of the keys that a namespace has. */
export type NamespaceSettings = { readonly [K in InheritedName as Table[K]['field']]: Value<K> };
/** The values of the keys that a volume has. */
export type VolumeSettings = { readonly [K in OfVolume as Table[K]['field']]: Value<K> };
/** What a section [volume] sets; null: it inherits the value. */
export type VolumeOverrides = { readonly [F in keyof VolumeSettings]: VolumeSettings[F] | null };

type DefaultKeys = {
  readonly [K in InheritedName]: {
    readonly type: Table[K]['type'];
    readonly isRequired: false;
    readonly default: string;
    readonly help: string;
  };
};
type OptionalKeys<N extends InheritedName> = {
  readonly [K in N]: { readonly type: Table[K]['type']; readonly isRequired: false; readonly default: null; readonly help: string };
};

const ALL = Object.entries(INHERITED);
const VOLUME = ALL.filter(([, { ofVolume: is }]) => is);

/** The keys of [defaults]. */
export const DEFAULT_KEYS = Object.fromEntries(
  ALL.map(([key, { type, default: text, help }]) => [key, { type, isRequired: false, default: text, help }]),
) as unknown as DefaultKeys;
/** The keys of [namespace]. */
export const NAMESPACE_KEYS = inheriting(ALL, 'defaults') as unknown as OptionalKeys<InheritedName>;
/** The keys of [volume]. */
export const VOLUME_KEYS = inheriting(VOLUME, 'namespace') as unknown as OptionalKeys<OfVolume>;

function inheriting(keys: typeof ALL, from: string): object {
  return Object.fromEntries(
    keys.map(([key, { type, help }]) => [key, { type, isRequired: false, default: null, help: `${help}. Inherited from [${from}]` }]),
  );
}

/** The part of a section's reader that gives the values of inherited keys. */
type Values<K> = { value<N extends keyof K & string>(key: N): ValueOf<K[N]> };

export function namespaceSettings(own: Values<typeof NAMESPACE_KEYS>, defaults: Values<typeof DEFAULT_KEYS>): NamespaceSettings {
  const names = Object.keys(INHERITED) as InheritedName[];
  return Object.fromEntries(names.map((key) => [INHERITED[key].field, own.value(key) ?? defaults.value(key)])) as NamespaceSettings;
}

export function volumeOverrides(own: Values<typeof VOLUME_KEYS>): VolumeOverrides {
  const names = VOLUME.map(([key]) => key) as OfVolume[];
  return Object.fromEntries(names.map((key) => [INHERITED[key].field, own.value(key)])) as VolumeOverrides;
}

/** What a section [volume] that sets no key of this table overrides. */
export function noVolumeOverrides(): VolumeOverrides {
  return Object.fromEntries(VOLUME.map(([, { field }]) => [field, null])) as unknown as VolumeOverrides;
}

/** Returns the settings of a volume whose section sets `own`; null: it has no section. */
export function volumeSettings(namespace: VolumeSettings, own: VolumeOverrides | null): VolumeSettings {
  const fields = VOLUME.map(([, { field }]) => field) as (keyof VolumeSettings)[];
  return Object.fromEntries(fields.map((field) => [field, own?.[field] ?? namespace[field]])) as unknown as VolumeSettings;
}

/** The settings of a volume in a file that sets no key. */
export function defaultVolumeSettings(): VolumeSettings {
  return Object.fromEntries(VOLUME.map(([, { field, type, default: text }]) => [field, type.parse(text)])) as unknown as VolumeSettings;
}
