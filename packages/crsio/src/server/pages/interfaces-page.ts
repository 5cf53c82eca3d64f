// The list of the addresses on which the server listens. rssrv knows whether it listens; the file knows the rest.
// Pure. Invariant: an interface that does not listen says why.

import type { InterfaceView } from '@rsio/common/control/server/views';
import { report, step } from '../../machine/machine.ts';
import { ADDRESS_COLUMNS, choiceRow, type Tone } from '../../machine/rows.ts';
import { rowColumns } from '../../widgets/border.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { tableOf } from '../../widgets/table.ts';
import { ADD_INTERFACE } from '../forms/file-forms.ts';
import { INTERFACES_HELP } from '../model/help-text.ts';
import { configIn, type ServerChoice, type ServerContent, serverPage, type ServerRow, type ServerState } from '../model/state.ts';
import { askInterfaceRemoval } from '../work/questions.ts';
import { ASK_AGAIN, listRows, troubleRows, WAITING_ROW } from './rows.ts';

const PORT_COLUMNS = 5;
const ADD: ServerChoice = { label: 'Add interface', command: ADD_INTERFACE };

/** From rssrv; if it does not answer, from the file. Null if neither is known. */
export function interfacesOf(state: ServerState): readonly InterfaceView[] | null {
  if (state.view !== null) return state.view.interfaces;
  const config = configIn(state);
  return config?.interfaces.map(({ name, address, port }) => ({ name, address, port, state: 'off', reason: null })) ?? null;
}

export const INTERFACES_PAGE = serverPage('interfaces', interfaceList);

function interfaceList(state: ServerState): ServerContent {
  const interfaces = interfacesOf(state);
  const { heading, lines } = interfaceTable(interfaces ?? [], rowColumns(state.size));
  const rows = (interfaces ?? []).map((each, index): ServerRow => {
    const text = `${each.name} ${each.address}, port ${each.port}: ${each.state}${each.reason === null ? '' : `. ${each.reason}`}`;
    return {
      id: each.name,
      lines: [lines[index] ?? ''],
      command: (now) => step(report(now, 'Interface', text)),
      remove: askInterfaceRemoval(each.name),
      tone: interfaceTone(each),
    };
  });
  return {
    title: 'Interfaces',
    rows: [
      ...troubleRows(state),
      ...(interfaces === null ? [WAITING_ROW] : listRows(heading, rows, 'No interface: add one, so that clients can connect')),
      choiceRow(ADD),
    ],
    actions: [ADD, ASK_AGAIN],
    hint: 'Enter shows the whole entry, F8 removes, F7 adds',
    help: { title: 'Interfaces', text: INTERFACES_HELP },
  };
}

export function interfaceTable(interfaces: readonly InterfaceView[], room: number): ReturnType<typeof tableOf> {
  return tableOf(
    [
      { heading: '  INTERFACE', columnsMax: LIST_NAME_COLUMNS_MAX },
      { heading: 'ADDRESS', columnsMin: ADDRESS_COLUMNS },
      { heading: 'PORT', alignment: 'right', columnsMin: PORT_COLUMNS },
      { heading: 'STATE' },
    ],
    interfaces.map((each) => [
      `${signOf(each)} ${each.name}`,
      each.address,
      String(each.port),
      each.reason === null ? each.state : `${each.state}: ${each.reason}`,
    ]),
    room,
  );
}

export function interfaceTone({ state }: InterfaceView): Tone | null {
  return state === 'listening' ? 'ok' : state === 'waiting' ? 'problem' : null;
}

function signOf(each: InterfaceView): string {
  return { listening: '+', waiting: '!', off: '-' }[each.state];
}
