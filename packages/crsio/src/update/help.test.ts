// Tests that F1 shows the schema's text for every field of every form, so that manual, errors and screens agree. Every form is opened
// with keys, and F1 is pressed on every field.

import { SCHEMA } from '@rsio/common/config/schema/schema';
import { SAMPLE_RSCLTCFG } from '@rsio/common/testing/sample-rscltcfg';
import { expect, test } from 'vitest';
import { Walker } from '../testing/walker.ts';
import { focusable } from '../model/form.ts';
import type { FormPurpose } from '../model/command.ts';
import { topScreen } from '../model/state.ts';
import { update } from './update.ts';
import { perform } from './perform.ts';

const FORMS: readonly FormPurpose[] = [
  { kind: 'defaults' },
  { kind: 'interface', name: 'if0' },
  { kind: 'namespace', name: 'osl' },
  { kind: 'server', namespace: 'osl', name: 'big-9-1' },
];

test.each(FORMS)('the form of [$kind] has every key of the schema, with its help and its allowed values', (purpose) => {
  let { state } = perform(new Walker({ file: SAMPLE_RSCLTCFG }).state, { do: 'edit', purpose });
  const told: string[] = [];
  const screen = topScreen(state);
  if (screen.kind !== 'form' || purpose.kind === 'explore' || purpose.kind === 'mirror') throw new Error('No form');
  state = { ...state, screens: [{ ...screen, form: { ...screen.form, isOpen: true, focus: 0 } }] };
  for (let index = 0; index < focusable(screen.form).length + Object.keys(SCHEMA.rscltcfg[purpose.kind].keys).length; index++) {
    told.push(update(state, { kind: 'key', key: 'help' }).state.popups[0]?.text ?? '');
    state = update(state, { kind: 'key', key: 'down' }).state;
  }
  for (const { help, type } of Object.values(SCHEMA.rscltcfg[purpose.kind].keys)) {
    expect(told.some((text) => text.includes(help) && text.includes(type.allowed))).toBe(true);
  }
});
