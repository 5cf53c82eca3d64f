// The first page of the server's part: what there is, and the way to everything. Pure. Invariant: the hint names the next step, and so leads
// a new user to a volume that a client can use.

import { plural } from '@rsio/common/lib/units';
import { open } from '../../machine/machine.ts';
import { columnsOf, EMPTY_ROW, problemRow, textRow } from '../../machine/rows.ts';
import { SERVER_HELP } from '../model/help-text.ts';
import { configIn, type ServerChoice, type ServerContent, serverPage, type ServerPage, type ServerState } from '../model/state.ts';
import { CLIENTS_PAGE } from './clients-page.ts';
import { factsOf } from './facts.ts';
import { INTERFACES_PAGE } from './interfaces-page.ts';
import { POOLS_PAGE } from './pools-page.ts';
import { ASK_AGAIN, troubleRows } from './rows.ts';
import { STATUS_PAGE } from './status-page.ts';
import { CREATE_VOLUME } from './volume-page.ts';
import { VOLUMES_PAGE } from './volumes-page.ts';

const LINES: readonly ServerChoice[] = [
  CREATE_VOLUME,
  { label: 'Volumes', command: open(VOLUMES_PAGE) },
  { label: 'Clients', command: open(CLIENTS_PAGE) },
  { label: 'Pools', command: open(POOLS_PAGE) },
  { label: 'Interfaces', command: open(INTERFACES_PAGE) },
  { label: 'Status', command: open(STATUS_PAGE) },
  { label: 'Leave', command: (state) => state.role.leave(state) },
];

export const MENU_PAGE: ServerPage = { ...serverPage('menu', menu), focusUntilUsed };

function menu(state: ServerState): ServerContent {
  const labels = columnsOf(
    LINES.map(({ label }) => [label, detailOf(state, label)]),
    [0],
  );
  const warnings = factsOf(state)?.warnings ?? [];
  const name = state.view?.daemon.nodename ?? configIn(state)?.server.name;
  return {
    title: name === undefined ? 'RSIO server' : `RSIO server ${name}`,
    rows: [
      ...troubleRows(state),
      ...LINES.map(({ label, command }, index) => ({ id: label, lines: [labels[index] ?? ''], command, remove: null })),
      EMPTY_ROW,
      ...warnings.slice(0, 1).map((warning) => problemRow(`! ${warning}`)),
      ...(warnings.length > 1 ? [textRow(`and ${plural(warnings.length - 1, 'more warning')}: see Status`)] : []),
      textRow(`File ${state.configFile}`),
    ],
    actions: [CREATE_VOLUME, ASK_AGAIN],
    hint: nextStep(state),
    help: { title: 'crsio on a server', text: SERVER_HELP },
  };
}

function detailOf(state: ServerState, label: string): string {
  if (label === 'Leave') return 'F10';
  if (label === 'Create volume') return 'a new volume, handed out to clients';
  const { view } = state;
  if (view === null) return '';
  switch (label) {
    case 'Volumes':
      return `${plural(view.volumes.length, 'volume')}, ${view.volumes.filter(({ holders }) => holders.length > 0).length} held`;
    case 'Clients':
      return `${plural(view.clients.length, 'client')}, ${view.clients.filter((client) => client.state === 'connected').length} connected`;
    case 'Pools':
      return plural(view.pools.length, 'pool');
    case 'Interfaces':
      return `${plural(view.interfaces.length, 'interface')}, ${view.interfaces.filter((each) => each.state === 'listening').length} listening`;
    default: {
      const warnings = factsOf(state)?.warnings.length ?? 0;
      return warnings === 0 ? 'the server on one page' : `the server on one page, ${plural(warnings, 'warning')}`;
    }
  }
}

/** The line of the next step. */
function focusUntilUsed({ view }: ServerState): number {
  const wanted = view === null ? 0 : view.pools.length === 0 ? lineOf('Pools') : view.clients.length === 0 ? lineOf('Clients') : 0;
  return Math.max(0, wanted);
}

function lineOf(label: string): number {
  return LINES.findIndex((line) => line.label === label);
}

function nextStep({ view }: ServerState): string {
  if (view?.pools.length === 0) return 'First add a pool, in which volumes are created: Pools';
  if (view?.clients.length === 0) return 'Now add a client: Clients, or a new name in Create volume';
  return 'Enter opens the selected line, F1 shows help';
}
