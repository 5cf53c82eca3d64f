// A shape describes the form of a value: an answer on the control socket, the output of rsconfig --json, or the content of a state file.
// The TypeScript types, the check of a value (`misfit`) and the JSON schemas (dist/docs/json) are derived from shapes. Invariant: the check
// accepts no deviation from the shape except those that its `Strictness` lists.

import { escapeControls } from './printable.ts';

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
  | { readonly kind: 'object'; readonly fields: Fields }
  /** A field that may be missing. */
  | { readonly kind: 'optional'; readonly of: Shape }
  /** An object whose keys are data, such as ids. */
  | { readonly kind: 'map'; readonly of: Shape }
  /** An object of one of several kinds. `by` is the name of the field that holds the kind. The kind determines the other fields. */
  | { readonly kind: 'variants'; readonly by: string; readonly kinds: Readonly<Record<string, Fields>> }
  /** A value of the shape `of` for which `check` returns null. For other values, `check` returns a text such as `is not a UUID`. */
  | { readonly kind: 'checked'; readonly of: Shape; readonly check: (value: never) => string | null };

export type Fields = Readonly<Record<string, Shape>>;

/**
 * Which deviations from the shape the check accepts. `open`: unknown fields and words are accepted, because a later release may have sent
 * the value. `stored`: unknown fields are accepted, because a later release may have written the file. `exactly`: no deviation is accepted.
 */
export type Strictness = 'open' | 'stored' | 'exactly';

export type Of<S> = S extends Shape<infer T> ? T : never;

export interface Optional<T> extends Shape<T> {
  readonly form: { readonly kind: 'optional'; readonly of: Shape<T> };
}

type OptionalKeys<F extends Fields> = { [K in keyof F]: F[K] extends Optional<unknown> ? K : never }[keyof F];

export type ValuesOf<F extends Fields> = { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: Of<F[K]> } & {
  readonly [K in OptionalKeys<F>]?: Of<F[K]>;
};

type VariantsOf<B extends string, V extends Readonly<Record<string, Fields>>> = {
  [K in keyof V & string]: { readonly [field in B]: K } & ValuesOf<V[K]>;
}[keyof V & string];

export function text(help: string | null = null): Shape<string> {
  return { form: { kind: 'text', isFilled: false }, help };
}

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

/** Shape of a whole number that a double represents exactly. */
export function integer(): Shape<number> {
  return whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
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

export function optional<T>(of: Shape<T>): Optional<T> {
  return { form: { kind: 'optional', of }, help: null };
}

export function map<T>(of: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return { form: { kind: 'map', of }, help: null };
}

export function variants<const B extends string, const V extends Readonly<Record<string, Fields>>>(
  by: B,
  kinds: V,
): Shape<VariantsOf<B, V>> {
  return { form: { kind: 'variants', by, kinds }, help: null };
}

export function checked<T>(of: Shape<T>, check: (value: T) => string | null): Shape<T> {
  return { form: { kind: 'checked', of, check }, help: of.help };
}

/** Shape of a text for which `isValid` returns true. `what` names this kind of text, such as `a UUID`. */
export function textThat(isValid: (value: string) => boolean, what: string): Shape<string> {
  return checked(text(), (value) => (isValid(value) ? null : `is not ${what}`));
}

/** Shape of a number that is one of `numbers`. */
export function oneOf<const N extends number>(...numbers: readonly N[]): Shape<N> {
  const shape = checked(number(), (value) => (numbers.some((one) => one === value) ? null : `is not ${numbers.join(' or ')}`));
  return shape as Shape<N>;
}

export function atMost<T extends object>(max: number, of: Shape<T>): Shape<T> {
  return checked(of, (value) => (Object.keys(value).length <= max ? null : `has more than ${max} entries`));
}

export interface ObjectShape<F extends Fields> extends Shape<ValuesOf<F>> {
  readonly form: { readonly kind: 'object'; readonly fields: F };
}

/** Returns how `value` differs from the shape, for example `paths[2].state is not text`; null if there is no difference. */
export function misfit(shape: Shape, value: unknown, strictness: Strictness = 'open', place = ''): string | null {
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
      return Array.isArray(value)
        ? firstMisfit(value.entries(), form.of, strictness, (index) => `${place}[${index}]`)
        : wrong(place, 'a list');
    case 'record':
      return isRecord(value) ? null : wrong(place, 'an object');
    case 'object':
      return objectMisfit(form.fields, value, strictness, place);
    case 'optional':
      return misfit(form.of, value, strictness, place);
    case 'map':
      return isRecord(value)
        ? firstMisfit(Object.entries(value), form.of, strictness, (key) => inside(place, escapeControls(key)))
        : wrong(place, 'an object');
    case 'variants':
      return variantMisfit(form, value, strictness, place);
    case 'checked':
      return misfit(form.of, value, strictness, place) ?? about(place, form.check(value as never));
  }
}

/** Returns a copy of `value` without fields that are undefined or that the shape does not have. */
export function fieldsOf<F extends Fields>({ form }: ObjectShape<F>, value: ValuesOf<F>): ValuesOf<F> {
  const known = Object.entries(value).filter(([name, field]) => field !== undefined && Object.hasOwn(form.fields, name));
  return Object.fromEntries(known) as ValuesOf<F>;
}

/** Returns a guard for values of the shape. */
export function accepts<T>(shape: Shape<T>, strictness: Strictness = 'stored'): (value: unknown) => value is T {
  return (value): value is T => misfit(shape, value, strictness) === null;
}

function isNumber(value: unknown, { isWhole, min, max }: Form & { kind: 'number' }): boolean {
  if (typeof value !== 'number' || !Number.isFinite(value) || (isWhole && !Number.isInteger(value))) return false;
  return (min === null || value >= min) && (max === null || value <= max);
}

function rangeOf({ isWhole, min, max }: Form & { kind: 'number' }): string {
  const range = `${min === null ? '' : ` from ${min}`}${max === null ? '' : ` to ${max}`}`;
  return `${isWhole ? 'a whole number' : 'a number'}${range}`;
}

function firstMisfit<K>(
  entries: Iterable<readonly [K, unknown]>,
  of: Shape,
  strictness: Strictness,
  placeOf: (key: K) => string,
): string | null {
  for (const [key, value] of entries) {
    const found = misfit(of, value, strictness, placeOf(key));
    if (found !== null) return found;
  }
  return null;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectMisfit(fields: Fields, value: unknown, strictness: Strictness, place: string): string | null {
  if (!isRecord(value)) return wrong(place, 'an object');
  for (const [name, shape] of Object.entries(fields)) {
    if (shape.form.kind === 'optional' && value[name] === undefined) continue;
    if (!Object.hasOwn(value, name)) return `${inside(place, name)} is missing`;
    const found = misfit(shape, value[name], strictness, inside(place, name));
    if (found !== null) return found;
  }
  const stray = strictness === 'exactly' ? Object.keys(value).find((name) => !Object.hasOwn(fields, name)) : undefined;
  return stray === undefined ? null : `${inside(place, stray)} is not known`;
}

function variantMisfit({ by, kinds }: Form & { kind: 'variants' }, value: unknown, strictness: Strictness, place: string): string | null {
  if (!isRecord(value)) return wrong(place, 'an object');
  const kind = value[by];
  const fields = typeof kind === 'string' && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (fields === undefined) return wrong(inside(place, by), `one of ${Object.keys(kinds).join(', ')}`);
  return objectMisfit({ [by]: text(), ...fields }, value, strictness, place);
}

function inside(place: string, name: string): string {
  return place === '' ? name : `${place}.${name}`;
}

function wrong(place: string, what: string): string {
  return `${place === '' ? 'it' : place} is not ${what}`;
}

/**
 * Puts `place` in front of `said`, which is a text such as `is not a UUID`. Returns null if `said` is null, because the value then has the
 * shape.
 */
function about(place: string, said: string | null): string | null {
  return said === null ? null : `${place === '' ? 'it' : place} ${said}`;
}
