// Makes values of shapes, for requests and answers of fake daemons. Invariant: the value fits the shape unless a check of its own refuses it.

import type { Params } from '@rsio/api/views/command-text';
import type { Fields, Shape } from '@rsio/base/lib/shape';

export function sampleOf({ form }: Shape): unknown {
  switch (form.kind) {
    case 'text':
      return 'x';
    case 'word':
      return form.words[0];
    case 'number':
      return form.min ?? 1;
    case 'flag':
      return true;
    case 'or-null':
      return null;
    case 'list':
      return [sampleOf(form.of)];
    case 'optional':
    case 'checked':
      return sampleOf(form.of);
    case 'record':
    case 'map':
      return {};
    case 'object':
      return fieldsSample(form.fields);
    case 'variants': {
      const [kind = '', fields = {}] = Object.entries(form.kinds)[0] ?? [];
      return { [form.by]: kind, ...fieldsSample(fields) };
    }
  }
}

function fieldsSample(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, shape]) => [name, sampleOf(shape)]));
}

/** Returns the parameters that have no default. */
export function neededOf(params: Params): Record<string, unknown> {
  const needed = Object.entries(params).filter(([, param]) => param.default === undefined);
  return Object.fromEntries(needed.map(([name, { shape }]) => [name, sampleOf(shape)]));
}
