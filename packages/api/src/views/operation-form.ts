// Makes the fields of a form from the parameters of a method, and the parameters from the texts that a person has entered. crsio and rsweb
// use it. Pure. Invariant: a text that does not fit is passed on as it is, so that the check of parameters, which the daemons also make,
// refuses it with the name of the parameter and what is allowed.

import type { Param } from '@rsio/common/control/method-table';
import { type Fields, type Form, misfit, type Shape } from '@rsio/base/lib/shape';
import { parseDuration, parseSize } from '@rsio/base/lib/units';
import type { Params } from './command-text.ts';
import { splitSnapshot, volumeName } from './values.ts';

export type FieldKind = 'text' | 'number' | 'flag' | 'choice' | 'list' | 'json';

export interface Field {
  readonly name: string;
  /** What is expected, such as `a size in bytes, such as 20g`. */
  readonly what: string;
  /** False if the empty text is a value, or stands for the default or for null. The empty list is a value that must be written: `[]`. */
  readonly isRequired: boolean;
  readonly isNullable: boolean;
  readonly isSecret: boolean;
  /** Text of the default; empty if there is none, or if it is null. */
  readonly preset: string;
  readonly kind: FieldKind;
  /** The values of a field of the kinds `flag` and `choice`; empty for other kinds. */
  readonly choices: readonly string[];
  readonly param: Param;
}

/** Name of the parameter with the id of an order, which the program makes. It is no field. */
export const ID_PARAM = 'request';
const FLAG_WORDS = ['true', 'false'];

export function fieldsOf(params: Params): readonly Field[] {
  return Object.entries(params).flatMap(([name, param]) => (isOrderId(name, param) ? [] : [fieldOf(name, param)]));
}

/** Returns the parameters that are no field: the program gives each of them the id of the order. */
export function orderIdsOf(params: Params, id: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(params).flatMap(([name, param]) => (isOrderId(name, param) ? [[name, id]] : [])));
}

function isOrderId(name: string, param: Param): boolean {
  return name === ID_PARAM || param.isOrderId === true;
}

function fieldOf(name: string, param: Param): Field {
  const { shape, default: preset } = param;
  const form = inner(shape);
  const kind = kindOf(shape);
  return {
    name,
    what: `${param.what.replace(/,? or null$/, '')}${hintOf(name, param.what, shape)}${kind === 'list' && preset === undefined ? ', or [] for an empty list' : ''}`,
    isRequired: preset === undefined && misfit(shape, valueOf(shape, ['']), 'exactly') !== null,
    isNullable: shape.form.kind === 'or-null',
    isSecret: param.isSecret === true,
    preset: preset === undefined || preset === null ? '' : textOf(preset),
    kind,
    choices: form.kind === 'flag' ? FLAG_WORDS : form.kind === 'word' ? form.words : [],
    param,
  };
}

function textOf(preset: unknown): string {
  if (Array.isArray(preset) && preset.every((each) => typeof each === 'string')) return preset.join(' ');
  return typeof preset === 'string' ? preset : JSON.stringify(preset);
}

/** Returns the form of the values that are not null. */
function inner({ form }: Shape): Exclude<Form, { kind: 'or-null' | 'checked' | 'optional' }> {
  return form.kind === 'or-null' || form.kind === 'checked' || form.kind === 'optional' ? inner(form.of) : form;
}

function kindOf(shape: Shape): FieldKind {
  const form = inner(shape);
  switch (form.kind) {
    case 'text':
    case 'number':
    case 'flag':
      return form.kind;
    case 'word':
      return 'choice';
    case 'list':
      return kindOf(form.of) === 'json' ? 'json' : 'list';
    case 'object':
      return isVolume(form.fields) ? 'text' : 'json';
    case 'record':
    case 'map':
    case 'variants':
      return 'json';
  }
}

/** True for an object that people write as `oracle@1`, or as `oracle@1@monday` if it has a snapshot. */
function isVolume(fields: Fields): boolean {
  return ['name,universe', 'name,snapshot,universe'].includes(Object.keys(fields).toSorted().join());
}

function hintOf(name: string, what: string, shape: Shape): string {
  const form = inner(shape);
  if (form.kind === 'list') return hintOf(name, what, form.of);
  if (form.kind === 'object' && isVolume(form.fields)) return `, such as oracle@1${'snapshot' in form.fields ? '@monday' : ''}`;
  if (form.kind !== 'number') return '';
  if (name.endsWith('Ms') && /\bms\b/.test(what)) return ', such as 30s';
  return name.endsWith('Bytes') && /\bbytes\b/.test(what) ? ', such as 20g' : '';
}

/**
 * Returns the parameters. `texts`: the entered texts by the names of the fields; a missing text is empty. The empty text of a nullable
 * field is null. Of a required field or one with a default, it leaves the parameter out.
 */
export function valuesOf(fields: readonly Field[], texts: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    fields.flatMap((field): [string, unknown][] => {
      const text = Object.hasOwn(texts, field.name) ? (texts[field.name] ?? '') : '';
      if (text.trim() === '' && field.isNullable) return [[field.name, null]];
      if (text.trim() === '' && (field.isRequired || field.param.default !== undefined)) return [];
      return [[field.name, enteredValue(field, text)]];
    }),
  );
}

function enteredValue({ name, kind, param: { shape } }: Field, text: string): unknown {
  const trimmed = text.trim();
  if (kind === 'json' || (kind === 'list' && trimmed.startsWith('['))) return parsedJson(trimmed);
  const words = kind === 'list' ? trimmed.split(/[\s,]+/).filter((word) => word !== '') : [trimmed];
  const texts = words.map((word) => wireText(name, shape, word));
  return valueOf(shape, texts);
}

/** Returns a text as programs write it: `20g` becomes a number of bytes, `30s` a number of ms, and `oracle@1` an object. */
function wireText(name: string, shape: Shape, word: string): string {
  const form = inner(shape);
  if (form.kind === 'list') return wireText(name, form.of, word);
  try {
    if (form.kind === 'number' && name.endsWith('Bytes')) return String(parseSize(word));
    if (form.kind === 'number' && name.endsWith('Ms') && !/^\d+$/.test(word)) return String(parseDuration(word));
    if (form.kind !== 'object' || word.startsWith('{')) return word;
    const { volume, snapshot } = 'snapshot' in form.fields ? splitSnapshot(word, '') : { volume: word, snapshot: null };
    return JSON.stringify({ ...volumeName(volume, ''), ...(snapshot === null ? {} : { snapshot }) });
  } catch {
    // The check of parameters says what is allowed.
    return word;
  }
}

/**
 * Returns the value that texts stand for. A list has a text for each element, an object is JSON, and null is the empty text. Several texts
 * for something else are returned as they are.
 */
export function valueOf({ form }: Shape, texts: readonly string[]): unknown {
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
      return more.length === 0 && FLAG_WORDS.includes(only) ? only === 'true' : texts;
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
