// The pages of arrays and disks, from which pools are made and disks are replaced. Pure. Invariant: the state of an array is in its text, so
// that it is readable without colours.

import { arrayTrouble, type Disk, type DiskArray, UNKNOWN_CONTENT } from '@rsio/appliance/disks';
import { shownSize } from '@rsio/base/lib/units';
import { open, pageOf, report, step } from '../../machine/machine.ts';
import { choiceRow, commandRow, EMPTY_ROW, headingRow, problemRow, textRow } from '../../machine/rows.ts';
import { rowColumns } from '../../widgets/border.ts';
import { tableOf } from '../../widgets/table.ts';
import { ADD_POOL, eraseForm, removeForm, replaceMember } from '../work/forms.ts';
import { DISKS_HELP } from '../model/help-text.ts';
import type { ApplianceChoice, ApplianceCommand, AppliancePage, ApplianceRow, ApplianceState } from '../model/state.ts';
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
          ...commandRow(open(arrayPage(array)), arrayText(array)),
          id: `array ${array.device}`,
          tone: arrayTrouble(array) === null ? 'ok' : 'problem',
        }),
      ),
      EMPTY_ROW,
      headingRow(table.heading),
      ...disks.map((disk, index) => ({ ...commandRow(diskCommand(disk), table.lines[index] ?? ''), id: `disk ${disk.name}` })),
      EMPTY_ROW,
      choiceRow(NEW_POOL),
    ],
    actions: [NEW_POOL],
    hint: arrays.length === 0 ? 'New pool makes an array, a file system and a pool' : 'Enter opens an array, or erases a disk',
    help: { title: 'Disks', text: DISKS_HELP },
  };
});

function diskCells({ name, sizeBytes, model, serial, use }: Disk): string[] {
  const what = use.what ?? 'this appliance';
  return [`${use.what === UNKNOWN_CONTENT ? '-' : '+'} ${name}`, shownSize(sizeBytes), model || '-', serial || '-', what];
}

function diskCommand(disk: Disk): ApplianceCommand {
  if (disk.use.kind === 'content') return eraseForm(disk.name);
  const text = `It is in use: ${disk.use.what ?? 'this appliance'}`;
  return (state) => step(report(state, `Disk ${disk.name}`, text));
}

function arrayText(array: DiskArray): string {
  const { name, level, sizeBytes, activity } = array;
  const trouble = arrayTrouble(array);
  const facts = [level || 'not running', shownSize(sizeBytes), trouble ?? 'all disks work', ...(activity === null ? [] : [activity])];
  return `${trouble === null ? '+' : '!'} ${name}: ${facts.join(', ')}`;
}

function changesOf(array: DiskArray): readonly ApplianceChoice[] {
  const { name, device, members, fileSystem } = array;
  const faulty = members.filter((one) => one.isFaulty).map((one) => one.disk);
  const failed = faulty.join(', ');
  const out: ApplianceChoice = {
    label: `Take ${failed} out`,
    command: asking('Take the failed disks out', `${failed} can then be pulled or erased`, {
      doing: `Taking ${failed} out`,
      make: (ports) => ports.removeFailed(device),
      done: () => `${failed} is out of array ${name}`,
    }),
  };
  const adopt: ApplianceChoice = {
    label: 'Use as a pool',
    command: asking('Use as a pool', 'The array is mounted, and its volumes are served', {
      doing: `Adding pool ${name}`,
      make: (ports) => ports.adoptArray(device),
      done: () => `Pool ${name} is served, with the volumes that it has`,
    }),
  };
  return [
    { label: 'Replace a disk', command: replaceMember(array) },
    ...(faulty.length === 0 ? [] : [out]),
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
        ...changes.map(choiceRow),
      ],
      actions: changes,
      hint: 'Enter executes the selected line, Esc goes back',
      help: { title: 'Array', text: DISKS_HELP },
    };
  });
}
