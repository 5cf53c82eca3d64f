// A guard checks a value of unknown origin. A guard returns the checked value, or throws E_PROTOCOL with the field's name and the required
// form. messages.ts declares each message with its fields. Invariants: the result is bounded, has no control characters, and shares no
// memory with the received object or the receive buffer. An error never repeats received data.

import { type Address, toAddress } from '@rsio/base/lib/address';
import { RsError } from '@rsio/base/lib/errors';
import { NAME_MAX_BYTES, UNIVERSE_MAX } from '@rsio/base/lib/limits';
import { checked, type Shape } from '@rsio/base/lib/shape';
import { isSnapshotName } from '@rsio/base/lib/units';
import { isSnapshot, servedNameParts } from '@rsio/base/lib/volume-name';
import { FEATURE_NAME_MAX_CHARS, INSTANCE_MAX, MIRROR_ID_CHARS, SHORT_TEXT_MAX_CHARS, TERM_NUMBER_MAX, TOKEN_MAX_CHARS } from './limits.ts';

/** `field` names the value in an error, for example `HELLO: field node`. */
export type Guard<T> = (value: unknown, field: string) => T;

export type Guarded<G> = G extends Guard<infer T> ? T : never;

export type Schema = Readonly<Record<string, Guard<unknown>>>;

type Missing<S extends Schema> = { [K in keyof S]: undefined extends Guarded<S[K]> ? K : never }[keyof S];

/** The object whose fields the guards of a schema check. A field whose guard accepts undefined may be missing. */
export type FieldsOf<S extends Schema> = { readonly [K in Exclude<keyof S, Missing<S>>]: Guarded<S[K]> } & {
  readonly [K in Missing<S>]?: Guarded<S[K]>;
};

/**
 * True if the guard accepts the value. Used for values that are not from a peer, for example from a state file, so that sending them later
 * cannot fail.
 */
export function passes<T>(guard: Guard<T>, value: unknown): value is T {
  try {
    return Object.is(guard(value, ''), value);
  } catch {
    return false;
  }
}

/** Returns the shape `of`, restricted to the values that the guard accepts. `what`: noun for the error, such as `a token`. */
export function guarded<U>(of: Shape, guard: Guard<U>, what: string): Shape<U> {
  return checked<unknown>(of, (value) => (passes(guard, value) ? null : `is not ${what}`)) as Shape<U>;
}

function wrong(field: string, expected: string): never {
  throw new RsError('E_PROTOCOL', `${field} must be ${expected}`);
}

export function integer(min: number, max: number): Guard<number> {
  return (value, field) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      return wrong(field, `a whole number from ${min} to ${max}`);
    }
    // Turns minus zero into zero.
    return value + 0;
  };
}

export const counter = integer(0, Number.MAX_SAFE_INTEGER);

/** Number of times that a client has been started. */
export const clientInstance = integer(0, INSTANCE_MAX);

/** A time or an age in ms; may have a fraction. */
export const milliseconds: Guard<number> = (value, field) => {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > Number.MAX_SAFE_INTEGER) {
    return wrong(field, 'a number of milliseconds that is not negative');
  }
  return value + 0;
};

export const flag: Guard<boolean> = (value, field) => (typeof value === 'boolean' ? value : wrong(field, 'true or false'));

export function oneOf<T extends number>(...choices: readonly T[]): Guard<T> {
  return (value, field) => choices.find((choice) => choice === value) ?? wrong(field, choices.join(' or '));
}

export function bytesOf(lengthBytes: number): Guard<Buffer> {
  return (value, field) =>
    value instanceof Uint8Array && value.length === lengthBytes ? Buffer.from(value) : wrong(field, `${lengthBytes} bytes`);
}

export function bytesUpTo(maxBytes: number): Guard<Buffer> {
  return (value, field) =>
    value instanceof Uint8Array && value.length <= maxBytes ? Buffer.from(value) : wrong(field, `at most ${maxBytes} bytes`);
}

export function orNull<T>(guard: Guard<T>): Guard<T | null> {
  return (value, field) => (value === null ? null : guard(value, field));
}

/** A field that peers of the first builds do not send. If the field is missing, its value is `otherwise`. */
export function addedLater<T>(guard: Guard<T>, otherwise: T): Guard<T> {
  return (value, field) => (value === undefined ? otherwise : guard(value, field));
}

/** A flag that peers of the first builds do not send. Only a set flag is sent. */
export const setFlag: Guard<boolean | undefined> = (value, field) => {
  if (value === undefined || typeof value === 'boolean') return value === true ? true : undefined;
  return wrong(field, 'true or false');
};

/** A number from 0 to `max` that peers of the first builds do not send. A missing number stands for 0, and 0 is not sent. */
export function positiveNumber(max: number): Guard<number | undefined> {
  const bounded = integer(0, max);
  return (value, field) => (value === undefined ? undefined : bounded(value, field) || undefined);
}

export function matching(pattern: RegExp, maxChars: number, expected: string, minChars = 0): Guard<string> {
  return (value, field) => {
    const isRight = typeof value === 'string' && value.length >= minChars && value.length <= maxChars && pattern.test(value);
    return isRight ? value : wrong(field, expected);
  };
}

const nameForm = matching(
  /^[A-Za-z0-9_.-]+$/,
  NAME_MAX_BYTES,
  `a name of 1 to ${NAME_MAX_BYTES} characters out of A-Z a-z 0-9 _ . -, but not . or ..`,
);

/** Names of nodes, servers, interfaces and volumes. */
export const name: Guard<string> = (value, field) => (value === '.' || value === '..' ? nameForm('', field) : nameForm(value, field));

/** The name of a volume, or `NAME@SNAPSHOT`. The name of a snapshot is not all digits and does not begin with a dot. */
export const servedName: Guard<string> = (value, field) => {
  if (typeof value !== 'string' || !isSnapshot(value)) return name(value, field);
  const { volume, snapshot } = servedNameParts(value);
  name(volume, field);
  return isSnapshotName(snapshot ?? '') ? value : wrong(field, 'the name of a volume, or of a snapshot as NAME@SNAPSHOT');
};

/** Printable ASCII without blanks. */
export function tokenUpTo(maxChars: number): Guard<string> {
  return matching(/^[!-~]+$/, maxChars, `1 to ${maxChars} printable characters without blanks`);
}

/** An id or a part of a verifier. */
export const token = tokenUpTo(TOKEN_MAX_CHARS);

export const featureName = matching(/^[a-z0-9-]+$/, FEATURE_NAME_MAX_CHARS, `a feature name of 1 to ${FEATURE_NAME_MAX_CHARS} characters`);

export const errorCode = matching(/^[A-Z][A-Z0-9_]*$/, SHORT_TEXT_MAX_CHARS, 'an error code');

export const listenerInstance = matching(/^[0-9a-f]{32}$/, 32, '32 hexadecimal digits');

/** The id of a mirror, the id of a voter, or the identity of a replica's data. */
export const mirrorId = matching(/^[0-9a-f]+$/, MIRROR_ID_CHARS, `${MIRROR_ID_CHARS} hexadecimal digits`, MIRROR_ID_CHARS);

export const termNumber = integer(1, TERM_NUMBER_MAX);

export const universe = integer(0, UNIVERSE_MAX);

/**
 * An IPv4 address, or an IPv6 address without a zone, because a zone has no meaning on another machine. Returns the canonical form, so that
 * a peer that writes an address in another way names no second address.
 */
export const ipAddress: Guard<Address> = (value, field) => {
  const address = typeof value !== 'string' || value.length > SHORT_TEXT_MAX_CHARS ? null : toAddress(value);
  return address ?? wrong(field, 'an IP address');
};

const PLAIN = /^[ -~]*$/;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu;

/**
 * Makes text from a peer safe for screens and logs. The result is one line of at most `maxChars`, without control characters and direction
 * marks.
 */
export function cleanText(text: string, maxChars: number): string {
  const cut = text.slice(0, maxChars);
  // Test for plain ASCII first, because the Unicode classes cost far more than all other guards of a message together.
  return (PLAIN.test(cut) ? cut : cut.replace(UNPRINTABLE, ' ')).trim();
}

/** Text for people. A string from a peer is cleaned and cut, but never refused, because an odd message is better than none. */
export function text(maxChars: number): Guard<string> {
  return (value, field) => (typeof value === 'string' ? cleanText(value, maxChars) : wrong(field, 'text'));
}

export function listOf<T>(guard: Guard<T>, min: number, max: number, expected: string): Guard<readonly T[]> {
  return (value, field) => {
    if (!Array.isArray(value) || value.length < min || value.length > max) return wrong(field, `a list of ${min} to ${max} ${expected}`);
    return value.map((item: unknown, index) => guard(item, `${field}[${index}]`));
  };
}

/** Cuts a list to its first `max` items. */
export function firstOf<T>(guard: Guard<T>, max: number, expected: string): Guard<readonly T[]> {
  const bounded = listOf(guard, 0, max, expected);
  return (value, field) => bounded(Array.isArray(value) ? value.slice(0, max) : value, field);
}

/**
 * Takes a decoded map, or a message to encode. Returns an object that has the fields of `schema`, in the order of `schema`. Unknown fields,
 * which a newer peer may send, are omitted.
 */
export function record<const S extends Schema>(schema: S, separator = '.'): Guard<FieldsOf<S>> {
  const fields = Object.entries<Guard<unknown>>(schema).map(([key, guard]) => ({ key, guard, suffix: `${separator}${key}` }));
  return (value, field) => {
    if (typeof value !== 'object' || value === null) return wrong(field, 'a map');
    const map = value instanceof Map ? value : null;
    const rebuilt: Record<string, unknown> = {};
    for (const { key, guard, suffix } of fields) {
      const given: unknown = map === null ? (value as Record<string, unknown>)[key] : map.get(key);
      const checked = guard(given, field + suffix);
      if (checked !== undefined) rebuilt[key] = checked;
    }
    return rebuilt as FieldsOf<S>;
  };
}

function unknown(field: string): never {
  throw new RsError('E_PROTOCOL', `${field} is not known`);
}

/** One of these words. */
export function word<const W extends string>(...words: readonly W[]): Guard<W> {
  return (value, field) => words.find((one) => one === value) ?? unknown(field);
}

/** A table of kinds: the fields of each kind of object, or the guard of all its fields. */
type KindTable = Readonly<Record<string, Schema | Guard<object>>>;

/** The objects of the kinds of a table; the field `K` of an object is its kind. */
export type KindsOf<K extends string, T extends KindTable> = {
  [W in keyof T & string]: { readonly [k in K]: W } & (T[W] extends Guard<infer O> ? O : T[W] extends Schema ? FieldsOf<T[W]> : never);
}[keyof T & string];

/** Takes an object of one of several kinds. `key` is the name of the field that holds the kind. */
export function kinds<const K extends string, const T extends KindTable>(key: K, table: T): Guard<KindsOf<K, T>> {
  const all = new Map(Object.entries(table).map(([kind, of]) => [kind, typeof of === 'function' ? of : record(of)]));
  return (value, field) => {
    if (typeof value !== 'object' || value === null) return unknown(field);
    const kind = (value as Readonly<Record<string, unknown>>)[key];
    const guard = typeof kind === 'string' ? all.get(kind) : undefined;
    if (guard === undefined) return unknown(`${field}.${key}`);
    return { [key]: kind, ...guard(value, `${field} ${String(kind)}`) } as KindsOf<K, T>;
  };
}
