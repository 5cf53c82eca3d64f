// The steps of the page machine for forms: accepting a form, opening the list that fills a field, and asking before a changed form closes.
// Pure. Invariant: only the function `take` of a form applies its entries, and only after checkForm() has accepted each entry.

import { checkForm, fieldText, fillField, type Field, focused, type Form, isTouched } from './form.ts';
import {
  ask,
  back,
  type Command,
  type FormPage,
  type Machine,
  popped,
  pushed,
  type Step,
  step,
  topOf,
  withPopup,
  withTop,
} from './machine.ts';
import type { Choice, Content } from './rows.ts';

export function openForm<S extends Machine<S>>(state: S, page: Omit<FormPage<S>, 'kind'>): S {
  return pushed(state, { kind: 'form', ...page });
}

/** Opens a form whose entries become one change at once. */
export function openOrder<S extends Machine<S>>(
  state: S,
  page: Pick<FormPage<S>, 'owner' | 'form' | 'take' | 'help' | 'fieldHelp' | 'choosers'>,
): S {
  const question = 'The form has entries that are not applied';
  return openForm(state, { ...page, actions: [], applyLabel: 'Apply', isKept: true, question });
}

export function formContent<S extends Machine<S>>({ form, actions, applyLabel, help, fieldHelp }: FormPage<S>): Content<Command<S>> {
  const here = focused(form);
  return {
    title: form.title,
    rows: [],
    actions: [...actions, { label: applyLabel, command: acceptTop }, { label: 'Discard', command: back }],
    hint: '',
    help: here.kind === 'field' ? helpOn(here.field, fieldHelp(here.field.entry)) : { title: form.title, text: help },
  };
}

function helpOn({ key, entry }: Field, last: string): { readonly title: string; readonly text: string } {
  return { title: key, text: `${entry.help}.\n\nAllowed: ${entry.type.allowed}.\n\n${last}` };
}

/** Accepts the form on top, or shows the first field that is not valid. */
export function acceptTop<S extends Machine<S>>(state: S): Step<S> {
  const top = topOf(state);
  if (top.kind !== 'form') return step(state);
  const form = checkForm(top.form);
  return form.problem === null ? top.take(state, form) : step(withTop(state, { ...top, form }));
}

export function withForm<S extends Machine<S>>(state: S, change: (form: Form) => Form): S {
  const top = topOf(state);
  return top.kind === 'form' ? withTop(state, { ...top, form: change(top.form) }) : state;
}

/** Returns a map. Key: the key of a field. Value: the text of the field. */
export function textsOf({ fields }: Form): Readonly<Record<string, string>> {
  return Object.fromEntries(fields.map((field) => [field.key, fieldText(field)]));
}

/** True if F4 opens a list for the field with the focus. */
export function hasOffers<S extends Machine<S>>({ form, choosers }: FormPage<S>): boolean {
  const here = focused(form);
  return here.kind === 'field' && (here.field.key in choosers || here.field.offers.length > 0);
}

/** Opens the list that fills the field with the focus. */
export function openOffers<S extends Machine<S>>(state: S, { form, choosers }: FormPage<S>): Step<S> {
  const here = focused(form);
  if (here.kind !== 'field') return step(state);
  const { key, offers } = here.field;
  const chooser = choosers[key];
  if (chooser !== undefined) return chooser(state);
  if (offers.length === 0) return step(state);
  const width = Math.max(...offers.map(({ text }) => text.length));
  const choices = offers.map(
    ({ text, detail }): Choice<Command<S>> => ({
      label: `${text.padEnd(width)}  ${detail}`.trimEnd(),
      command: (now) => step(withForm(now, (old) => fillField(old, key, text))),
    }),
  );
  return step(withPopup(state, { title: `Choose ${key}`, text: '', choices, focus: 0 }));
}

/** Closes a form. If the form was changed, asks before discarding it. */
export function dropForm<S extends Machine<S>>(state: S, { form, question }: FormPage<S>): Step<S> {
  if (!isTouched(form)) return step(popped(state));
  return step(
    ask(state, 'Leave the form', question, [
      ['Apply', acceptTop],
      ['Discard', back],
      ['Continue', null],
    ]),
  );
}
