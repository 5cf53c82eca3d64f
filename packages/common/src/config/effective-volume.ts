// Determines the settings that apply to one volume on a client. A setting that is missing from the [volume] section comes from the
// [namespace] section. The reader has already copied values from [defaults] to the [namespace] section. The functions are pure. Invariant:
// a setting in the [volume] section always wins.

import { servedNameParts } from '@rsio/base/lib/volume-name';
import { defaultVolumeSettings, type VolumeSettings, volumeSettings } from './schema/inherited.ts';
import type { ClientNamespaceConfig, RscltConfig } from './schema/types.ts';

export interface EffectiveVolume extends VolumeSettings {
  /** True if rsiod attaches the volume automatically. */
  readonly attach: boolean;
  readonly readonly: boolean;
  /** Path of the volume's block device; null for the default path below the device folder. */
  readonly path: string | null;
}

/** Settings for a volume that is still in use after its namespace has been removed from the configuration. */
const UNCONFIGURED: EffectiveVolume = {
  ...defaultVolumeSettings(),
  stall: 'forever',
  logSizeBytes: 0,
  attach: false,
  readonly: false,
  path: null,
};

type Settings = VolumeSettings & Pick<ClientNamespaceConfig, 'attach' | 'volumes'>;

/**
 * Returns the settings for the volume or the snapshot that the server calls `name`. A snapshot has the settings of its volume, except that
 * it is read-only, has its own path, and is attached only by command.
 */
export function effectiveVolume(namespace: Settings, name: string): EffectiveVolume {
  const { volume, snapshot } = servedNameParts(name);
  if (snapshot !== null) return { ...effectiveVolume(namespace, volume), attach: false, logSizeBytes: 0, readonly: true, path: null };
  const own = namespace.volumes.find((volume) => volume.name === name);
  const { attach } = namespace;
  return {
    ...volumeSettings(namespace, own ?? null),
    attach: own?.attach ?? (attach === 'all' || (attach !== 'none' && attach.includes(name))),
    readonly: own?.readonly ?? false,
    path: own?.path ?? null,
  };
}

/**
 * True if the configuration attaches this volume. A configured name without a universe means universe 0, because other universes contain
 * images with different content.
 */
export function wantsAttached(namespace: Settings, { name, universe }: { readonly name: string; readonly universe: number }): boolean {
  const own = namespace.volumes.find((volume) => volume.name === name);
  if (own?.attach === false) return false;
  const { attach } = namespace;
  if (attach === 'all') return true;
  if (attach !== 'none' && attach.includes(`${name}@${universe}`)) return true;
  return universe === 0 && effectiveVolume(namespace, name).attach;
}

/** Returns the names, without universes, of the volumes that the configuration attaches. */
export function namesToAttach({ attach, volumes }: Settings): string[] {
  const listed = attach === 'all' || attach === 'none' ? [] : attach.filter((name) => !name.includes('@'));
  const own = volumes.flatMap((volume) => (volume.attach === true ? [volume.name] : []));
  const never = volumes.flatMap((volume) => (volume.attach === false ? [volume.name] : []));
  return [...new Set([...listed, ...own])].filter((name) => !never.includes(name));
}

/**
 * Returns the settings of a volume, as effectiveVolume does, but takes the name of the namespace. If the configuration does not contain the
 * namespace, returns UNCONFIGURED.
 */
export function effectiveVolumeOf(
  { namespaces }: Pick<RscltConfig, 'namespaces'>,
  volume: { readonly namespace: string; readonly name: string },
): EffectiveVolume {
  const namespace = namespaces.find(({ name }) => name === volume.namespace);
  return namespace === undefined ? UNCONFIGURED : effectiveVolume(namespace, volume.name);
}
