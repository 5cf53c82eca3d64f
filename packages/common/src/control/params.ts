// The parameters of a request, checked against the table in methods.ts. What a key may be left out for is said there.
// Invariant: a handler only ever sees parameters of the declared shape, without unknown keys.

import { RsError } from '../lib/errors.ts';
import { CONTROL_METHODS, type ControlMethodName, type ControlMethods, type Param } from './methods.ts';
import { misfit } from './shape.ts';

/** The parameters of one request, complete. Throws E_USAGE naming the method, the key and what is allowed. */
export function controlParams<M extends ControlMethodName>(method: M, given: unknown): ControlMethods[M]['params'] {
  const params: Readonly<Record<string, Param>> = CONTROL_METHODS[method].params;
  const values = given === undefined ? {} : given;
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new RsError('E_USAGE', `Parameters of ${method} are no object: give {"name": value, ...}`, { method });
  }
  const unknown = Object.keys(values).find((key) => !Object.hasOwn(params, key));
  if (unknown !== undefined) {
    const known = Object.keys(params).join(', ') || 'none';
    throw new RsError('E_USAGE', `Unknown parameter ${unknown} of ${method}: known are ${known}`, { method, unknown });
  }
  const checked = Object.entries(params).map(([key, param]) => [
    key,
    paramValue(method, key, param, (values as Record<string, unknown>)[key]),
  ]);
  return Object.fromEntries(checked) as ControlMethods[M]['params'];
}

function paramValue(method: string, key: string, param: Param, value: unknown): unknown {
  if (value === undefined && param.default !== undefined) return param.default;
  if (misfit(param.shape, value, 'exactly') !== null)
    throw new RsError('E_USAGE', `Parameter ${key} of ${method} is wrong: give ${param.what}`, { method, parameter: key });
  return value;
}
