// The lists of volumes and of removed volumes. The page of a single volume is in volume-page.ts. Pure. Invariant: a state is shown as a
// sign and a word, so that it is readable without colours.

import type { ManagedVolumeView, RemovedVolumeView } from '@rsio/api/views/views';
import { keptText, NO_VOLUME, poolsText, volumeText } from '@rsio/api/views/server-tables';
import { shownSize } from '@rsio/base/lib/units';
import { open } from '../../machine/machine.ts';
import type { Tone } from '../../machine/rows.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { REMOVED_HELP, VOLUMES_HELP } from '../model/help-text.ts';
import { ordering } from '../work/ordering.ts';
import { restoration } from '../work/orders.ts';
import { askRemoval } from '../work/questions.ts';
import { factsOf, offlineRows } from './facts.ts';
import { listPage } from './list-page.ts';
import { CREATE_VOLUME, volumePage } from './volume-page.ts';

export const VOLUMES_PAGE = listPage<ManagedVolumeView>({
  id: 'volumes',
  title: 'Volumes',
  noun: 'volume',
  items: (state) => factsOf(state)?.volumes ?? null,
  unknown: (state, room) => offlineRows(state, 'volumes', room),
  none: NO_VOLUME,
  columns: [
    { heading: '  VOLUME', columnsMax: LIST_NAME_COLUMNS_MAX },
    { heading: 'SIZE', alignment: 'right' },
    { heading: 'USED', alignment: 'right' },
    { heading: 'POOL', columnsMax: 10 },
    { heading: 'HELD BY' },
  ],
  cells: (volume, sign) => [
    sign + volumeText(volume),
    shownSize(volume.sizeBytes),
    shownSize(volume.usedBytes),
    poolsText(volume),
    stateText(volume),
  ],
  tone: toneOf,
  // A list can have 10,000 rows, so the page of a volume and the question before its removal are made only when they are needed.
  row: ({ name, universe }) => ({
    id: volumeText({ name, universe }),
    command: (state) => open(volumePage({ name, universe }))(state),
    remove: (state) => askRemoval({ name, universe })(state),
  }),
  text: (volume) => [volumeText(volume), poolsText(volume), ...volume.holders.map(({ node }) => node)].join(' '),
  add: CREATE_VOLUME,
  actions: (state) => [{ label: `Removed volumes (${factsOf(state)?.removed.length ?? 0})`, command: open(REMOVED_PAGE) }],
  hint: () => 'Type to find a volume, Enter opens, F8 removes, F7 creates',
  help: VOLUMES_HELP,
});

function toneOf({ state, waitsForSpace, holders }: ManagedVolumeView): Tone | null {
  if (state !== 'served' || waitsForSpace) return 'problem';
  return holders.length > 0 ? 'ok' : null;
}

function stateText({ state, reason, waitsForSpace, holders }: ManagedVolumeView): string {
  if (state !== 'served') return `unavailable: ${reason ?? '-'}`;
  if (waitsForSpace) return 'writes wait: its pool is full';
  return holders.map(({ node }) => node).join(', ') || '-';
}

interface KeptVolume extends RemovedVolumeView {
  /** A text that says how long the volume can still be restored. */
  readonly kept: string;
}

const REMOVED_PAGE = listPage<KeptVolume>({
  id: 'removed',
  title: 'Removed volumes',
  noun: null,
  items: (state) => (factsOf(state)?.removed ?? []).map((volume) => ({ ...volume, kept: keptText(volume.untilMs - state.wallMs) })),
  unknown: () => [],
  none: 'No removed volume can be restored',
  columns: [
    { heading: 'VOLUME', columnsMax: LIST_NAME_COLUMNS_MAX },
    { heading: 'SIZE', alignment: 'right' },
    { heading: 'POOL' },
    { heading: 'KEPT FOR', alignment: 'right' },
    { heading: 'REMOVED BY' },
  ],
  cells: (volume) => [volumeText(volume), shownSize(volume.sizeBytes), volume.pool, volume.kept, volume.by ?? 'an administrator'],
  tone: null,
  row: ({ name, universe }) => {
    return { id: volumeText({ name, universe }), command: ordering(restoration({ name, universe })), remove: null };
  },
  text: volumeText,
  add: null,
  hint: (count) => (count === 0 ? 'Esc goes back' : 'Enter restores the volume with its content'),
  help: REMOVED_HELP,
});
