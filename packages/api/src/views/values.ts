// Parses the operands and options that several commands share: names of volumes and pools, sizes and lists of clients. Pure. Invariant: a
// wrong value is refused, with the option and the allowed values, before a request is sent. `program`: the program that the person called.

import { usageError } from '@rsio/common/cli/command';
import { clientNames, name, size, type ValueType } from '@rsio/common/config/schema/value-types';
import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { isStoredName, isSnapshotName, NAME_ALLOWED, parseWhole, quoteText, SNAPSHOT_NAME_ALLOWED } from '@rsio/base/lib/units';

export interface VolumeName {
  readonly name: string;
  readonly universe: number;
}

/** Parses `oracle` or `oracle@1`. Throws E_USAGE. */
export function volumeName(text: string, program: string): VolumeName {
  const [, word = '', universe = '0'] = /^([^@]*)(?:@(.*))?$/.exec(text) ?? [];
  const number = parseWhole(universe);
  if (!isStoredName(word))
    throw usageError(`Wrong volume name ${quoteText(text)}: the name is ${NAME_ALLOWED}, optionally followed by @UNIVERSE`, program);
  const [, volume = '', snapshot = ''] = /^(.*)@([^@]*)$/.exec(text) ?? [];
  if (isSnapshotName(snapshot) && !/^-?\d+$/.test(snapshot))
    throw usageError(`${quoteText(text)} is a snapshot, and this takes a volume: give ${volume}`, program);
  if (number === undefined || number > UNIVERSE_MAX)
    throw usageError(`Wrong universe in ${quoteText(text)}: allowed is 0 to ${UNIVERSE_MAX}`, program);
  return { name: word, universe: number };
}

/** Parses the number of a universe. Throws E_USAGE. `what` names the option in the error, such as `--universe`. */
export function universeOf(what: string, text: string, program: string): number {
  const number = parseWhole(text);
  if (number !== undefined && number <= UNIVERSE_MAX) return number;
  throw usageError(`Wrong ${what} ${quoteText(text)}: allowed is 0 to ${UNIVERSE_MAX}`, program);
}

/**
 * Splits `oracle@monday` or `oracle@1@monday` into the volume and the name of the snapshot. If the last part consists of digits, it is a
 * universe. The volume part may contain more than `volumeName` accepts, such as a namespace. Throws E_USAGE for a wrong name of a snapshot.
 */
export function splitSnapshot(text: string, program: string): { readonly volume: string; readonly snapshot: string | null } {
  const [, volume = text, snapshot] = /^(.*)@([^@]*)$/s.exec(text) ?? [];
  if (snapshot === undefined || /^\d*$/.test(snapshot)) return { volume: text, snapshot: null };
  if (!isSnapshotName(snapshot))
    throw usageError(`Wrong snapshot name ${quoteText(snapshot)}: allowed is ${SNAPSHOT_NAME_ALLOWED}`, program);
  return { volume, snapshot };
}

/** The size of a volume. */
export const volumeSize = size(SECTOR_BYTES, VOLUME_MAX_BYTES);

/** Parses the size of a volume. Throws E_USAGE. `what` names the option or operand in the error, such as `--size`. */
export function sizeOf(what: string, text: string, program: string): number {
  return valueOf(what, text, volumeSize, program);
}

export const poolNameType: ValueType<string> = name;

/** Most bytes in a second; `none` is no limit. */
export const rate: ValueType<number | null> = {
  ...volumeSize,
  allowed: `${volumeSize.allowed}, or none`,
  parse: (text) => (text === 'none' ? null : volumeSize.parse(text)),
};

/** Parses the name of a pool. Throws E_USAGE. */
export function poolNameOf(what: string, text: string, program: string): string {
  return valueOf(what, text, poolNameType, program);
}

/** Parses the word `all` or names of clients. Returns null for all clients. Throws E_USAGE. */
export function clientsOf(what: string, text: string, program: string): readonly string[] | null {
  return valueOf(what, text, clientNames, program);
}

/** Parses the value of an option or operand. Throws E_USAGE. */
export function valueOf<T>(what: string, text: string, type: ValueType<T>, program: string): T {
  try {
    return type.parse(text);
  } catch (thrown) {
    if (!(thrown instanceof RsError)) throw thrown;
    throw usageError(`Wrong ${what} ${quoteText(text)}: allowed is ${type.allowed}`, program);
  }
}
