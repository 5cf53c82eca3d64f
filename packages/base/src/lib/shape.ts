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

/**
 * Returns how `value` differs from the shape, for example `paths[2].state is not text`; null if there is no difference. `place` is the place
 * of the value itself.
 */
export function misfit(shape: Shape, value: unknown, strictness: Strictness = 'open', place = ''): string | null {
  const found = faultIn(shape, value, strictness);
  if (found === null) return null;
  const where = place === '' && found.place.startsWith('.') ? found.place.slice(1) : place + found.place;
  return `${where === '' ? 'it' : where} ${found.said}`;
}

/** The first difference. It alone has a place, because a long answer has many values, and almost every one fits. */
interface Fault {
  /** Path from the value that was checked, for example `.paths[2].state`. */
  readonly place: string;
  /** For example `is not text`. */
  readonly said: string;
}

function faultIn(shape: Shape, value: unknown, strictness: Strictness): Fault | null {
  const { form } = shape;
  switch (form.kind) {
    case 'text':
      return typeof value === 'string' && (!form.isFilled || value !== '') ? null : wrong(form.isFilled ? 'a text' : 'text');
    case 'word':
      if (typeof value !== 'string') return wrong('text');
      return strictness === 'open' || form.words.includes(value) ? null : wrong(`one of ${form.words.join(', ')}`);
    case 'number':
      return isNumber(value, form) ? null : wrong(rangeOf(form));
    case 'flag':
      return typeof value === 'boolean' ? null : wrong('true or false');
    case 'or-null':
      return value === null ? null : faultIn(form.of, value, strictness);
    case 'list':
      return Array.isArray(value) ? faultInList(value, form.of, strictness) : wrong('a list');
    case 'record':
      return isRecord(value) ? null : wrong('an object');
    case 'object':
      return faultInObject(form.fields, value, strictness);
    case 'optional':
      return faultIn(form.of, value, strictness);
    case 'map':
      return faultInMap(form.of, value, strictness);
    case 'variants':
      return faultInVariant(form, value, strictness);
    case 'checked': {
      const found = faultIn(form.of, value, strictness);
      const said = found === null ? form.check(value as never) : null;
      return said === null ? found : { place: '', said };
    }
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

function faultInList(values: readonly unknown[], of: Shape, strictness: Strictness): Fault | null {
  for (const [index, value] of values.entries()) {
    const found = faultIn(of, value, strictness);
    if (found !== null) return below(`[${index}]`, found);
  }
  return null;
}

function faultInMap(of: Shape, value: unknown, strictness: Strictness): Fault | null {
  if (!isRecord(value)) return wrong('an object');
  for (const key of Object.keys(value)) {
    const found = faultIn(of, value[key], strictness);
    if (found !== null) return below(`.${escapeControls(key)}`, found);
  }
  return null;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function faultInObject(fields: Fields, value: unknown, strictness: Strictness): Fault | null {
  if (!isRecord(value)) return wrong('an object');
  for (const name of Object.keys(fields)) {
    const shape = fields[name]!;
    const part = value[name];
    if (part === undefined && shape.form.kind === 'optional') continue;
    if (part === undefined && !Object.hasOwn(value, name)) return { place: `.${name}`, said: 'is missing' };
    const found = faultIn(shape, part, strictness);
    if (found !== null) return below(`.${name}`, found);
  }
  const stray = strictness === 'exactly' ? Object.keys(value).find((name) => !Object.hasOwn(fields, name)) : undefined;
  return stray === undefined ? null : { place: `.${stray}`, said: 'is not known' };
}

function faultInVariant({ by, kinds }: Form & { kind: 'variants' }, value: unknown, strictness: Strictness): Fault | null {
  if (!isRecord(value)) return wrong('an object');
  const kind = value[by];
  const fields = typeof kind === 'string' && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (fields === undefined) return below(`.${by}`, wrong(`one of ${Object.keys(kinds).join(', ')}`));
  return faultInObject({ [by]: text(), ...fields }, value, strictness);
}

function wrong(what: string): Fault {
  return { place: '', said: `is not ${what}` };
}

function below(step: string, { place, said }: Fault): Fault {
  return { place: step + place, said };
}
