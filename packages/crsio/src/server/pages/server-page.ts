// A page of the server's part before it is drawn, and the rows that several pages share: how rssrv answers, and where that leaves the user.
// Pure. Invariant: while rssrv does not answer, every page says so first, with what to do.

import type { Page, Row } from '../../pages/page.ts';
import { EMPTY_ROW, headingRow, problemRow, textRow } from '../../pages/page.ts';
import type { ServerCommand } from '../model/command.ts';
import type { ServerState } from '../model/state.ts';

export type ServerRow = Row<ServerCommand>;

export interface ServerPage extends Page<ServerCommand> {
  /** What the user typed to narrow the list down; null if the page has no filter. */
  readonly filter: string | null;
}

/** Says that rssrv does not run or answer, and that the file has errors. Empty if all is well. */
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

/** The rows of a list with its heading, or a text instead of an empty list. */
export function listRows(heading: string, rows: readonly ServerRow[], instead: string): ServerRow[] {
  return rows.length === 0 ? [textRow(instead)] : [headingRow(heading), ...rows];
}

export const ASK_AGAIN = { label: 'Ask rssrv again', command: { do: 'look' } } as const;

/** What a page shows before the first answer. */
export const WAITING_ROW = textRow('Asking rssrv ...');
