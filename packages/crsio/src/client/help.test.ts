// Tests that F1 shows the schema's text for every field of every form, so that the manual, the error messages and the screens agree. Every
// form is opened
// with keys, and F1 is pressed on every field.

import { SCHEMA } from '@rsio/common/config/schema/schema';
import { SAMPLE_RSCLTCFG } from '@rsio/common/testing/sample-rscltcfg';
import { expect, test } from 'vitest';
import { Walker } from '../testing/walker.ts';
import { focusable } from '../machine/form.ts';
import { topOf } from '../machine/machine.ts';
import { update } from '../machine/update.ts';
import { editSection, type Section } from './work/section-forms.ts';

const FORMS: readonly Section[] = [
  { kind: 'defaults' },
  { kind: 'interface', name: 'if0' },
  { kind: 'namespace', name: 'osl' },
  { kind: 'server', namespace: 'osl', name: 'big-9-1' },
  { kind: 'application', name: null },
];

test.each(FORMS)('the form of [$kind] has every key of the schema, with its help and its allowed values', (section) => {
  let { state } = editSection(section)(new Walker({ file: SAMPLE_RSCLTCFG }).state);
  const told: string[] = [];
  const page = topOf(state);
  if (page.kind !== 'form') throw new Error('No form');
  state = { ...state, pages: [{ ...page, form: { ...page.form, isOpen: true, focus: 0 } }] };
  for (let index = 0; index < focusable(page.form).length + Object.keys(SCHEMA.rscltcfg[section.kind].keys).length; index++) {
    told.push(update(state, { kind: 'key', key: 'help' }).state.popups[0]?.text ?? '');
    state = update(state, { kind: 'key', key: 'down' }).state;
  }
  for (const { help, type } of Object.values(SCHEMA.rscltcfg[section.kind].keys)) {
    expect(told.some((text) => text.includes(help) && text.includes(type.allowed))).toBe(true);
  }
});
