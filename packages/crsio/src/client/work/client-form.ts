// Opens a form of the client's part, with the texts that all forms of this part share. The forms of the file's sections are in
// section-forms.ts. Invariant: opening a form also reads the addresses of this machine, because the form may offer them.

import { neededText } from '../../machine/form.ts';
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
