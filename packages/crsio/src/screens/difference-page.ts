// How the file as it is now and the edited document differ, line by line.
// Leaves what is shared and what is not to difference.ts.

import { printIni } from '@rsio/protocol/config/ini-document';
import type { DifferenceScreen, State } from '../model/state.ts';
import { differenceOf } from './difference.ts';
import { DIFFERENCE_HELP } from './help-text.ts';
import { type Page, textRow } from './page.ts';

export function differencePage(state: State, { theirs }: DifferenceScreen): Page {
  const lines = differenceOf(theirs.text, printIni(state.document));
  return {
    title: 'The file (-) and what you edited (+)',
    rows: lines.map(({ sign, text }) => textRow(`${sign} ${text}`)),
    actions: [
      { label: 'Read the file anew and lose my changes', command: { do: 'read-file-now' } },
      { label: 'Overwrite the file with what I edited', command: { do: 'overwrite' } },
    ],
    hint: 'F7: read anew, or overwrite. Esc goes on editing',
    help: { title: 'The file was changed', text: DIFFERENCE_HELP },
  };
}
