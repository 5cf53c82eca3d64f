// The lists of volumes and of removed volumes. volume-page.ts shows a single one.
// Pure. Invariant: a state is a sign and a word, so that it is readable without colours.

import type { ManagedVolumeView } from '@rsio/common/control/server/views';
import { plural } from '@rsio/common/lib/units';
import { keptText, NO_VOLUME, poolsText, shownSize, volumeText } from '@rsio/common/manage/server-tables';
import { open } from '../../machine/machine.ts';
import { choiceRow, type Tone } from '../../machine/rows.ts';
import { rowColumns } from '../../widgets/border.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { REMOVED_HELP, VOLUMES_HELP } from '../model/help-text.ts';
import { type ServerContent, serverPage, type ServerPage, type ServerRow, type ServerState } from '../model/state.ts';
import { ordering } from '../work/ordering.ts';
import { restoration } from '../work/orders.ts';
import { askRemoval } from '../work/questions.ts';
import { factsOf, offlineRows } from './facts.ts';
import { ASK_AGAIN, listRows, troubleRows } from './rows.ts';
import { CREATE_VOLUME, volumePage } from './volume-page.ts';
import { type ColumnSpec, tableOf } from '../../widgets/table.ts';

const COLUMNS: readonly ColumnSpec[] = [
  { heading: '  VOLUME', columnsMax: LIST_NAME_COLUMNS_MAX },
  { heading: 'SIZE', alignment: 'right' },
  { heading: 'USED', alignment: 'right' },
  { heading: 'POOL', columnsMax: 10 },
  { heading: 'HELD BY' },
];

export const VOLUMES_PAGE: ServerPage = { ...serverPage('volumes', volumes), filter: '' };

function volumes(state: ServerState, filter: string): ServerContent {
  const facts = factsOf(state);
  const all = facts?.volumes ?? [];
  const { heading, rows } = facts === null ? NO_ROWS : volumeRows(facts.volumes, filter, rowColumns(state.size));
  const counted = filter === '' ? plural(all.length, 'volume') : `${rows.length} of ${plural(all.length, 'volume')}`;
  return {
    title: facts === null ? 'Volumes' : `Volumes: ${counted}`,
    rows: [
      ...troubleRows(state),
      ...(facts === null
        ? offlineRows(state, 'volumes', rowColumns(state.size))
        : listRows(heading, rows, all.length === 0 ? NO_VOLUME : `No volume with ${filter}`)),
      choiceRow(CREATE_VOLUME),
    ],
    actions: [CREATE_VOLUME, { label: `Removed volumes (${facts?.removed.length ?? 0})`, command: open(REMOVED_PAGE) }, ASK_AGAIN],
    hint: filter === '' ? 'Type to find a volume, Enter opens, F8 removes, F7 creates' : `Only with: ${filter}   Esc shows all`,
    help: { title: 'Volumes', text: VOLUMES_HELP },
  };
}

interface VolumeRows {
  readonly heading: string;
  readonly rows: readonly ServerRow[];
}

const NO_ROWS: VolumeRows = { heading: '', rows: [] };

/** The last result. There may be 10,000 volumes, and a key that only moves the focus needs the same rows again. */
let last: VolumeRows & { readonly volumes: readonly ManagedVolumeView[]; readonly filter: string; readonly room: number } = {
  ...NO_ROWS,
  volumes: [],
  filter: '',
  room: 0,
};

function volumeRows(volumes: readonly ManagedVolumeView[], filter: string, room: number): VolumeRows {
  if (last.volumes === volumes && last.filter === filter && last.room === room) return last;
  const shown = filter === '' ? volumes : volumes.filter((volume) => textOf(volume).includes(filter.toLowerCase()));
  const { heading, lines } = tableOf(COLUMNS, shown.map(cellsOf), room);
  const rows = shown.map((volume, index): ServerRow => {
    const { name, universe } = volume;
    const page = volumePage(volume);
    return {
      id: page.id,
      lines: [lines[index] ?? ''],
      command: open(page),
      remove: askRemoval({ name, universe }),
      tone: toneOf(volume),
    };
  });
  last = { heading, rows, volumes, filter, room };
  return last;
}

/** What a filter is compared with. */
function textOf(volume: ManagedVolumeView): string {
  return [volumeText(volume), poolsText(volume), ...volume.holders.map(({ node }) => node)].join(' ').toLowerCase();
}

function cellsOf(volume: ManagedVolumeView): readonly string[] {
  return [
    `${signOf(volume)} ${volumeText(volume)}`,
    shownSize(volume.sizeBytes),
    shownSize(volume.usedBytes),
    poolsText(volume),
    stateText(volume),
  ];
}

function toneOf({ state, waitsForSpace, holders }: ManagedVolumeView): Tone | null {
  if (state !== 'served' || waitsForSpace) return 'problem';
  return holders.length > 0 ? 'ok' : null;
}

function signOf(volume: ManagedVolumeView): string {
  const signs = { ok: '+', warning: '!', problem: '!' } as const;
  const tone = toneOf(volume);
  return tone === null ? '-' : signs[tone];
}

function stateText({ state, reason, waitsForSpace, holders }: ManagedVolumeView): string {
  if (state !== 'served') return `unavailable: ${reason ?? '-'}`;
  if (waitsForSpace) return 'writes wait: its pool is full';
  return holders.map(({ node }) => node).join(', ') || '-';
}

const REMOVED_PAGE: ServerPage = { ...serverPage('removed', removedVolumes), filter: '' };

function removedVolumes(state: ServerState, filter: string): ServerContent {
  const all = factsOf(state)?.removed ?? [];
  const shown = all.filter((volume) => volumeText(volume).toLowerCase().includes(filter.toLowerCase()));
  const columns: readonly ColumnSpec[] = [
    { heading: 'VOLUME', columnsMax: LIST_NAME_COLUMNS_MAX },
    { heading: 'SIZE', alignment: 'right' },
    { heading: 'POOL' },
    { heading: 'KEPT FOR', alignment: 'right' },
    { heading: 'REMOVED BY' },
  ];
  const cells = shown.map((volume) => [
    volumeText(volume),
    shownSize(volume.sizeBytes),
    volume.pool,
    keptText(volume.untilMs - state.wallMs),
    volume.by ?? 'an administrator',
  ]);
  const { heading, lines } = tableOf(columns, cells, rowColumns(state.size));
  const rows = shown.map(({ name, universe }, index): ServerRow => {
    const volume = { name, universe };
    return { id: volumeText(volume), lines: [lines[index] ?? ''], command: ordering(restoration(volume)), remove: null };
  });
  return {
    title: 'Removed volumes',
    rows: [...troubleRows(state), ...listRows(heading, rows, 'No removed volume can be restored')],
    actions: [ASK_AGAIN],
    hint: rows.length === 0 ? 'Esc goes back' : 'Enter restores the volume with its content',
    help: { title: 'Removed volumes', text: REMOVED_HELP },
  };
}
