// The snapshots of one volume, and the page of one snapshot. Pure. Invariants: the list is asked for only while a page of the volume's
// snapshots is open; a roll back says which content it ends, and a removal is asked for again.

import type { SnapshotView } from '@rsio/api/views/views';
import { volumeText } from '@rsio/api/views/server-tables';
import type { VolumeName } from '@rsio/api/views/values';
import { snapshotName } from '@rsio/base/lib/volume-name';
import { formatTime } from '@rsio/base/log/log-line';
import { shownSize } from '@rsio/base/lib/units';
import { failureText, open, step } from '../../machine/machine.ts';
import { problemRow, textRow } from '../../machine/rows.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { cloneSnapshot, makeSnapshot } from '../forms/volume-forms.ts';
import { SNAPSHOTS_HELP } from '../model/help-text.ts';
import { idOf, isSame, type ServerCommand, type ServerPage, type ServerRow, type ServerState } from '../model/state.ts';
import { lookNow } from '../work/looking.ts';
import { askRollback, askSnapshotRemoval } from '../work/questions.ts';
import { WAITING_ROW } from './rows.ts';
import { listPage, objectPage } from './list-page.ts';

/** Opens the list, and asks for the snapshots at once. */
export function showSnapshots(volume: VolumeName): ServerCommand {
  return (state) => {
    const opened = open(snapshotsPage(volume))(state);
    const looking = lookNow(opened.state);
    return step(looking.state, ...opened.effects, ...looking.effects);
  };
}

function snapshotsIn({ view }: ServerState, volume: VolumeName): readonly SnapshotView[] | null {
  const known = view?.snapshots ?? null;
  return known !== null && isSame(known.of, volume) && known.failure === null ? known.list : null;
}

function unknownRows({ view }: ServerState): ServerRow[] {
  const failure = view?.snapshots?.failure ?? null;
  return failure === null ? [WAITING_ROW] : [problemRow(`! ${failureText(failure)}`)];
}

function snapshotsPage(volume: VolumeName): ServerPage {
  return listPage<SnapshotView>({
    id: idOf('snapshots', volumeText(volume)),
    title: `Snapshots of ${volumeText(volume)}`,
    noun: null,
    items: (state) => snapshotsIn(state, volume),
    unknown: unknownRows,
    none: 'No snapshot',
    columns: [
      { heading: 'SNAPSHOT', columnsMax: LIST_NAME_COLUMNS_MAX },
      { heading: 'MADE' },
      { heading: 'USED', alignment: 'right' },
      { heading: 'READERS', alignment: 'right' },
      { heading: 'BY' },
    ],
    cells: ({ snapshot, createdMs, shownMs, usedBytes, readers, by }) => [
      snapshot,
      formatTime(shownMs ?? createdMs),
      shownSize(usedBytes),
      readers === null ? '-' : String(readers),
      by ?? 'an administrator',
    ],
    tone: null,
    row: ({ id, snapshot }) => ({
      id,
      command: open(snapshotPage(volume, id)),
      remove: askSnapshotRemoval(volume, { id, snapshot }),
    }),
    text: ({ snapshot }) => snapshot,
    add: { label: 'Make a snapshot', command: makeSnapshot(volume) },
    hint: (count) => (count === 0 ? 'Enter makes a snapshot' : 'Enter opens, F8 removes, F7 makes one'),
    help: SNAPSHOTS_HELP,
  });
}

/** `id`: that of the snapshot, because another one can get its name. */
function snapshotPage(volume: VolumeName, id: string): ServerPage {
  return objectPage(idOf('snapshots', `${volumeText(volume)} ${id}`), (state) => {
    const one = snapshotsIn(state, volume)?.find((each) => each.id === id) ?? null;
    if (one === null)
      return {
        title: `Snapshot of ${volumeText(volume)}`,
        details: [textRow('This snapshot does not exist any more')],
        changes: [],
        remove: (now) => step(now),
        hint: 'Esc goes back',
        help: { title: 'Snapshots', text: SNAPSHOTS_HELP },
      };
    const { snapshot, createdMs, shownMs, sizeBytes, usedBytes, by, readers } = one;
    const remove = askSnapshotRemoval(volume, { id, snapshot });
    return {
      title: `Snapshot ${snapshotName(volumeText(volume), snapshot)}`,
      details: [
        textRow(`made:    ${formatTime(shownMs ?? createdMs)} by ${by ?? 'an administrator'}`),
        textRow(`size:    ${shownSize(sizeBytes)}, ${shownSize(usedBytes)} used`),
        textRow(`readers: ${readers ?? '-'}`),
      ],
      changes: [
        { label: 'Make a volume of it', command: cloneSnapshot(volume, { id, snapshot }) },
        { label: 'Roll the volume back to it', command: askRollback(volume, { id, snapshot }) },
        { label: 'Remove', command: remove },
      ],
      remove,
      hint: 'Enter executes the selected line, Esc goes back',
      help: { title: 'Snapshots', text: SNAPSHOTS_HELP },
    };
  });
}
