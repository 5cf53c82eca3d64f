// The table of volumes, with a filter form that works without scripts. Pure.
// Invariant: the page shows how many volumes the filter hides.

import { plural } from '@rsio/base/lib/units';
import type { Volume } from '../model/picture.ts';
import { latencyText, sizeText, speedText } from '../markup/figures.ts';
import { type Html, html } from '../markup/html.ts';
import { linkTo } from './object-tables.ts';
import { stateBadge } from '../markup/state.ts';
import { type Column, tableOf } from '../markup/table.ts';
import type { View } from '../markup/view.ts';

const COLUMNS: readonly Column<Volume>[] = [
  { key: 'name', title: 'Volume', sortBy: volumeName, cell: (volume) => linkTo('volume', volume.id, volumeName(volume)) },
  { key: 'state', title: 'State', sortBy: stateText, cell: (volume) => stateBadge(stateText(volume)) },
  { key: 'server', title: 'Server', sortBy: ({ server }) => server, cell: ({ server }) => linkTo('server', server) },
  {
    key: 'pool',
    title: 'Pool',
    sortBy: ({ pool }) => pool,
    cell: ({ pool }) => (pool === null ? '-' : linkTo('pool', pool, poolName(pool))),
  },
  { key: 'holder', title: 'Held by', sortBy: ({ holders }) => holders[0]?.client ?? null, cell: ({ holders }) => holdersText(holders) },
  { key: 'size', title: 'Size', isNumber: true, sortBy: ({ sizeBytes }) => sizeBytes, cell: ({ sizeBytes }) => sizeText(sizeBytes) },
  { key: 'used', title: 'Used', isNumber: true, sortBy: ({ usedBytes }) => usedBytes, cell: ({ usedBytes }) => sizeText(usedBytes) },
  {
    key: 'read',
    title: 'Read',
    isNumber: true,
    sortBy: ({ load }) => load.readBytesPerSecond,
    cell: ({ load }) => speedText(load.readBytesPerSecond),
  },
  {
    key: 'written',
    title: 'Written',
    isNumber: true,
    sortBy: ({ load }) => load.writtenBytesPerSecond,
    cell: ({ load }) => speedText(load.writtenBytesPerSecond),
  },
  {
    key: 'p99',
    title: 'READ p99',
    isNumber: true,
    sortBy: ({ load }) => load.readLatency?.p99Us ?? null,
    cell: ({ load }) => latencyText(load.readLatency?.p99Us ?? null),
  },
];

export function volumesTable(
  rows: readonly Volume[],
  view: View,
  none = 'No volume: rsadm volume create NAME --size SIZE makes one.',
): Html {
  return tableOf(
    {
      id: 'volumes',
      caption: 'Volumes',
      columns: COLUMNS,
      rows,
      rowId: ({ id }) => id,
      none,
    },
    view,
  );
}

/** Returns the table with the filter form above it. */
export function filteredVolumes(volumes: readonly Volume[], view: View): Html {
  const wanted = (view.query.get('name') ?? '').trim().toLowerCase();
  const state = view.query.get('state') ?? '';
  const shown = volumes.filter((volume) => matches(volume, wanted) && (state === '' || stateText(volume) === state));
  const states = [...new Set(volumes.map(stateText))].toSorted();
  const others = [...view.query].filter(([key]) => key !== 'name' && key !== 'state' && key !== 'volumes-page');
  const table =
    shown.length === 0 && volumes.length > 0
      ? html`<p class="none" id="volumes">No volume matches. <a href="${view.path}#volumes-head">Show all</a></p>`
      : volumesTable(shown, view);
  return html`<form class="filter" method="get" action="${view.path}#volumes-head" role="search" aria-label="Volumes">
${others.map(([key, value]) => html`<input type="hidden" name="${key}" value="${value}">`)}
<label>Name, server, pool or client <input type="search" name="name" value="${view.query.get('name') ?? ''}" autocomplete="off"></label>
<label>State <select name="state"><option value="">any</option>${states.map((name) => html`<option${name === state && html` selected`}>${name}</option>`)}</select></label>
<button>Filter</button>${shown.length < volumes.length && html`<span class="hint">${plural(shown.length, 'volume')} of ${volumes.length}</span>`}</form>
${table}`;
}

export function volumeName({ name, universe }: Volume): string {
  return `${name}@${universe}`;
}

/** Returns the state of a volume. A served volume with waiting I/O is shown as `waiting`, because waiting I/O needs attention. */
export function stateText({ state, waits }: Volume): string {
  return state === 'served' && waits.length > 0 ? 'waiting' : state;
}

/** Returns the name of a pool: the pool's id without the name of the server at its beginning. */
function poolName(pool: string): string {
  return pool.slice(pool.indexOf(':') + 1);
}

function matches(volume: Volume, wanted: string): boolean {
  return (
    wanted === '' ||
    [volumeName(volume), volume.server, volume.pool ?? '', ...volume.holders.map(({ client }) => client)].some((text) =>
      text.toLowerCase().includes(wanted),
    )
  );
}

export function holdersText(holders: Volume['holders']): Html {
  if (holders.length === 0) return html`-`;
  return html`${holders.map(({ client }, index) => html`${index > 0 && ', '}${linkTo('client', client)}`)}`;
}
