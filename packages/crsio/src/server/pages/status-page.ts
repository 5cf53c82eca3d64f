// The status page of the server: warnings, interfaces, pools with their space, clients and volumes on one page. Pure. Invariant: warnings
// come first, and each warning says what to do.

import type { ClientView, ManagedVolumeView } from '@rsio/api/views/views';
import { plural } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';
import { pageOf } from '../../machine/machine.ts';
import { EMPTY_ROW, headingRow, problemRow, textRow } from '../../machine/rows.ts';
import { rowColumns } from '../../widgets/border.ts';
import { STATUS_HELP } from '../model/help-text.ts';
import { configIn, type ServerContent, type ServerRow, type ServerState } from '../model/state.ts';
import { factsOf, offlineRows } from './facts.ts';
import { INTERFACES } from './interfaces-page.ts';
import { type List, listTable } from './list-page.ts';
import { POOLS } from './pools-page.ts';
import { ASK_AGAIN, troubleRows, WAITING_ROW } from './rows.ts';

export const STATUS_PAGE = pageOf('status', status);

function status(state: ServerState): ServerContent {
  const facts = factsOf(state);
  return {
    title: 'Status of rssrv',
    rows: [
      ...troubleRows(state),
      ...serverRows(state),
      ...interfaceRows(state),
      ...(facts === null ? offlineStatus(state) : liveStatus(state, facts)),
    ],
    actions: [ASK_AGAIN],
    hint: 'Up and Down scroll, Esc goes back',
    help: { title: 'Status', text: STATUS_HELP },
  };
}

function liveStatus(state: ServerState, { warnings, pools, volumes, clients }: NonNullable<ReturnType<typeof factsOf>>): ServerRow[] {
  return [
    ...warningRows(warnings),
    headingRow('Pools'),
    ...tableRows(POOLS, pools, 'none: volumes need a pool', state),
    headingRow('Volumes'),
    textRow(volumesText(volumes)),
    headingRow('Clients'),
    ...clientRows(clients),
  ];
}

function offlineStatus(state: ServerState): ServerRow[] {
  if (state.failure === null) return [WAITING_ROW];
  const subjects = [
    ['Pools', 'pools'],
    ['Volumes', 'volumes'],
    ['Clients', 'clients'],
  ] as const;
  return subjects.flatMap(([heading, subject]) => [headingRow(heading), ...offlineRows(state, subject, rowColumns(state.size)).slice(1)]);
}

function serverRows(state: ServerState): ServerRow[] {
  const config = configIn(state);
  const namespace = config === null ? '' : `, namespace ${config.namespace.name} (${config.namespace.namespaceid})`;
  if (state.view === null) return config === null ? [] : [textRow(`server ${config.server.name}${namespace}`)];
  const { nodename, version, pid, startedMs } = state.view.daemon;
  return [textRow(`server ${nodename}${namespace}`), textRow(`release ${version}, pid ${pid}, since ${formatTime(startedMs)}`)];
}

function interfaceRows(state: ServerState): ServerRow[] {
  const interfaces = INTERFACES.items(state);
  return interfaces === null ? [] : [headingRow('Interfaces'), ...tableRows(INTERFACES, interfaces, 'none', state)];
}

function warningRows(warnings: readonly string[]): ServerRow[] {
  return warnings.length === 0 ? [] : [headingRow('Warnings'), ...warnings.map((warning) => problemRow(`! ${warning}`)), EMPTY_ROW];
}

/** Returns the rows of a list. On this page, the rows cannot be chosen. */
function tableRows<T>(list: List<T>, items: readonly T[], none: string, { size }: ServerState): ServerRow[] {
  if (items.length === 0) return [textRow(none)];
  const { lines } = listTable(list, items, rowColumns(size));
  return items.map((item, index) => ({ ...textRow(lines[index] ?? ''), tone: list.tone?.(item) ?? null }));
}

function volumesText(volumes: readonly ManagedVolumeView[]): string {
  const held = volumes.filter(({ holders }) => holders.length > 0).length;
  const lost = volumes.filter(({ state }) => state !== 'served').length;
  return `${plural(volumes.length, 'volume')}, ${held} held, ${lost} unavailable`;
}

function clientRows(clients: readonly ClientView[]): ServerRow[] {
  const there = clients.filter(({ state }) => state !== 'absent');
  const absent = clients.length - there.length;
  const rows = there.map(({ name, state, address, volumes }): ServerRow => {
    const holds = volumes.length === 0 ? 'holds nothing' : `holds ${volumes.join(', ')}`;
    const isSilent = state === 'silent';
    const text = `${isSilent ? '!' : '+'} ${name}  ${state}${address === null ? '' : ` from ${address}`}, ${holds}`;
    return { ...textRow(text), tone: isSilent ? 'problem' : 'ok' };
  });
  const others = absent === 0 ? [] : [textRow(`- ${plural(absent, there.length === 0 ? 'client' : 'other client')} not connected`)];
  return rows.length + others.length === 0 ? [textRow('none: a client needs a key')] : [...rows, ...others];
}
