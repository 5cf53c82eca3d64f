// Opens the forms of the client. section-forms.ts has those of the sections of the file. Invariant: a form is opened with the interfaces that this
// machine has now.

import type { KeyEntry } from '@rsio/common/config/schema/entries';
import { openForm } from '../../machine/form-page.ts';
import type { FormPage } from '../../machine/machine.ts';
import { KEYS_HELP } from '../model/help-text.ts';
import type { ClientState, ClientStep } from '../model/state.ts';
import { lookAtMachine } from './edits.ts';

type ClientFormPage = FormPage<ClientState>;

export function openClientForm(state: ClientState, page: Pick<ClientFormPage, 'form' | 'take'> & Partial<ClientFormPage>): ClientStep {
  const usual = {
    owner: {},
    actions: [],
    applyLabel: 'Apply',
    help: KEYS_HELP,
    fieldHelp: neededText,
    choosers: {},
    isKept: true,
    question: 'The form has unsaved entries',
  };
  return lookAtMachine(openForm(state, { ...usual, ...page }));
}

/** An entry of a field that is not a key of the file. */
export function optionalEntry(type: KeyEntry<unknown>['type'], help: string): KeyEntry<unknown> {
  return { type, isRequired: false, default: null, help };
}

function neededText({ isRequired, default: byDefault }: KeyEntry<unknown>): string {
  if (isRequired) return 'Required.';
  return byDefault === null ? 'Optional.' : `Default: ${byDefault}.`;
}
