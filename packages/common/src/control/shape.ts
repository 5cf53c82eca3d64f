// A shape describes the form of a value, such as an answer on the control socket or the output of rsconfig --json. The TypeScript types,
// the check of an answer (`misfit`) and the JSON schemas in docs/json are derived from shapes. Invariant: the check accepts unknown fields
// and words, which a later release may have added, but no other deviation.

export interface Shape<T = unknown> {
  readonly form: Form;
  /** Description that the JSON schema shows. */
  readonly help: string | null;
  /** Never set. The field exists only so that the interface uses its type parameter T. */
  readonly carries?: T;
}

export type Form =
  | { readonly kind: 'text'; readonly isFilled: boolean }
  /** The value is one of these words; a later release may add words. */
  | { readonly kind: 'word'; readonly words: readonly string[] }
  | { readonly kind: 'number'; readonly isWhole: boolean; readonly min: number | null; readonly max: number | null }
  | { readonly kind: 'flag' }
  | { readonly kind: 'or-null'; readonly of: Shape }
  | { readonly kind: 'list'; readonly of: Shape }
  /** An object whose fields another table describes. */
  | { readonly kind: 'record' }
  | { readonly kind: 'object'; readonly fields: Fields };

export type Fields = Readonly<Record<string, Shape>>;

export type Of<S> = S extends Shape<infer T> ? T : never;

export type ValuesOf<F extends Fields> = { readonly [K in keyof F]: Of<F[K]> };

export function text(help: string | null = null): Shape<string> {
  return { form: { kind: 'text', isFilled: false }, help };
}

/** Non-empty text. */
export function filledText(help: string | null = null): Shape<string> {
  return { form: { kind: 'text', isFilled: true }, help };
}

export function word<const W extends string>(words: readonly W[], help: string | null = null): Shape<W> {
  return { form: { kind: 'word', words }, help };
}

/** Shape of a whole number that is at least 0. */
export function count(help: string | null = null): Shape<number> {
  return whole(0, null, help);
}

export function whole(min: number | null, max: number | null, help: string | null = null): Shape<number> {
  return { form: { kind: 'number', isWhole: true, min, max }, help };
}

export function number(help: string | null = null): Shape<number> {
  return { form: { kind: 'number', isWhole: false, min: null, max: null }, help };
}

/** Shape of a number that need not be whole. */
export function within(min: number, max: number): Shape<number> {
  return { form: { kind: 'number', isWhole: false, min, max }, help: null };
}

export function flag(help: string | null = null): Shape<boolean> {
  return { form: { kind: 'flag' }, help };
}

export function orNull<T>(of: Shape<T>, help: string | null = null): Shape<T | null> {
  return { form: { kind: 'or-null', of }, help: help ?? of.help };
}

export function list<T>(of: Shape<T>, help: string | null = null): Shape<readonly T[]> {
  return { form: { kind: 'list', of }, help };
}

export function record(help: string | null = null): Shape<Readonly<Record<string, unknown>>> {
  return { form: { kind: 'record' }, help };
}

export function object<const F extends Fields>(fields: F, help: string | null = null): ObjectShape<F> {
  return { form: { kind: 'object', fields }, help };
}

export interface ObjectShape<F extends Fields> extends Shape<ValuesOf<F>> {
  readonly form: { readonly kind: 'object'; readonly fields: F };
}

/**
 * Returns how `value` differs from the shape, for example `paths[2].state is not text`; null if there is no difference. Accepts unknown
 * fields and words unless `strictness` is `exactly`.
 */
export function misfit(shape: Shape, value: unknown, strictness: 'open' | 'exactly' = 'open', place = ''): string | null {
  const { form } = shape;
  switch (form.kind) {
    case 'text':
      return typeof value === 'string' && (!form.isFilled || value !== '') ? null : wrong(place, form.isFilled ? 'a text' : 'text');
    case 'word':
      if (typeof value !== 'string') return wrong(place, 'text');
      return strictness === 'open' || form.words.includes(value) ? null : wrong(place, `one of ${form.words.join(', ')}`);
    case 'number':
      return isNumber(value, form) ? null : wrong(place, rangeOf(form));
    case 'flag':
      return typeof value === 'boolean' ? null : wrong(place, 'true or false');
    case 'or-null':
      return value === null ? null : misfit(form.of, value, strictness, place);
    case 'list':
      return Array.isArray(value) ? firstMisfit(value, form.of, strictness, place) : wrong(place, 'a list');
    case 'record':
      return isRecord(value) ? null : wrong(place, 'an object');
    case 'object':
      return objectMisfit(form.fields, value, strictness, place);
  }
}

function isNumber(value: unknown, { isWhole, min, max }: Form & { kind: 'number' }): boolean {
  if (typeof value !== 'number' || !Number.isFinite(value) || (isWhole && !Number.isInteger(value))) return false;
  return (min === null || value >= min) && (max === null || value <= max);
}

function rangeOf({ isWhole, min, max }: Form & { kind: 'number' }): string {
  const range = `${min === null ? '' : ` from ${min}`}${max === null ? '' : ` to ${max}`}`;
  return `${isWhole ? 'a whole number' : 'a number'}${range}`;
}

function firstMisfit(values: readonly unknown[], of: Shape, strictness: 'open' | 'exactly', place: string): string | null {
  for (const [index, value] of values.entries()) {
    const found = misfit(of, value, strictness, `${place}[${index}]`);
    if (found !== null) return found;
  }
  return null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectMisfit(fields: Fields, value: unknown, strictness: 'open' | 'exactly', place: string): string | null {
  if (!isRecord(value)) return wrong(place, 'an object');
  for (const [name, shape] of Object.entries(fields)) {
    const inside = place === '' ? name : `${place}.${name}`;
    if (!Object.hasOwn(value, name)) return `${inside} is missing`;
    const found = misfit(shape, value[name], strictness, inside);
    if (found !== null) return found;
  }
  const stray = strictness === 'open' ? undefined : Object.keys(value).find((name) => !Object.hasOwn(fields, name));
  return stray === undefined ? null : `${place === '' ? stray : `${place}.${stray}`} is not known`;
}

function wrong(place: string, what: string): string {
  return `${place === '' ? 'it' : place} is not ${what}`;
}
