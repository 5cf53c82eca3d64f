// Types of the entries in the table of sections and keys, and functions that make entries. schema.ts and trigger-section.ts contain the
// entries themselves.

import type { ValueType } from './value-types.ts';

export interface KeyEntry<T> {
  readonly type: ValueType<T>;
  readonly isRequired: boolean;
  /** The default in the notation of the file; null if the key has no default or inherits the value of another section. */
  readonly default: string | null;
  /** Help text of one or two sentences, without a full stop at the end. */
  readonly help: string;
  /** Name of the value in the configuration; absent if the reader of the section makes something else of it. */
  readonly field?: string | undefined;
}

export type KeyTable = Readonly<Record<string, KeyEntry<unknown>>>;

export interface SectionEntry {
  readonly hasName: boolean;
  readonly occurs: 'once' | 'at most once' | 'any number';
  /** Type of the section below which the described section must stand; null if it may stand anywhere. */
  readonly below: string | null;
  /** Form of the section's lines; null if the lines are `key = value` entries. */
  readonly lines: string | null;
  /** The lines have no keys. Absent: what follows the first word of a line may be a key. */
  readonly areLinesOpen?: true;
  readonly help: string;
  readonly keys: KeyTable;
}

export type FileSchema = Readonly<Record<string, SectionEntry>>;

export function needed<T>(type: ValueType<T>, help: string) {
  return { type, isRequired: true, default: null, help } as const;
}

export function optional<T, const F extends string | undefined = undefined>(type: ValueType<T>, help: string, field?: F) {
  return { type, isRequired: false, default: null, help, field: field as F } as const;
}

export function withDefault<T, const F extends string | undefined = undefined>(type: ValueType<T>, text: string, help: string, field?: F) {
  return { type, isRequired: false, default: text, help, field: field as F } as const;
}

/** A key with a default always has a value. The value of any other key is null if the key is missing or wrong. */
export type ValueOf<E> = E extends { readonly type: { parse(text: string): infer T } }
  ? E extends { readonly default: string }
    ? T
    : T | null
  : never;

type FieldOf<E> = E extends { readonly field: infer F extends string } ? F : never;

/** The values of the keys of a section that have a field in the configuration. */
export type SectionFields<K extends KeyTable> = { readonly [N in keyof K as FieldOf<K[N]>]: ValueOf<K[N]> };
