// The list of clients, and the page of one client: the state, rights and volumes of the client, and the commands for it. Pure. Invariant:
// no page shows a key. A new key is shown only in the popup after the change that made it.

import type { ClientView } from '@rsio/api/views/views';
import type { RekeyStep } from '@rsio/api/manage/client-rekey';
import { formatTime } from '@rsio/base/log/log-line';
import { clientStateText, NO_CLIENT, rightsText } from '@rsio/api/views/server-tables';
import { open } from '../../machine/machine.ts';
import { problemRow, textRow, type Tone } from '../../machine/rows.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { ADD_CLIENT, changeRights } from '../forms/file-forms.ts';
import { CLIENTS_HELP } from '../model/help-text.ts';
import { idOf, type ServerChoice, type ServerPage, type ServerRow } from '../model/state.ts';
import { rekeying } from '../work/file-orders.ts';
import { ordering } from '../work/ordering.ts';
import { unfence } from '../work/orders.ts';
import { askClientRemoval, askFence, askKick, askRelease } from '../work/questions.ts';
import { factsOf, offlineRows } from './facts.ts';
import { listPage, objectPage } from './list-page.ts';

export const CLIENTS_PAGE = listPage<ClientView>({
  id: 'clients',
  title: 'Clients',
  noun: 'client',
  items: (state) => factsOf(state)?.clients ?? null,
  unknown: (state, room) => offlineRows(state, 'clients', room),
  none: NO_CLIENT,
  columns: [
    { heading: '  CLIENT', columnsMax: LIST_NAME_COLUMNS_MAX },
    { heading: 'STATE', columnsMax: 20 },
    { heading: 'RIGHTS', columnsMax: 24 },
    { heading: 'HOLDS' },
  ],
  cells: (client, sign) => [sign + client.name, clientStateText(client), rightsText(client), client.volumes.join(', ') || '-'],
  tone: clientTone,
  row: ({ name }) => ({ id: name, command: open(clientPage(name)), remove: askClientRemoval(name) }),
  text: ({ name, volumes }) => [name, ...volumes].join(' '),
  add: { label: 'Add client', command: ADD_CLIENT },
  hint: () => 'Type to find a client, Enter opens, F8 removes, F7 adds',
  help: CLIENTS_HELP,
});

function clientTone({ state, fencedMs }: ClientView): Tone | null {
  if (fencedMs !== null || state === 'silent') return 'problem';
  return state === 'connected' ? 'ok' : null;
}

function clientPage(name: string): ServerPage {
  return objectPage(idOf('client', name), (state) => {
    const client = factsOf(state)?.clients.find((each) => each.name === name) ?? null;
    return {
      title: `Client ${name}`,
      details: client === null ? [textRow('No client with this name')] : detailRows(client),
      changes: client === null ? [] : changesOf(client),
      remove: askClientRemoval(name),
      hint: 'Enter executes the selected line, Esc goes back',
      help: { title: 'Client', text: CLIENTS_HELP },
    };
  });
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
  const rekey = (label: string, step: RekeyStep): ServerChoice => ({ label, command: ordering(rekeying(name, step)) });
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
