// The pages of arrays and disks, from which pools are made and disks are replaced. Pure. Invariant: the state of an array is in its text, so
// that it is readable without colours.

import { arrayTrouble, type Disk, type DiskArray } from '@rsio/common/appliance/disks';
import { shownSize } from '@rsio/common/manage/server-tables';
import { open, pageOf, report, step } from '../../machine/machine.ts';
import { EMPTY_ROW, headingRow, problemRow, textRow } from '../../machine/rows.ts';
import { rowColumns } from '../../widgets/border.ts';
import { tableOf } from '../../widgets/table.ts';
import { ADD_POOL, eraseForm, removeForm, replaceMember } from '../work/forms.ts';
import { DISKS_HELP } from '../model/help-text.ts';
import type { ApplianceChoice, AppliancePage, ApplianceRow, ApplianceState } from '../model/state.ts';
import { asking } from '../work/ordering.ts';

const DISK_COLUMNS = [
  { heading: '  DISK' },
  { heading: 'SIZE' },
  { heading: 'MODEL', columnsMax: 20 },
  { heading: 'SERIAL', columnsMax: 20 },
  { heading: 'USE' },
];
const NEW_POOL: ApplianceChoice = { label: 'New pool', command: ADD_POOL };

export const DISKS_PAGE: AppliancePage = pageOf<ApplianceState>('disks', (state) => {
  const { arrays = [], disks = [] } = state.view?.storage ?? {};
  const table = tableOf(DISK_COLUMNS, disks.map(diskCells), rowColumns(state.size));
  return {
    title: 'Disks',
    rows: [
      ...(arrays.length === 0 ? [textRow('No array yet')] : [headingRow('  ARRAY')]),
      ...arrays.map(
        (array): ApplianceRow => ({
          ...{ id: `array ${array.device}`, lines: [arrayText(array)], command: open(arrayPage(array)), remove: null },
          tone: arrayTrouble(array) === null ? 'ok' : 'problem',
        }),
      ),
      EMPTY_ROW,
      headingRow(table.heading),
      ...disks.map(
        (disk, index): ApplianceRow => ({
          ...{ id: `disk ${disk.name}`, lines: [table.lines[index] ?? ''], command: diskCommand(disk), remove: null },
        }),
      ),
      EMPTY_ROW,
      { lines: [NEW_POOL.label], command: ADD_POOL, remove: null },
    ],
    actions: [NEW_POOL],
    hint: arrays.length === 0 ? 'New pool makes an array, a file system and a pool' : 'Enter opens an array, or erases a disk with content',
    help: { title: 'Disks', text: DISKS_HELP },
  };
});

function diskCells({ name, sizeBytes, model, serial, use }: Disk): string[] {
  const sign = use.kind === 'free' ? '-' : '+';
  return [
    `${sign} ${name}`,
    shownSize(sizeBytes),
    model || '-',
    serial || '-',
    use.what ?? (use.kind === 'system' ? 'this appliance' : use.kind),
  ];
}

function diskCommand(disk: Disk): ApplianceChoice['command'] {
  if (disk.use.kind === 'content') return eraseForm(disk.name);
  const text = disk.use.kind === 'free' ? 'It is free: New pool uses it' : `It is in use: ${disk.use.what ?? 'this appliance'}`;
  return (state) => step(report(state, `Disk ${disk.name}`, text));
}

function arrayText(array: DiskArray): string {
  const { name, level, sizeBytes, activity } = array;
  const trouble = arrayTrouble(array);
  const facts = [
    level || 'not running',
    shownSize(sizeBytes),
    ...(trouble === null ? ['all disks work'] : [trouble]),
    ...(activity === null ? [] : [activity]),
  ];
  return `${trouble === null ? '+' : '!'} ${name}: ${facts.join(', ')}`;
}

function changesOf(array: DiskArray): readonly ApplianceChoice[] {
  const { name, device, members, fileSystem } = array;
  const failed = members.filter((one) => one.isFaulty).map((one) => one.disk);
  const out: ApplianceChoice = {
    label: `Take ${failed.join(', ')} out`,
    command: asking('Take the failed disks out', `${failed.join(', ')} can then be pulled or erased`, {
      doing: `Taking ${failed.join(', ')} out`,
      make: async (ports) => {
        await ports.removeFailed(device);
        return `${failed.join(', ')} is out of array ${name}`;
      },
    }),
  };
  const adopt: ApplianceChoice = {
    label: 'Use as a pool',
    command: asking('Use as a pool', 'The array is mounted, and its volumes are served', {
      doing: `Adding pool ${name}`,
      make: async (ports) => {
        await ports.adoptArray(device);
        return `Pool ${name} is served, with the volumes that it has`;
      },
    }),
  };
  return [
    { label: 'Replace a disk', command: replaceMember(array) },
    ...(failed.length === 0 ? [] : [out]),
    ...(fileSystem === null ? [] : [adopt]),
    { label: 'Remove', command: removeForm(array) },
  ];
}

function arrayPage({ name, device }: DiskArray): AppliancePage {
  return pageOf<ApplianceState>(`array ${device}`, ({ view }) => {
    const array = view?.storage.arrays.find((one) => one.device === device && one.name === name);
    const changes = array === undefined ? [] : changesOf(array);
    return {
      title: `Array ${name}`,
      rows: [
        ...(array === undefined ? [problemRow('! This array is not there')] : [textRow(arrayText(array))]),
        ...(array?.members.map(({ disk, isFaulty }) => (isFaulty ? problemRow(`! ${disk}: failed`) : textRow(`+ ${disk}`))) ?? []),
        EMPTY_ROW,
        ...changes.map(({ label, command }): ApplianceRow => ({ lines: [label], command, remove: null })),
      ],
      actions: changes,
      hint: 'Enter executes the selected line, Esc goes back',
      help: { title: 'Array', text: DISKS_HELP },
    };
  });
}
