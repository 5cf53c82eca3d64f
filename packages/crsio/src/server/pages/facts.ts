// The facts that pages show about the server: rssrv's answers, and the warnings that follow from these answers. If rssrv is not running,
// the pages show lines about the file instead. Pure. Invariant: a line about the file never shows a state, because only rssrv knows the
// state of an object.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { plural, shownSize } from '@rsio/base/lib/units';
import { volumeText } from '@rsio/api/views/server-tables';
import { warningsOf } from '@rsio/api/manage/server-warnings';
import { headingRow, textRow } from '../../machine/rows.ts';
import { tableOf } from '../../widgets/table.ts';
import { configIn, type ServerRow, type ServerState, type ServerView } from '../model/state.ts';
import { WAITING_ROW } from './rows.ts';

interface Facts extends ServerView {
  readonly warnings: readonly string[];
}

let last: { readonly view: ServerView; readonly facts: Facts } | null = null;

/** Returns the facts; null if rssrv has not answered yet or is not running. */
export function factsOf({ view }: Pick<ServerState, 'view'>): Facts | null {
  if (view === null) return null;
  // Computing the warnings of many volumes is slow, and a page needs them after every key. The warnings are therefore computed once for
  // each view.
  if (last?.view !== view) last = { view, facts: { ...view, warnings: warningsOf(view.pools, view.volumes) } };
  return last.facts;
}

export type Subject = 'volumes' | 'pools' | 'clients';

/** Returns rows about the volumes, pools or clients in the file, which a page shows while rssrv does not answer. */
export function offlineRows(state: ServerState, subject: Subject, room: number): ServerRow[] {
  if (state.failure === null) return [WAITING_ROW];
  const config = configIn(state);
  if (config === null) return [];
  const rows = cellsOf(config)[subject];
  const columns = (rows[0] ?? []).map(() => ({ heading: '' }));
  const { lines } = tableOf(columns, rows, room);
  return [headingRow(`${plural(rows.length, 'entry', 'entries')} in the file`), ...lines.map((line) => textRow(line))];
}

function cellsOf({ volumes, pools, clients, rights }: RssrvConfig): Readonly<Record<Subject, readonly (readonly string[])[]>> {
  return {
    volumes: volumes.map((volume) => [volumeText(volume), shownSize(volume.sizeBytes), volume.path ?? volume.type]),
    pools: pools.map(({ name, path }) => [name, path]),
    clients: clients.map(({ name }) => [name, rights.find((each) => each.name === name)?.role ?? 'use']),
  };
}
