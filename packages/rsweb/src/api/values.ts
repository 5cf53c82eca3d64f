// Reads the parameters of a GET from its query, by the shapes of the parameters. Pure. Invariant: a text that does not fit is passed on as it
// is, so that the check of parameters, which the daemons also make, refuses it with the name of the parameter and what is allowed.

import type { Params } from '@rsio/api/views/command-text';
import { valueOf } from '@rsio/api/views/operation-form';

/**
 * Returns the given parameters. A list is given by repeating its parameter, an object as JSON, and null as the empty text. Parameters that
 * the method does not have are returned as texts.
 */
export function queryValues(query: URLSearchParams, params: Params): Readonly<Record<string, unknown>> {
  const names = [...new Set(query.keys())];
  return Object.fromEntries(
    names.map((name) => {
      const param = Object.hasOwn(params, name) ? params[name] : undefined;
      const texts = query.getAll(name);
      return [name, param === undefined ? texts : valueOf(param.shape, texts)];
    }),
  );
}
