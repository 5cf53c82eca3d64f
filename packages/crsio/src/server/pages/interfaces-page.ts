// The list of the addresses on which the server listens. rssrv knows whether it listens; the file knows the rest.
// Pure. Invariant: an interface that does not listen says why.

import type { InterfaceView } from '@rsio/common/control/server/views';
import { ADDRESS_COLUMNS, commandRow, type Tone } from '../../pages/page.ts';
import { rowColumns } from '../../widgets/border.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { configIn, type ServerState } from '../model/state.ts';
import { INTERFACES_HELP } from './help-text.ts';
import { ASK_AGAIN, listRows, type ServerPage, type ServerRow, troubleRows, WAITING_ROW } from './server-page.ts';
import { tableOf } from '../../widgets/table.ts';

const PORT_COLUMNS = 5;
const ADD = { label: 'Add interface', command: { do: 'edit', dialog: { kind: 'add-interface' } } } as const;

/** From rssrv; if it does not answer, from the file. Null if neither is known. */
export function interfacesOf(state: ServerState): readonly InterfaceView[] | null {
  if (state.view !== null) return state.view.interfaces;
  const config = configIn(state);
  return config?.interfaces.map(({ name, address, port }) => ({ name, address, port, state: 'off', reason: null })) ?? null;
}

export function interfacesPage(state: ServerState): ServerPage {
  const interfaces = interfacesOf(state);
  const { heading, lines } = interfaceTable(interfaces ?? [], rowColumns(state.size));
  const rows = (interfaces ?? []).map((each, index): ServerRow => {
    const remove = { do: 'ask', question: { kind: 'remove-interface', name: each.name } } as const;
    const text = `${each.name} ${each.address}, port ${each.port}: ${each.state}${each.reason === null ? '' : `. ${each.reason}`}`;
    return { lines: [lines[index] ?? ''], command: { do: 'show', title: 'Interface', text }, remove, tone: interfaceTone(each) };
  });
  return {
    title: 'Interfaces',
    rows: [
      ...troubleRows(state),
      ...(interfaces === null ? [WAITING_ROW] : listRows(heading, rows, 'No interface: add one, so that clients can connect')),
      commandRow(ADD.command, ADD.label),
    ],
    actions: [ADD, ASK_AGAIN],
    hint: 'Enter shows the whole entry, F8 removes, F7 adds',
    help: { title: 'Interfaces', text: INTERFACES_HELP },
    filter: null,
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
