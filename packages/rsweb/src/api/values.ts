// Reads the parameters of a GET from its query, by the shapes of the parameters. Pure. Invariant: a text that does not fit is passed on as it
// is, so that the check of parameters, which the daemons also make, refuses it with the name of the parameter and what is allowed.

import type { Params } from '@rsio/api/views/command-text';
import type { Shape } from '@rsio/base/lib/shape';

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

function valueOf({ form }: Shape, texts: readonly string[]): unknown {
  const [only = '', ...more] = texts;
  switch (form.kind) {
    case 'list':
      return texts.map((one) => valueOf(form.of, [one]));
    case 'or-null':
      return only === '' && more.length === 0 ? null : valueOf(form.of, texts);
    case 'optional':
    case 'checked':
      return valueOf(form.of, texts);
    case 'text':
    case 'word':
      return more.length === 0 ? only : texts;
    case 'number':
      return more.length === 0 && /^-?\d+(\.\d+)?$/.test(only) ? Number(only) : texts;
    case 'flag':
      return more.length === 0 && (only === 'true' || only === 'false') ? only === 'true' : texts;
    case 'record':
    case 'object':
    case 'map':
    case 'variants':
      return more.length === 0 ? parsedJson(only) : texts;
  }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
