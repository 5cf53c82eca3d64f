// The list of the addresses on which the server listens. rssrv reports whether it listens on an interface; all other facts come from the
// file. Pure. Invariant: if rssrv does not listen on an interface, the row of the interface says why.

import type { InterfaceView } from '@rsio/api/views/views';
import { report, step } from '../../machine/machine.ts';
import { ADDRESS_COLUMNS } from '../../machine/rows.ts';
import { LIST_NAME_COLUMNS_MAX } from '../../widgets/limits.ts';
import { ADD_INTERFACE } from '../forms/file-forms.ts';
import { INTERFACES_HELP } from '../model/help-text.ts';
import { configIn, type ServerState } from '../model/state.ts';
import { askInterfaceRemoval } from '../work/questions.ts';
import { type List, listPage } from './list-page.ts';
import { WAITING_ROW } from './rows.ts';

const PORT_COLUMNS = 5;

export const INTERFACES: List<InterfaceView> = {
  id: 'interfaces',
  title: 'Interfaces',
  noun: null,
  items: interfacesOf,
  unknown: () => [WAITING_ROW],
  none: 'No interface: add one, so that clients can connect',
  columns: [
    { heading: '  INTERFACE', columnsMax: LIST_NAME_COLUMNS_MAX },
    { heading: 'ADDRESS', columnsMin: ADDRESS_COLUMNS },
    { heading: 'PORT', alignment: 'right', columnsMin: PORT_COLUMNS },
    { heading: 'STATE' },
  ],
  cells: ({ name, address, port, state, reason }, sign) => [
    sign + name,
    address,
    String(port),
    reason === null ? state : `${state}: ${reason}`,
  ],
  tone: ({ state }) => (state === 'listening' ? 'ok' : state === 'waiting' ? 'problem' : null),
  row: ({ name, address, port, state, reason }) => {
    const text = `${name} ${address}, port ${port}: ${state}${reason === null ? '' : `. ${reason}`}`;
    return { id: name, command: (now) => step(report(now, 'Interface', text)), remove: askInterfaceRemoval(name) };
  },
  text: null,
  add: { label: 'Add interface', command: ADD_INTERFACE },
  hint: () => 'Enter shows the whole entry, F8 removes, F7 adds',
  help: INTERFACES_HELP,
};

export const INTERFACES_PAGE = listPage(INTERFACES);

/**
 * Returns the interfaces as rssrv last reported them. Without a report, returns the interfaces in the file; null if the file cannot be
 * used.
 */
function interfacesOf(state: ServerState): readonly InterfaceView[] | null {
  if (state.view !== null) return state.view.interfaces;
  const config = configIn(state);
  return config?.interfaces.map(({ name, address, port }) => ({ name, address, port, state: 'off', reason: null })) ?? null;
}
