// Guards of the control methods' parameters: the table beside methods.ts. What a key may be left out for is said here, too.
// Invariant: a handler only ever sees parameters of the declared shape, without unknown keys.

import { RsError } from '../lib/errors.ts';
import { EVENTS_KEPT } from '../limits.ts';
import type { ControlMethodName, ControlMethods } from './methods.ts';

interface Field<T> {
  readonly accepts: (value: unknown) => value is T;
  readonly what: string;
  /** What a missing key stands for; without it the key is required. */
  readonly default?: T;
}

type Fields<P> = { readonly [K in keyof P]: Field<P[K]> };

const flag: Field<boolean> = { accepts: (value) => typeof value === 'boolean', what: 'true or false', default: false };
const names: Field<readonly string[]> = {
  accepts: (value): value is readonly string[] => Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== ''),
  what: 'a list of names',
};
const nameOrNull: Field<string | null> = {
  accepts: (value): value is string | null => value === null || (typeof value === 'string' && value !== ''),
  what: 'a name or null',
  default: null,
};
const eventCount: Field<number> = {
  accepts: (value): value is number => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= EVENTS_KEPT,
  what: `a whole number from 1 to ${EVENTS_KEPT}`,
  default: EVENTS_KEPT,
};

const PARAMS: { readonly [M in ControlMethodName]: Fields<ControlMethods[M]['params']> } = {
  daemon: {},
  query: { refresh: flag },
  local: {},
  attach: { names, readOnly: flag, server: nameOrNull },
  detach: { names, force: flag },
  status: {},
  stats: {},
  events: { count: eventCount },
  reload: {},
  probe: { interface: nameOrNull, remote: nameOrNull },
};

export function isControlMethod(name: unknown): name is ControlMethodName {
  return typeof name === 'string' && Object.hasOwn(PARAMS, name);
}

/** The parameters of one request, complete. Throws E_USAGE naming the method, the key and what is allowed. */
export function controlParams<M extends ControlMethodName>(method: M, given: unknown): ControlMethods[M]['params'] {
  const fields = PARAMS[method] as Readonly<Record<string, Field<unknown>>>;
  const values = given === undefined ? {} : given;
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new RsError('E_USAGE', `Parameters of ${method} are no object: give {"name": value, ...}`, { method });
  }
  const unknown = Object.keys(values).find((key) => !Object.hasOwn(fields, key));
  if (unknown !== undefined) {
    const known = Object.keys(fields).join(', ') || 'none';
    throw new RsError('E_USAGE', `Unknown parameter ${unknown} of ${method}: known are ${known}`, { method, parameter: unknown });
  }
  const params = Object.entries(fields).map(([key, field]) => [
    key,
    fieldValue(method, key, field, (values as Record<string, unknown>)[key]),
  ]);
  return Object.fromEntries(params) as ControlMethods[M]['params'];
}

function fieldValue(method: string, key: string, field: Field<unknown>, value: unknown): unknown {
  if (value === undefined && field.default !== undefined) return field.default;
  if (!field.accepts(value))
    throw new RsError('E_USAGE', `Parameter ${key} of ${method} is wrong: give ${field.what}`, { method, parameter: key });
  return value;
}
