// The title, the actions and the help of a form of the server's part. form-view.ts draws the fields. Pure. Invariant: the help on a field comes
// from its entry, as in the client's part.

import { focused } from '../../model/form.ts';
import type { DialogScreen } from '../model/state.ts';
import { CREATE_HELP, SERVER_HELP } from './help-text.ts';
import type { ServerPage } from './server-page.ts';

export function dialogPage({ form, dialog }: DialogScreen): ServerPage {
  const here = focused(form);
  const text = dialog.kind === 'create-volume' ? CREATE_HELP : SERVER_HELP;
  return {
    title: form.title,
    rows: [],
    actions: [
      { label: 'Apply', command: { do: 'accept-form' } },
      { label: 'Discard', command: { do: 'drop-form' } },
    ],
    hint: '',
    help:
      here.kind === 'field'
        ? { title: here.field.key, text: `${here.field.entry.help}.\n\nAllowed: ${here.field.entry.type.allowed}.\n\n${text}` }
        : { title: form.title, text },
    filter: null,
  };
}
