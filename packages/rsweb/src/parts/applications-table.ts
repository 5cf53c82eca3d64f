// The table of applications. Pure.
// Invariant: if an application does not run, its row shows the reason.

import { sinceText } from '../markup/figures.ts';
import { type Html, html } from '../markup/html.ts';
import { stateBadge } from '../markup/state.ts';
import { type Column, tableOf } from '../markup/table.ts';
import type { View } from '../markup/view.ts';
import type { Application } from '../model/picture.ts';
import { linkTo } from './object-tables.ts';

export function applicationsTable(rows: readonly Application[], view: View): Html {
  const nodeCell = (node: string | null): Html => (node === null ? html`-` : linkTo('client', node));
  const columns: Column<Application>[] = [
    { key: 'name', title: 'Application', sortBy: ({ name }) => name, cell: ({ name }) => name },
    { key: 'state', title: 'State', sortBy: ({ state }) => state, cell: ({ state }) => stateBadge(state) },
    { key: 'on', title: 'On', sortBy: ({ on }) => on, cell: ({ on }) => nodeCell(on) },
    {
      key: 'since',
      title: 'For',
      isNumber: true,
      sortBy: ({ sinceMs }) => -sinceMs,
      cell: ({ sinceMs }) => sinceText(sinceMs, view.nowMs),
    },
    { key: 'volumes', title: 'Volumes', cell: ({ volumes }) => volumes.join(', ') },
    { key: 'next', title: 'Next', sortBy: ({ next }) => next, cell: ({ next }) => nodeCell(next) },
    { key: 'why', title: 'Why', cell: ({ why }) => html`<span class="wrap">${why === '' ? '-' : why}</span>` },
  ];
  return tableOf(
    {
      id: 'applications',
      caption: 'Applications',
      columns,
      rows,
      rowId: ({ id }) => id,
      none: 'No application: rsconfig app add NAME adds one.',
    },
    view,
  );
}
