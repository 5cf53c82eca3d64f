// The settings that apply to one volume of a client. They come from its [volume] section, else from its [namespace] section, which the
// reader has completed from [defaults]. No other code combines these sections. Pure. Invariant: a setting of the [volume] section always
// wins.

import type { ClientNamespaceConfig, DeviceChoice, RscltConfig, StallPolicy } from './schema/types.ts';

export interface EffectiveVolume {
  readonly stall: StallPolicy;
  /** Whether rsiod attaches the volume automatically. */
  readonly attach: boolean;
  readonly device: DeviceChoice;
  /** Maximum size of the volume's replay log. */
  readonly logSizeBytes: number;
  readonly readonly: boolean;
  /** Path of the volume's block device; null: the default path below the device folder. */
  readonly path: string | null;
}

/** Settings of a volume that is in use although its namespace is no longer in the configuration. */
const UNCONFIGURED: EffectiveVolume = {
  stall: 'forever',
  attach: false,
  device: 'auto',
  logSizeBytes: 0,
  readonly: false,
  path: null,
};

type Settings = Pick<ClientNamespaceConfig, 'stall' | 'attach' | 'device' | 'logSizeBytes' | 'volumes'>;

/** `name`: the volume's name on the server. */
export function effectiveVolume(namespace: Settings, name: string): EffectiveVolume {
  const own = namespace.volumes.find((volume) => volume.name === name);
  const { attach } = namespace;
  return {
    stall: own?.stall ?? namespace.stall,
    attach: own?.attach ?? (attach === 'all' || (attach !== 'none' && attach.includes(name))),
    device: own?.device ?? namespace.device,
    logSizeBytes: own?.logSizeBytes ?? namespace.logSizeBytes,
    readonly: own?.readonly ?? false,
    path: own?.path ?? null,
  };
}

/** As effectiveVolume, but finds the namespace by name. If it is not configured, I/O waits forever and devices are made where possible. */
export function effectiveVolumeOf(
  { namespaces }: Pick<RscltConfig, 'namespaces'>,
  volume: { readonly namespace: string; readonly name: string },
): EffectiveVolume {
  const namespace = namespaces.find(({ name }) => name === volume.namespace);
  return namespace === undefined ? UNCONFIGURED : effectiveVolume(namespace, volume.name);
}
