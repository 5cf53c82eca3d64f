// Builds the page that compares the current file with the edited document,
// line by line. difference.ts computes the difference.

import { printIni } from '@rsio/common/config/reader/ini-document';
import type { DifferenceScreen, State } from '../model/state.ts';
import { differenceOf } from '../model/difference.ts';
import { DIFFERENCE_HELP } from './help-text.ts';
import { type Page, textRow } from './page.ts';

export function differencePage(state: State, { theirs }: DifferenceScreen): Page {
  const lines = differenceOf(theirs.text, printIni(state.document));
  return {
    title: 'File on disk (-) and your version (+)',
    rows: lines.map(({ sign, text }) => textRow(`${sign} ${text}`)),
    actions: [
      { label: 'Reread the file and discard my changes', command: { do: 'read-file-now' } },
      { label: 'Overwrite the file with my version', command: { do: 'overwrite' } },
    ],
    hint: 'F7: reread or overwrite. Esc continues editing',
    help: { title: 'The file was changed', text: DIFFERENCE_HELP },
  };
}
