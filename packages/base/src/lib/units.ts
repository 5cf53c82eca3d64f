// Parses and prints sizes, durations, names and addresses as people write them. Sizes are converted to bytes, and durations to
// milliseconds. The functions are pure. The parsers check only the form of a text; the callers check the range of the value. If the text is
// wrong, a parser throws E_USAGE, and `context.allowed` says what is allowed. Invariant: parse(print(value)) === value.

import { isIP } from 'node:net';
import { type Address, isMapped, MAPPED_BITS, toAddress } from './address.ts';
import { NAME_MAX_BYTES, PORT_MAX } from './limits.ts';
import { RsError } from './errors.ts';
import { escapeControls } from './printable.ts';

const QUOTED_MAX_CHARS = 60;

const SIZE_UNITS = [
  ['p', 1024 ** 5],
  ['t', 1024 ** 4],
  ['g', 1024 ** 3],
  ['m', 1024 ** 2],
  ['k', 1024],
] as const;

const DURATION_UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

const NAME = new RegExp(`^[A-Za-z0-9_.-]{1,${NAME_MAX_BYTES}}$`);

/** Maximum length of an exact size that is printed for people. A size whose exact text is longer is rounded. */
const EXACT_SIZE_MAX_CHARS = 5;
export const SIZE_ALLOWED = 'a whole number of bytes, or a whole number with the unit k, m, g, t or p (powers of 1024)';
export const DURATION_ALLOWED = 'a whole number with the unit ms, s, m or h, such as 200ms or 3s';
/** Lists of names use these words for all or no names, so that nothing new gets one of them as its name, however it is written. */
const RESERVED = new Set(['all', 'none', 'yes', 'no']);
export const NAME_ALLOWED = `1 to ${NAME_MAX_BYTES} of the characters A-Z a-z 0-9 _ . - (but not ".", "..", all, none, yes or no)`;
export const SNAPSHOT_NAME_ALLOWED = `1 to ${NAME_MAX_BYTES} of the characters A-Z a-z 0-9 _ . -, not beginning with a dot and not only digits`;
export const ADDRESS_ALLOWED = 'an IPv4 address, or an IPv6 address without a zone';
export const PREFIX_ALLOWED = 'optionally followed by /LENGTH (IPv4: 0 to 32, IPv6: 0 to 128)';
export const PREFIXED_ADDRESS_ALLOWED = `${ADDRESS_ALLOWED}, ${PREFIX_ALLOWED}`;
export const ENDPOINT_ALLOWED = `ADDRESS or ADDRESS:PORT (IPv4, or IPv6 in brackets if a port follows; port 1 to ${PORT_MAX})`;

/** Throws E_USAGE. The parameter `text` is null if the wrong text is a secret. */
export function refuse(what: string, text: string | null, allowed: string): never {
  const shown = text === null ? '' : ` ${quoteText(text)}`;
  throw new RsError('E_USAGE', `Wrong ${what}${shown}: allowed is ${allowed}`, { allowed });
}

/** Prepares untrusted text for a message: cuts the text to QUOTED_MAX_CHARS, adds quotes and escapes control characters. */
export function quoteText(text: string): string {
  // JSON.stringify does not escape control characters from U+0080 to U+009F, or the marks that change the direction of text.
  return escapeControls(JSON.stringify(text.length > QUOTED_MAX_CHARS ? `${text.slice(0, QUOTED_MAX_CHARS)}...` : text));
}

/** Parses a decimal whole number without a sign. Returns undefined for any other text, and for numbers of 2^53 or more. */
export function parseWhole(text: string): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Parses a size such as `15g` into bytes. The unit (k, m, g, t or p, in upper or lower case) is optional. Throws E_USAGE. */
export function parseSize(text: string): number {
  const match = /^(\d+)([kmgtp]?)$/i.exec(text);
  const count = parseWhole(match?.[1] ?? '');
  if (match === null || count === undefined) refuse('size', text, SIZE_ALLOWED);
  const unit = SIZE_UNITS.find(([name]) => name === match[2]?.toLowerCase());
  const sizeBytes = count * (unit?.[1] ?? 1);
  if (!Number.isSafeInteger(sizeBytes)) refuse('size', text, `${SIZE_ALLOWED}, below 8p`);
  return sizeBytes;
}

/** Prints a size in bytes as the shortest exact text, such as `15g`. */
export function printSize(sizeBytes: number): string {
  const unit = sizeBytes === 0 ? undefined : SIZE_UNITS.find(([, factor]) => sizeBytes % factor === 0);
  return unit === undefined ? String(sizeBytes) : `${sizeBytes / unit[1]}${unit[0]}`;
}

/**
 * Prints a size in bytes for people. If the exact text is short, prints the exact size, otherwise a size with one decimal, such as `8.5g`.
 */
export function printRoundedSize(sizeBytes: number): string {
  const exact = printSize(sizeBytes);
  const unit = SIZE_UNITS.filter(([, factor]) => factor <= sizeBytes).toSorted(([, one], [, other]) => other - one)[0];
  return exact.length <= EXACT_SIZE_MAX_CHARS || unit === undefined ? exact : `${(sizeBytes / unit[1]).toFixed(1)}${unit[0]}`;
}

/** Parses a duration such as `200ms`, `3s`, `10m` or `1h` into ms. The unit is required. Throws E_USAGE. */
export function parseDuration(text: string): number {
  const match = /^(\d+)(ms|s|m|h)$/.exec(text);
  const count = parseWhole(match?.[1] ?? '');
  const unit = DURATION_UNITS.find(([name]) => name === match?.[2]);
  if (count === undefined || unit === undefined) refuse('duration', text, DURATION_ALLOWED);
  const durationMs = count * unit[1];
  if (!Number.isSafeInteger(durationMs)) refuse('duration', text, DURATION_ALLOWED);
  return durationMs;
}

/** Prints a duration in whole ms as the shortest exact text, such as `10m`. */
export function printDuration(durationMs: number): string {
  const unit = durationMs === 0 ? undefined : DURATION_UNITS.find(([, factor]) => durationMs % factor === 0);
  return unit === undefined ? `${durationMs}ms` : `${durationMs / unit[1]}${unit[0]}`;
}

/** True for a name that may be given to something new, or that stands in a configuration. */
export function isName(text: string): boolean {
  return isStoredName(text) && !RESERVED.has(text.toLowerCase());
}

/** True also for the name of a volume that an earlier release made, such as `all`, so that it can be used and renamed. */
export function isStoredName(text: string): boolean {
  return NAME.test(text) && text !== '.' && text !== '..';
}

/**
 * True if the text is a valid name of a snapshot. The name must not consist of digits alone, because NAME@1 names a universe. The name must
 * not begin with a dot, because a leading dot marks unfinished files in the folder of snapshots.
 */
export function isSnapshotName(text: string): boolean {
  return NAME.test(text) && !text.startsWith('.') && !/^\d+$/.test(text);
}

/** Returns the name if it is valid, else throws E_USAGE. The parameter `what` names the expected kind of name in the error message. */
export function parseName(text: string, what = 'name'): string {
  return isName(text) ? text : refuse(what, text, NAME_ALLOWED);
}

/** Returns the IP address in its canonical form. Removes the brackets that may surround an IPv6 address. Throws E_USAGE. */
export function parseAddress(text: string): Address {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  const address = toAddress(bare);
  if (address === null || (isIP(bare) === 4 && bare !== text)) refuse('address', text, ADDRESS_ALLOWED);
  return address;
}

export interface PrefixedAddress {
  readonly address: Address;
  readonly prefixLength: number | null;
}

/** Parses `A` or `A/LEN`. Throws E_USAGE. */
export function parsePrefixedAddress(text: string): PrefixedAddress {
  const slash = text.indexOf('/');
  const address = accepted(() => parseAddress(slash < 0 ? text : text.slice(0, slash)));
  if (address === undefined) refuse('address', text, PREFIXED_ADDRESS_ALLOWED);
  if (slash < 0) return { address, prefixLength: null };
  const given = parseWhole(text.slice(slash + 1));
  // The length of an IPv4 address that is written as IPv6 counts the bits before it too.
  const prefixLength = given === undefined ? -1 : given - (isMapped(text.slice(0, slash).replace(/^\[(.*)\]$/, '$1')) ? MAPPED_BITS : 0);
  const longest = isIP(address) === 4 ? 32 : 128;
  if (prefixLength < 0 || prefixLength > longest) refuse('address', text, PREFIXED_ADDRESS_ALLOWED);
  return { address, prefixLength };
}

export interface Endpoint {
  readonly address: Address;
  readonly port: number | null;
}

/** Parses `ADDRESS` or `ADDRESS:PORT`. If a port follows, an IPv6 address must be in brackets. Throws E_USAGE. */
export function parseEndpoint(text: string): Endpoint {
  const whole = accepted(() => parseAddress(text));
  if (whole !== undefined) return { address: whole, port: null };
  const match = /^(\[.*\]|[^:]*):(\d{1,5})$/.exec(text);
  const address = accepted(() => parseAddress(match?.[1] ?? ''));
  const port = Number(match?.[2]);
  if (address === undefined || !(port >= 1 && port <= PORT_MAX)) refuse('end point', text, ENDPOINT_ALLOWED);
  return { address, port };
}

/** Prints `ADDRESS:PORT`, with brackets around an IPv6 address. If `port` is null, prints only the address. */
export function printEndpoint(address: string, port: number | null): string {
  if (port === null) return address;
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

function accepted<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (thrown) {
    if (thrown instanceof RsError) return undefined;
    throw thrown;
  }
}

/** Returns a count with its noun: `1 volume`, `2 volumes`, `3 addresses`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

const SHOWN_UNITS = ['', 'K', 'M', 'G', 'T', 'P'] as const;

/** Prints a size with one decimal and a unit, such as `20.0G`; `-` if the size is null. */
export function shownSize(bytes: number | null): string {
  if (bytes === null) return '-';
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < SHOWN_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? String(value) : `${value.toFixed(1)}${SHOWN_UNITS[unit] ?? ''}`;
}
