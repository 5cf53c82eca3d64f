// A form as an immutable value: its fields, the buttons below them, and the focus. Each field has a `KeyEntry`, which says which values the
// field accepts. Invariant: checkForm() checks each field separately; the part that opened the form checks combinations of fields.

import type { KeyEntry } from '@rsio/common/config/schema/entries';
import type { ValueType } from '@rsio/common/config/schema/value-types';
import { RsError } from '@rsio/base/lib/errors';
import { editOf, editedText, insertText, type LineEdit, pressEdit } from '../widgets/line-edit.ts';
import type { Input, KeyName } from '../widgets/keys.ts';

/** A value that is suggested for a field. */
export interface Offer {
  readonly text: string;
  readonly detail: string;
}

export interface Field {
  /** Key in the configuration file; `name` stands for the name of the section. */
  readonly key: string;
  readonly entry: KeyEntry<unknown>;
  readonly edit: LineEdit;
  readonly offers: readonly Offer[];
  /** True for a rarely set field. The form hides all rarely set fields at first, unless one of them has a value. */
  readonly isMore: boolean;
}

export interface Form {
  readonly title: string;
  readonly fields: readonly Field[];
  /** Index of the focused entry in the result of focusable(). */
  readonly focus: number;
  /** True while the fields with `isMore` are shown. */
  readonly isOpen: boolean;
  /** True while secret values are shown in plain text. */
  readonly isShown: boolean;
  /** Text of all fields when the form was opened. */
  readonly initial: string;
  /** Reason why the form was refused; cleared when a field or the focus changes. */
  readonly problem: string | null;
}

export type Button = 'ok' | 'cancel' | 'more';
export type Focusable = { readonly kind: 'field'; readonly field: Field } | { readonly kind: 'button'; readonly button: Button };

/** Result of an input: the changed form, or a button (`ok` or `cancel`) that the caller must handle. */
export type FormStep = { readonly kind: 'form'; readonly form: Form } | { readonly kind: Exclude<Button, 'more'> };

export interface FieldSpec {
  readonly key: string;
  readonly entry: KeyEntry<unknown>;
  readonly text?: string;
  readonly offers?: readonly Offer[];
  readonly isMore?: boolean;
}

/** Returns the entry for a field that is not a key of a configuration file. */
export function entryOf(type: ValueType<unknown>, help: string, isRequired = false, byDefault: string | null = null): KeyEntry<unknown> {
  return { type, isRequired, default: byDefault, help };
}

/** Returns the last paragraph of the help on a field: whether it may be left empty. */
export function neededText({ isRequired, default: byDefault }: KeyEntry<unknown>): string {
  if (isRequired) return 'Required.';
  return byDefault === null ? 'Optional.' : `Default: ${byDefault}.`;
}

/** Creates a form whose focus is on the first empty required field. */
export function formOf(title: string, specs: readonly FieldSpec[]): Form {
  const fields = specs.map(({ key, entry, text = '', offers, isMore = false }) => {
    const words = (entry.type.words ?? []).map((word) => ({ text: word, detail: word === entry.default ? 'default' : '' }));
    return { key, entry, edit: editOf(text), offers: offers ?? words, isMore };
  });
  const isOpen = fields.some(({ isMore, edit }) => isMore && edit.graphemes.length > 0);
  const form: Form = { title, fields, focus: 0, isOpen, isShown: false, initial: sumOf(fields), problem: null };
  const empty = focusable(form).findIndex((each) => each.kind === 'field' && each.field.entry.isRequired && fieldText(each.field) === '');
  return { ...form, focus: Math.max(0, empty) };
}

/** Returns the fields and buttons that can have the focus, from top to bottom. */
export function focusable(form: Form): readonly Focusable[] {
  const shown = form.fields.filter(({ isMore }) => form.isOpen || !isMore);
  const buttons: Button[] = shown.length < form.fields.length ? ['ok', 'cancel', 'more'] : ['ok', 'cancel'];
  return [...shown.map((field) => ({ kind: 'field', field }) as const), ...buttons.map((button) => ({ kind: 'button', button }) as const)];
}

export function focused(form: Form): Focusable {
  return focusable(form)[form.focus] ?? { kind: 'button', button: 'ok' };
}

export function fieldText(field: Field): string {
  return editedText(field.edit).trim();
}

/** Returns the text of the field with this key; '' if the form has no such field. */
export function formText(form: Form, key: string): string {
  const field = form.fields.find((each) => each.key === key);
  return field === undefined ? '' : fieldText(field);
}

export function isTouched(form: Form): boolean {
  return sumOf(form.fields) !== form.initial;
}

/**
 * Returns why the value of a field is invalid, or null if it is valid. An empty required field is invalid only if `mustBeThere` is true.
 */
export function fieldProblem(field: Field, mustBeThere: boolean): string | null {
  const text = fieldText(field);
  if (text === '') return field.entry.isRequired && mustBeThere ? `Missing ${field.key}: needed is ${field.entry.type.allowed}` : null;
  try {
    field.entry.type.parse(text);
    return null;
  } catch (thrown) {
    if (!(thrown instanceof RsError)) throw thrown;
    return `Wrong value for ${field.key}: allowed is ${field.entry.type.allowed}`;
  }
}

/** Moves the focus to the first invalid field and sets `problem` to the reason. */
export function checkForm(form: Form): Form {
  const wrong = form.fields.find((field) => fieldProblem(field, true) !== null);
  if (wrong === undefined) return { ...form, problem: null };
  return { ...focusOn(form, wrong.key), problem: fieldProblem(wrong, true) };
}

export function focusOn(form: Form, key: string): Form {
  const isOpen = form.isOpen || form.fields.some((field) => field.key === key && field.isMore);
  const opened = { ...form, isOpen };
  const index = focusable(opened).findIndex((each) => each.kind === 'field' && each.field.key === key);
  return { ...opened, focus: Math.max(0, index) };
}

/** Replaces the text of a field. */
export function fillField(form: Form, key: string, text: string): Form {
  return { ...form, problem: null, fields: form.fields.map((field) => (field.key === key ? { ...field, edit: editOf(text) } : field)) };
}

export function pressForm(form: Form, input: Input): FormStep {
  const here = focused(form);
  if (here.kind === 'field') {
    const edit = input.kind === 'text' ? insertText(here.field.edit, input.text) : pressEdit(here.field.edit, input.key);
    if (edit !== null)
      return stay({ ...form, problem: null, fields: form.fields.map((field) => (field === here.field ? { ...field, edit } : field)) });
  }
  if (input.kind === 'text') return stay(form);
  if (input.key === 'show') return stay({ ...form, isShown: !form.isShown });
  if (input.key === 'escape') return { kind: 'cancel' };
  if (input.key === 'enter' && here.kind === 'button') return pressButton(form, here.button);
  return stay({ ...form, problem: null, focus: nextFocus(form, input.key) });
}

function pressButton(form: Form, button: Button): FormStep {
  if (button !== 'more') return { kind: button };
  const first = form.fields.find(({ isMore }) => isMore);
  const opened = { ...form, isOpen: true };
  return stay(first === undefined ? opened : focusOn(opened, first.key));
}

const STEPS: Partial<Record<KeyName, number>> = { down: 1, tab: 1, enter: 1, right: 1, up: -1, backtab: -1, left: -1 };

function nextFocus(form: Form, key: KeyName): number {
  const all = focusable(form);
  if (key === 'pageup') return 0;
  if (key === 'pagedown') return all.findIndex(({ kind }) => kind === 'button');
  return (form.focus + all.length + (STEPS[key] ?? 0)) % all.length;
}

function stay(form: Form): FormStep {
  return { kind: 'form', form };
}

function sumOf(fields: readonly Field[]): string {
  return fields.map((field) => editedText(field.edit)).join('\n');
}
