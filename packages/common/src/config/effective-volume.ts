// The settings that hold for one volume of a client: its [volume] section, else its [namespace], which the reader has completed from [defaults].
// The only place where these sections meet. Pure. Invariant: a setting of the volume's own section always wins.

import type { ClientNamespaceConfig, DeviceChoice, RscltConfig, StallPolicy } from './schema/types.ts';

export interface EffectiveVolume {
  readonly stall: StallPolicy;
  /** Whether rsiod attaches it at its start. */
  readonly attach: boolean;
  readonly device: DeviceChoice;
  /** Of its replay log. */
  readonly logSizeBytes: number;
  readonly readonly: boolean;
  /** Of its block device; null: below the device folder. */
  readonly path: string | null;
}

/** Of a volume that is in use although its namespace is not in the configuration any more. */
const UNCONFIGURED: EffectiveVolume = {
  stall: 'forever',
  attach: false,
  device: 'auto',
  logSizeBytes: 0,
  readonly: false,
  path: null,
};

type Settings = Pick<ClientNamespaceConfig, 'stall' | 'attach' | 'device' | 'logSizeBytes' | 'volumes'>;

/** `name`: as the server calls the volume. */
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

/** The same by the name of the namespace; of one that is not configured, I/O waits for ever and devices are made where possible. */
export function effectiveVolumeOf(
  { namespaces }: Pick<RscltConfig, 'namespaces'>,
  volume: { readonly namespace: string; readonly name: string },
): EffectiveVolume {
  const namespace = namespaces.find(({ name }) => name === volume.namespace);
  return namespace === undefined ? UNCONFIGURED : effectiveVolume(namespace, volume.name);
}
