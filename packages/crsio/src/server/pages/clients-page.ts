// The list of clients, and the page of one client: its state, rights and volumes, and what can be done with it.
// Pure. Invariant: no page shows a key; only the popup after the change that made it does.

import type { ClientView } from '@rsio/common/control/server/views';
import { plural } from '@rsio/common/lib/units';
import { formatTime } from '@rsio/common/log/log-line';
import { clientStateText, NO_CLIENT, rightsText } from '@rsio/common/manage/server-tables';
import { open } from '../../machine/machine.ts';
import { choiceRow, EMPTY_ROW, problemRow, textRow, type Tone } from '../../machine/rows.ts';
import { rowColumns } from '../../widgets/border.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { type ColumnSpec, tableOf } from '../../widgets/table.ts';
import { ADD_CLIENT, changeRights } from '../forms/file-forms.ts';
import { CLIENTS_HELP } from '../model/help-text.ts';
import {
  idOf,
  type ServerChoice,
  type ServerContent,
  serverPage,
  type ServerPage,
  type ServerRow,
  type ServerState,
} from '../model/state.ts';
import { rekeying } from '../work/file-orders.ts';
import { ordering } from '../work/ordering.ts';
import { unfence } from '../work/orders.ts';
import { askClientRemoval, askFence, askKick, askRelease } from '../work/questions.ts';
import { factsOf, offlineRows } from './facts.ts';
import { ASK_AGAIN, changeRows, listRows, troubleRows } from './rows.ts';

const ADD: ServerChoice = { label: 'Add client', command: ADD_CLIENT };

const COLUMNS: readonly ColumnSpec[] = [
  { heading: '  CLIENT', columnsMax: LIST_NAME_COLUMNS_MAX },
  { heading: 'STATE', columnsMax: 20 },
  { heading: 'RIGHTS', columnsMax: 24 },
  { heading: 'HOLDS' },
];

export const CLIENTS_PAGE: ServerPage = { ...serverPage('clients', clients), filter: '' };

function clients(state: ServerState, filter: string): ServerContent {
  const facts = factsOf(state);
  const room = rowColumns(state.size);
  const all = facts?.clients ?? [];
  const shown = all.filter(({ name, volumes }) => [name, ...volumes].join(' ').toLowerCase().includes(filter.toLowerCase()));
  const { heading, lines } = tableOf(COLUMNS, shown.map(cellsOf), room);
  const rows = shown.map((client, index): ServerRow => {
    const { name } = client;
    return {
      id: name,
      lines: [lines[index] ?? ''],
      command: open(clientPage(name)),
      remove: askClientRemoval(name),
      tone: clientTone(client),
    };
  });
  const counted = filter === '' ? plural(all.length, 'client') : `${shown.length} of ${plural(all.length, 'client')}`;
  return {
    title: facts === null ? 'Clients' : `Clients: ${counted}`,
    rows: [
      ...troubleRows(state),
      ...(facts === null
        ? offlineRows(state, 'clients', room)
        : listRows(heading, rows, all.length === 0 ? NO_CLIENT : `No client with ${filter}`)),
      choiceRow(ADD),
    ],
    actions: [ADD, ASK_AGAIN],
    hint: filter === '' ? 'Type to find a client, Enter opens, F8 removes, F7 adds' : `Only with: ${filter}   Esc shows all`,
    help: { title: 'Clients', text: CLIENTS_HELP },
  };
}

function cellsOf(client: ClientView): readonly string[] {
  const signs = { ok: '+', warning: '!', problem: '!' } as const;
  const tone = clientTone(client);
  return [
    `${tone === null ? '-' : signs[tone]} ${client.name}`,
    clientStateText(client),
    rightsText(client),
    client.volumes.join(', ') || '-',
  ];
}

function clientTone({ state, fencedMs }: ClientView): Tone | null {
  if (fencedMs !== null || state === 'silent') return 'problem';
  return state === 'connected' ? 'ok' : null;
}

function clientPage(name: string): ServerPage {
  return serverPage(idOf('client', name), (state) => clientContent(state, name));
}

function clientContent(state: ServerState, name: string): ServerContent {
  const client = factsOf(state)?.clients.find((each) => each.name === name) ?? null;
  const changes = client === null ? [] : changesOf(client);
  return {
    title: `Client ${name}`,
    rows: [
      ...troubleRows(state),
      ...(client === null ? [textRow('No client with this name')] : detailRows(client)),
      EMPTY_ROW,
      ...changeRows(changes, askClientRemoval(name)),
    ],
    actions: [...changes, ASK_AGAIN],
    hint: 'Enter executes the selected line, Esc goes back',
    help: { title: 'Client', text: CLIENTS_HELP },
  };
}

function detailRows(client: ClientView): ServerRow[] {
  const { state, address, sinceMs, keys, sessionKey, volumes, fencedMs } = client;
  const from = address === null ? '' : ` from ${address}`;
  const since = sinceMs === null ? '' : `, since ${formatTime(sinceMs)}`;
  const stateText = `state:  ${state}${from}${since}`;
  return [
    state === 'silent' ? problemRow(`! ${stateText}: it has a session without a path`) : textRow(stateText),
    ...(fencedMs === null ? [] : [problemRow(`! fenced: kept out since ${formatTime(fencedMs)}`)]),
    textRow(`rights: ${rightsText(client)}`),
    textRow(`keys:   ${keys}${sessionKey === null ? '' : `; its session uses the ${sessionKey} one`}`),
    textRow(`holds:  ${volumes.join(', ') || '-'}`),
  ];
}

function changesOf({ name, keys, fencedMs, volumes }: ClientView): readonly ServerChoice[] {
  const rekey = (label: string, step: 'start' | 'finish' | 'cancel'): ServerChoice => ({
    label,
    command: ordering(rekeying(name, step)),
  });
  return [
    { label: 'Rights', command: changeRights(name) },
    ...(keys > 1
      ? [rekey('Key: drop the old one', 'finish'), rekey('Key: drop the new one', 'cancel')]
      : [rekey('Key: give it a second one', 'start')]),
    { label: 'End its session', command: askKick(name) },
    fencedMs === null ? { label: 'Fence', command: askFence(name) } : { label: 'Let it in again', command: ordering(unfence(name)) },
    ...(volumes.length === 0 ? [] : [{ label: 'End its holds', command: askRelease(name) }]),
    { label: 'Remove', command: askClientRemoval(name) },
  ];
}
