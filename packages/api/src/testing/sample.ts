// Makes a value of a shape, for tests that run over a whole table of methods. Invariant: `misfit` finds nothing in the value.

import { assert } from '@rsio/base/lib/assert';
import { misfit, type Shape } from '@rsio/base/lib/shape';

const TEXTS = ['text', '00000000-0000-4000-8000-000000000001'];

/** Returns a value with all optional fields, with one element in each list, and without null. */
export function sample(shape: Shape): unknown {
  const value = sampleOf(shape);
  assert(misfit(shape, value, 'exactly') === null, `No sample of the shape: ${misfit(shape, value, 'exactly')}`);
  return value;
}

function sampleOf({ form }: Shape): unknown {
  switch (form.kind) {
    case 'text':
      return TEXTS[0];
    case 'word':
      return form.words[0];
    case 'number':
      return Math.max(form.min ?? 0, Math.min(form.max ?? 4096, 4096));
    case 'flag':
      return true;
    case 'or-null':
    case 'optional':
      return sampleOf(form.of);
    case 'list':
      return [sampleOf(form.of)];
    case 'record':
    case 'map':
      return {};
    case 'object':
      return fields(form.fields);
    case 'variants': {
      const [kind = '', first = {}] = Object.entries(form.kinds)[0] ?? [];
      return { [form.by]: kind, ...fields(first) };
    }
    case 'checked': {
      const check = form.check as (value: unknown) => string | null;
      return [sampleOf(form.of), ...TEXTS, 512].find((value) => misfit(form.of, value, 'exactly') === null && check(value) === null);
    }
  }
}

function fields(shapes: Readonly<Record<string, Shape>>): object {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, sampleOf(shape)]));
}
