// The state in which a session begins: the menu over the file, or over what a new file begins with.
// Invariant: what a new file begins with is no change that a person would be asked about.

import { parseIni, printIni } from '@rsio/protocol/config/ini-document';
import { newRscltcfg } from '@rsio/protocol/config/rscltcfg-edit';
import type { State } from './state.ts';

/** `stored` must be a file that the reader accepts, or none. */
export function startState(given: Pick<State, 'configFile' | 'startCommand' | 'stored' | 'size'>): State {
  const document = given.stored.fingerprint === null ? newRscltcfg() : parseIni(given.stored.text);
  return {
    ...given,
    document,
    clean: printIni(document),
    machine: [],
    screens: [{ kind: 'menu', focus: 0 }],
    popups: [],
    note: null,
    saving: null,
    knownAddresses: {},
    runs: 0,
  };
}
