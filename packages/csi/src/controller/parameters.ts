// Reads the parameters of a StorageClass and the mutable parameters of a VolumeAttributesClass. Pure. Invariant: an unknown parameter is
// refused, because a misspelt one would otherwise be ignored without a word.

import { isName, NAME_ALLOWED, quoteText } from '@rsio/base/lib/units';
import { boundedTexts, type FsType, FS_TYPES, invalid } from '../rpc/fields.ts';
import type { Texts } from '../rpc/messages.ts';

/** Parameters with this beginning come from the sidecars and are not meant for the driver. */
const OF_SIDECARS = 'csi.storage.k8s.io/';
const LIMITS = ['iops', 'bandwidth', 'burst'] as const;
const KNOWN = ['server', 'pool', 'servers', 'witness', 'thick', 'fsType', ...LIMITS] as const;
const MIRROR_SERVERS_MIN = 2;

export interface Parameters {
  /** Server of a volume that is not a mirror; null for the only server. */
  readonly server: string | null;
  readonly pool: string | null;
  /** Servers of the replicas of a mirror; null for a volume that is not a mirror. */
  readonly servers: readonly string[] | null;
  readonly witness: string | null;
  readonly thick: boolean;
  readonly fsType: FsType | null;
  /** Limits of I/O as settings of a volume, such as `iops=500`. */
  readonly settings: readonly string[];
}

export function parametersOf(given: Texts): Parameters {
  const texts = Object.fromEntries(Object.entries(boundedTexts(given, 'parameters')).filter(([key]) => !key.startsWith(OF_SIDECARS)));
  const unknown = Object.keys(texts).find((key) => !KNOWN.some((one) => one === key));
  if (unknown !== undefined) throw invalid(`Parameter ${quoteText(unknown)} is not known: known are ${KNOWN.join(', ')}`);
  const name = (key: 'server' | 'pool' | 'witness'): string | null => (texts[key] === undefined ? null : checkedName(key, texts[key]));
  const servers = texts['servers'] === undefined ? null : serversOf(texts['servers']);
  const parameters: Parameters = {
    server: name('server'),
    pool: name('pool'),
    servers,
    witness: name('witness'),
    thick: yesOrNo('thick', texts['thick']),
    fsType: fsTypeOf(texts['fsType']),
    settings: LIMITS.flatMap((key) => (texts[key] === undefined ? [] : [`${key}=${texts[key]}`])),
  };
  if (servers === null && parameters.witness !== null)
    throw invalid('Parameter witness is for a mirror: name its servers in parameter servers');
  if (servers !== null) {
    if (parameters.server !== null)
      throw invalid('Parameters server and servers are both given: servers is for a mirror, server for a volume');
    if (parameters.thick || parameters.settings.length > 0)
      throw invalid(`Parameters thick, ${LIMITS.join(', ')} are not possible for a mirror: remove them, or remove servers`);
  }
  return parameters;
}

/** Returns the settings of mutable parameters, such as `iops=500`. */
export function mutableSettingsOf(given: Texts): string[] {
  const unknown = Object.keys(boundedTexts(given, 'mutable_parameters')).find((key) => !LIMITS.some((one) => one === key));
  if (unknown !== undefined) throw invalid(`Mutable parameter ${quoteText(unknown)} is not known: known are ${LIMITS.join(', ')}`);
  return LIMITS.flatMap((key) => (given[key] === undefined ? [] : [`${key}=${given[key]}`]));
}

/** Returns the settings of both lists. A setting in `after` replaces the setting in `before` that has the same key. */
export function mergedSettings(before: readonly string[], after: readonly string[]): string[] {
  const keyOf = (setting: string): string => setting.replace(/=.*$/s, '');
  const replaced = new Set(after.map(keyOf));
  return [...before.filter((one) => !replaced.has(keyOf(one))), ...after];
}

function checkedName(key: string, text: string): string {
  if (!isName(text)) throw invalid(`Parameter ${key} is ${quoteText(text)}: give ${NAME_ALLOWED}`);
  return text;
}

function serversOf(text: string): string[] {
  const names = text.split(/[\s,]+/).filter((name) => name !== '');
  for (const name of names) checkedName('servers', name);
  if (names.length < MIRROR_SERVERS_MIN || new Set(names).size !== names.length)
    throw invalid(`Parameter servers is ${quoteText(text)}: name at least ${MIRROR_SERVERS_MIN} servers, each once`);
  return names;
}

function yesOrNo(key: string, text = 'no'): boolean {
  if (text !== 'yes' && text !== 'no' && text !== 'true' && text !== 'false')
    throw invalid(`Parameter ${key} is ${quoteText(text)}: give yes or no`);
  return text === 'yes' || text === 'true';
}

function fsTypeOf(text: string | undefined): FsType | null {
  if (text === undefined) return null;
  const found = FS_TYPES.find((one) => one === text);
  if (found === undefined) throw invalid(`Parameter fsType is ${quoteText(text)}: give ${FS_TYPES.join(' or ')}`);
  return found;
}
