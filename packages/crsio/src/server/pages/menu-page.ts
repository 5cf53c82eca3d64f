// The first page of the server, which counts its objects and leads to every other page. Pure. Invariant: the hint names the next step, so
// that a new user who follows the hints gets a volume that a client can use.

import { plural } from '@rsio/base/lib/units';
import { open, pageOf } from '../../machine/machine.ts';
import { EMPTY_ROW, menuRows, problemRow, textRow } from '../../machine/rows.ts';
import { SERVER_HELP } from '../model/help-text.ts';
import { configIn, type ServerChoice, type ServerContent, type ServerPage, type ServerState, type ServerView } from '../model/state.ts';
import { CLIENTS_PAGE } from './clients-page.ts';
import { factsOf } from './facts.ts';
import { INTERFACES_PAGE } from './interfaces-page.ts';
import { OPERATIONS_PAGE } from './operations.ts';
import { POOLS_PAGE } from './pools-page.ts';
import { ASK_AGAIN, troubleRows } from './rows.ts';
import { STATUS_PAGE } from './status-page.ts';
import { CREATE_VOLUME } from './volume-page.ts';
import { VOLUMES_PAGE } from './volumes-page.ts';
import { REPLICATIONS_PAGE, WORKS_PAGE, worksOf } from './works-page.ts';

interface Line extends ServerChoice {
  /** The text beside the label. If `detail` is a function, the text is shown only after rssrv has answered. */
  readonly detail: string | ((view: ServerView) => string);
}

const LINES: readonly Line[] = [
  { ...CREATE_VOLUME, detail: 'a new volume, handed out to clients' },
  {
    label: 'Volumes',
    command: open(VOLUMES_PAGE),
    detail: ({ volumes }) => `${plural(volumes.length, 'volume')}, ${count(volumes, ({ holders }) => holders.length > 0)} held`,
  },
  {
    label: 'Clients',
    command: open(CLIENTS_PAGE),
    detail: ({ clients }) => `${plural(clients.length, 'client')}, ${count(clients, ({ state }) => state === 'connected')} connected`,
  },
  { label: 'Pools', command: open(POOLS_PAGE), detail: ({ pools }) => plural(pools.length, 'pool') },
  {
    label: 'Interfaces',
    command: open(INTERFACES_PAGE),
    detail: ({ interfaces }) =>
      `${plural(interfaces.length, 'interface')}, ${count(interfaces, ({ state }) => state === 'listening')} listening`,
  },
  { label: 'Status', command: open(STATUS_PAGE), detail: (view) => `the server on one page${warningsText(view)}` },
  { label: 'Work in progress', command: open(WORKS_PAGE), detail: (view) => worksText(view) },
  { label: 'Replications', command: open(REPLICATIONS_PAGE), detail: ({ replications }) => plural(replications.length, 'replication') },
  { label: 'All operations', command: open(OPERATIONS_PAGE), detail: 'everything that rssrv can do' },
  { label: 'Leave', command: (state) => state.role.leave(state), detail: 'F10' },
];

function count<T>(items: readonly T[], isCounted: (item: T) => boolean): number {
  return items.filter(isCounted).length;
}

function worksText(view: ServerView): string {
  const works = worksOf({ view }) ?? [];
  const waiting = count(works, ({ state }) => state === 'waiting');
  return works.length === 0 ? 'none' : `${plural(works.length, 'work')}${waiting === 0 ? '' : `, ${waiting} waiting`}`;
}

function warningsText(view: ServerView): string {
  const { length } = factsOf({ view })?.warnings ?? [];
  return length === 0 ? '' : `, ${plural(length, 'warning')}`;
}

export const MENU_PAGE: ServerPage = { ...pageOf('menu', menu), focusUntilUsed };

function menu(state: ServerState): ServerContent {
  const textOf = (detail: Line['detail']): string => (typeof detail === 'string' ? detail : state.view === null ? '' : detail(state.view));
  const warnings = factsOf(state)?.warnings ?? [];
  const name = state.view?.daemon.nodename ?? configIn(state)?.server.name;
  return {
    title: name === undefined ? 'RSIO server' : `RSIO server ${name}`,
    rows: [
      ...troubleRows(state),
      ...menuRows(LINES.map((line) => ({ ...line, detail: textOf(line.detail) }))),
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

/** Returns the index of the menu line that leads to the next step. */
function focusUntilUsed({ view }: ServerState): number {
  const wanted = view?.pools.length === 0 ? 'Pools' : view?.clients.length === 0 ? 'Clients' : CREATE_VOLUME.label;
  return LINES.findIndex(({ label }) => label === wanted);
}

function nextStep({ view }: ServerState): string {
  if (view?.pools.length === 0) return 'First add a pool, in which volumes are created: Pools';
  if (view?.clients.length === 0) return 'Now add a client: Clients, or a new name in Create volume';
  return 'Enter opens the selected line, F1 shows help';
}
