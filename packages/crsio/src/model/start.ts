// The state in which a session begins: the menu over the file, or over what a new file begins with.
// Invariant: what a new file begins with is no change that a person would be asked about.

import { type IniDocument, parseIni, printIni } from '@rsio/common/config/ini/ini-document';
import { newRscltcfg } from '@rsio/common/config/rscltcfg-edit';
import { notice, type Popup, type State, type StoredFile } from './state.ts';

/** `stored` must be a file that the reader accepts, or none. */
export function startState(given: Pick<State, 'configFile' | 'isWritable' | 'startCommand' | 'stored' | 'size'>): State {
  const document = documentIn(given.stored);
  return {
    ...given,
    document,
    clean: printIni(document),
    machine: [],
    screens: [{ kind: 'menu', focus: 0 }],
    popups: given.isWritable ? [] : [readOnlyNotice(given.configFile)],
    note: null,
    saving: null,
    knownAddresses: {},
    runs: 0,
  };
}

/** Said at the start, and at each try to change something. */
export function readOnlyNotice(file: string): Popup {
  return notice(
    'Read-only',
    `No permission to write ${file}, so nothing can be changed. Leave, and run crsio as root or as the owner of the file`,
  );
}

/** What is edited: the file, or what a new one begins with. */
export function documentIn({ text, fingerprint }: StoredFile): IniDocument {
  return fingerprint === null ? newRscltcfg() : parseIni(text);
}
