// Parses the settings of a volume that a command can change, in the syntax of a section [volume] of rssrvcfg, and applies them. Pure. Invariant: if one
// setting of a request is invalid, none of its settings is used.

import { clientNames, mayChoice, stamp, type ValueType, yesNo } from '@rsio/common/config/schema/value-types';
import {
  bandwidthType,
  burstType,
  iopsType,
  isLimitKey,
  LIMIT_KEYS,
  limitsField,
  NO_IO_LIMITS,
  type IoLimits,
} from '@rsio/common/config/schema/io-limits';
import { RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { Asker } from './asker.ts';
import type { Found } from './catalogue.ts';
import type { Manifest } from './disk/manifest.ts';
import { scheduleText } from './schedules/schedule.ts';
import { checkVerb } from './verb-table.ts';

/** The new values of settings. A setting that is absent does not change. */
export interface Settings {
  readonly readonly?: boolean;
  readonly shared?: boolean;
  readonly clients?: readonly string[] | null;
  readonly takeOver?: readonly string[] | null;
  readonly takeOverForce?: boolean;
  /** Clients that may do what the client that created the volume may do; null for all clients with the right `manage`. */
  readonly managers?: readonly string[] | null;
  /** Schedule of the volume's snapshots; null removes the schedule. */
  readonly schedule?: string | null;
  /**
   * Stamp of the current data file, with which the administrator confirms that this file has the same content as the file that was served
   * earlier.
   */
  readonly sameContent?: string;
  /** Limit of the volume's I/O operations in a second; null removes the limit. */
  readonly iops?: number | null;
  readonly bytesPerSecond?: number | null;
  readonly burstMs?: number;
  /** Note for people; '' removes it. */
  readonly note?: string;
}

/** Maps a key in rssrvcfg to the field in Settings and the type of its value. */
const KEYS = {
  readonly: ['readonly', yesNo],
  shared: ['shared', yesNo],
  clients: ['clients', clientNames],
  'take-over': ['takeOver', mayChoice],
  'take-over-force': ['takeOverForce', yesNo],
  managers: ['managers', mayChoice],
  'same-content': ['sameContent', stamp],
  snapshots: ['schedule', scheduleText],
  iops: ['iops', iopsType],
  bandwidth: ['bytesPerSecond', bandwidthType],
  burst: ['burstMs', burstType],
} as const satisfies Readonly<Record<string, readonly [keyof Settings, ValueType<unknown>]>>;

/** Parses settings such as `readonly=yes`. Throws E_USAGE, which names the setting and the allowed values. */
export function parseSettings(words: readonly string[]): Settings {
  const settings: Record<string, unknown> = {};
  for (const word of words) {
    const [, key = '', value = ''] = /^([a-z-]+)=(.*)$/s.exec(word) ?? [];
    if (!Object.hasOwn(KEYS, key)) {
      const known = Object.keys(KEYS).join(', ');
      throw new RsError('E_USAGE', `Wrong setting ${quoteText(word)}: give KEY=VALUE, KEY being one of ${known}`);
    }
    const [field, type] = KEYS[key as keyof typeof KEYS];
    if (Object.hasOwn(settings, field)) throw new RsError('E_USAGE', `Setting ${key} is given twice: give it once`);
    try {
      settings[field] = type.parse(value);
    } catch (thrown) {
      if (!(thrown instanceof RsError)) throw thrown;
      throw new RsError('E_USAGE', `Wrong value ${quoteText(value)} for ${key}: allowed is ${type.allowed}`);
    }
  }
  return settings;
}

function hasLimits({ iops, bytesPerSecond, burstMs }: Settings): boolean {
  return iops !== undefined || bytesPerSecond !== undefined || burstMs !== undefined;
}

/** Returns the volume with the limits of I/O in the settings; absent limits do not change. */
function withLimits<T extends { readonly limits?: IoLimits }>(
  volume: T,
  settings: Settings,
): Omit<T, 'limits'> & { readonly limits?: IoLimits } {
  const { limits: before = NO_IO_LIMITS, ...others } = volume;
  const { iops = before.iops, bytesPerSecond = before.bytesPerSecond, burstMs = before.burstMs } = settings;
  return { ...others, ...limitsField({ iops, bytesPerSecond, burstMs }) };
}

/** Parses the limits of a new volume. Throws E_USAGE for an invalid value or any other setting. */
export function parseLimits(words: readonly string[]): { readonly limits?: IoLimits } {
  const other = words.find((word) => !isLimitKey(word.replace(/=.*$/s, '')));
  if (other === undefined) return withLimits({}, parseSettings(words));
  throw new RsError('E_USAGE', `Wrong setting ${quoteText(other)} of a new volume: allowed are ${LIMIT_KEYS.join(', ')}`);
}

/** Returns the manifest with the new settings. `file`: the index of the file whose content the settings confirm. */
export function decideSet(found: Found, settings: Settings, asker: Asker, request: string | null, file: number): Manifest {
  const { manifest } = found;
  const asked = { pools: [found.pool], asker };
  if (typeof settings.schedule === 'string') checkVerb('set a schedule', found, asked);
  if (settings.shared === true || settings.readonly === true) checkVerb('set shared or read-only', found, asked);
  if (settings.sameContent !== undefined) checkVerb('confirm another file', found, asked);
  if (settings.takeOverForce === true) asker.needs('admin', 'permit forced take-over');
  // Only an administrator may lift limits that an administrator has set.
  if (hasLimits(settings)) asker.needs('admin', 'set limits of I/O');
  const { sameContent, schedule, note, iops: _iops, bytesPerSecond: _bytes, burstMs: _burst, ...others } = settings;
  const stamps = sameContent === undefined ? manifest.stamps : manifest.stamps.with(file, sameContent);
  const noted = withNote(withLimits(manifest, settings), note);
  const next = withSchedule({ ...noted, ...others, stamps, request }, schedule);
  asker.checkOwnAccess(manifest.name, next.clients);
  return next;
}

function withNote(manifest: Manifest, wanted: string | undefined): Manifest {
  if (wanted === undefined) return manifest;
  const { note: _before, ...others } = manifest;
  return wanted === '' ? others : { ...others, note: wanted };
}

function withSchedule(manifest: Manifest, wanted: string | null | undefined): Manifest {
  if (wanted === undefined) return manifest;
  const { schedule: _before, ...others } = manifest;
  return wanted === null ? others : { ...others, schedule: wanted };
}
