// The rows and actions that several pages of the server share. Pure. Invariant: while rssrv does not answer, the first row of every page
// says so, and says what to do.

import { EMPTY_ROW, problemRow, textRow } from '../../machine/rows.ts';
import type { ServerChoice, ServerRow, ServerState } from '../model/state.ts';
import { lookNow } from '../work/looking.ts';

/**
 * Returns rows which say that rssrv is not running or does not answer, or that the file has errors. Returns no rows if nothing is wrong.
 */
export function troubleRows(state: ServerState): ServerRow[] {
  const rows = [...failureRows(state), ...fileRows(state)];
  return rows.length === 0 ? [] : [...rows, EMPTY_ROW];
}

function failureRows({ failure, view, startCommand, configFile, nowMs, viewMs }: ServerState): ServerRow[] {
  if (failure === null) return [];
  if (failure.code === 'E_NOT_RUNNING')
    return [
      problemRow('! rssrv is not running on this machine'),
      textRow(`Start it with: ${startCommand}`),
      textRow(`Below is what ${configFile} says`),
    ];
  const age = view === null ? [] : [textRow(`Below is what it said ${Math.round((nowMs - viewMs) / 1000)} s ago`)];
  return [problemRow(`! ${failure.message} [${failure.code}]`), ...age];
}

function fileRows({ file }: ServerState): ServerRow[] {
  if (file === null || 'config' in file) return [];
  return [problemRow(`! ${file.failure.message} [${file.failure.code}]`)];
}

export const ASK_AGAIN: ServerChoice = {
  label: 'Ask rssrv again',
  command: (state) => lookNow({ ...state, note: 'Asking rssrv again' }),
};

/** The row that a page shows until rssrv has answered for the first time. */
export const WAITING_ROW = textRow('Asking rssrv ...');
