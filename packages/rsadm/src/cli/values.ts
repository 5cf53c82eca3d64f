// Parses the operands and options that several commands share: names of volumes and pools, sizes and lists of clients. Pure. Invariant: a wrong
// value is refused with the option and the allowed values before anything is sent to rssrv.

import { SECTOR_BYTES, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import { RsError } from '@rsio/common/lib/errors';
import { isName, NAME_ALLOWED, parseWhole, quoteText } from '@rsio/common/lib/units';
import { clientNames, name, size, type ValueType } from '@rsio/common/config/schema/value-types';
import { usageError } from './context.ts';

export interface VolumeName {
  readonly name: string;
  readonly universe: number;
}

/** Parses `oracle` or `oracle@1`. Throws E_USAGE. */
export function volumeName(text: string): VolumeName {
  const [, word = '', universe = '0'] = /^([^@]*)(?:@(.*))?$/.exec(text) ?? [];
  const number = parseWhole(universe);
  if (!isName(word))
    throw usageError(`Wrong volume name ${quoteText(text)}: the name is ${NAME_ALLOWED}, optionally followed by @UNIVERSE`);
  if (number === undefined || number > UNIVERSE_MAX)
    throw usageError(`Wrong universe in ${quoteText(text)}: allowed is 0 to ${UNIVERSE_MAX}`);
  return { name: word, universe: number };
}

const volumeSize = size(SECTOR_BYTES, VOLUME_MAX_BYTES);

/** Size of a volume. Throws E_USAGE. `what`: the option or operand, such as `--size`. */
export function sizeOf(what: string, text: string): number {
  return valueOf(what, text, volumeSize);
}

/** Name of a pool. Throws E_USAGE. */
export function poolNameOf(what: string, text: string): string {
  return valueOf(what, text, name);
}

/** `all` or names; null means all clients. Throws E_USAGE. */
export function clientsOf(what: string, text: string): readonly string[] | null {
  return valueOf(what, text, clientNames);
}

function valueOf<T>(what: string, text: string, type: ValueType<T>): T {
  try {
    return type.parse(text);
  } catch (thrown) {
    if (!(thrown instanceof RsError)) throw thrown;
    throw usageError(`Wrong ${what} ${quoteText(text)}: allowed is ${type.allowed}`);
  }
}
