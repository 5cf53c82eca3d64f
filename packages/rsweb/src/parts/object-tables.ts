// The tables of clients, servers, pools, mirrors, paths and events, which several pages show. Pure. Invariant: the name of every other
// object is a link to the object's page.

import { dayText, soonestMs } from '@rsio/api/views/capacity';
import type { Client, Event, Mirror, Path, Picture, Pool, Server } from '../model/picture.ts';
import { hrefOf } from '../model/ids.ts';
import { groupsOf } from '../markup/lists.ts';
import { latencyText, numberText, sinceText, sizeText, speedText, timeText } from '../markup/figures.ts';
import { type Html, html } from '../markup/html.ts';
import { spaceBar, usedShare } from './space.ts';
import { stateBadge } from '../markup/state.ts';
import { type Column, tableOf } from '../markup/table.ts';
import type { View } from '../markup/view.ts';

export function linkTo(page: Parameters<typeof hrefOf>[0], id: string, text = id): Html {
  return html`<a href="${hrefOf(page, id)}">${text}</a>`;
}

export function poolsTable(rows: readonly Pool[], view: View, none = 'No pool: rsadm pool add NAME PATH makes one.'): Html {
  const fullMs = (pool: Pool): number | null => soonestMs({ week: pool.fullInWeekPaceMs, month: pool.fullInMonthPaceMs });
  const columns: Column<Pool>[] = [
    { key: 'name', title: 'Pool', sortBy: ({ name }) => name, cell: ({ id, name }) => linkTo('pool', id, name) },
    { key: 'server', title: 'Server', sortBy: ({ server }) => server, cell: ({ server }) => linkTo('server', server) },
    { key: 'state', title: 'State', sortBy: ({ state }) => state, cell: poolState },
    { key: 'used', title: 'Used', isNumber: true, sortBy: usedShare, cell: spaceBar },
    { key: 'free', title: 'Free', isNumber: true, sortBy: ({ freeBytes }) => freeBytes, cell: ({ freeBytes }) => sizeText(freeBytes) },
    { key: 'size', title: 'Size', isNumber: true, sortBy: ({ totalBytes }) => totalBytes, cell: ({ totalBytes }) => sizeText(totalBytes) },
    {
      key: 'promised',
      title: 'Promised',
      isNumber: true,
      sortBy: ({ promisedBytes }) => promisedBytes,
      cell: ({ promisedBytes }) => sizeText(promisedBytes),
    },
    { key: 'full', title: 'Full', isNumber: true, sortBy: fullMs, cell: (pool) => dayText(fullMs(pool), view.nowMs) },
    { key: 'volumes', title: 'Volumes', isNumber: true, sortBy: ({ volumes }) => volumes, cell: ({ volumes }) => volumes },
  ];
  return tableOf({ id: 'pools', caption: 'Pools', columns, rows, rowId: ({ id }) => id, none }, view);
}

/** Returns the state with the server that serves the pool, or the reason why no server does. */
function poolState({ state, reason }: Pool): Html {
  return html`${stateBadge(state)}${reason !== null && html` <span class="wrap">${reason}</span>`}`;
}

export function serversTable(rows: readonly Server[], { paths }: Picture, view: View): Html {
  const columns: Column<Server>[] = [
    { key: 'name', title: 'Server', sortBy: ({ name }) => name, cell: ({ id, name }) => linkTo('server', id, name) },
    { key: 'state', title: 'State', sortBy: ({ state }) => state, cell: ({ state }) => stateBadge(state) },
    { key: 'namespace', title: 'Namespace', sortBy: ({ namespace }) => namespace, cell: ({ namespace }) => namespace },
    { key: 'version', title: 'Version', sortBy: ({ version }) => version, cell: ({ version }) => version ?? '-' },
    { key: 'paths', title: 'Paths up', isNumber: true, cell: ({ id }) => pathsText(paths.filter(({ server }) => server === id)) },
    ...loadColumns<Server>(),
  ];
  return tableOf({ id: 'servers', caption: 'Servers', columns, rows, rowId: ({ id }) => id, none: 'No server answers.' }, view);
}

export function clientsTable(rows: readonly Client[], { paths }: Picture, view: View): Html {
  const pathsOf = groupsOf(paths, ({ client }) => client);
  const columns: Column<Client>[] = [
    { key: 'name', title: 'Client', sortBy: ({ name }) => name, cell: ({ id, name }) => linkTo('client', id, name) },
    { key: 'state', title: 'State', sortBy: clientState, cell: (client) => stateBadge(clientState(client)) },
    { key: 'address', title: 'Address', sortBy: ({ address }) => address, cell: ({ address }) => address ?? '-' },
    {
      key: 'since',
      title: 'Connected for',
      isNumber: true,
      sortBy: ({ sinceMs }) => (sinceMs === null ? null : -sinceMs),
      cell: ({ sinceMs }) => sinceText(sinceMs, view.nowMs),
    },
    { key: 'paths', title: 'Paths up', isNumber: true, cell: ({ id }) => pathsText(pathsOf.get(id) ?? []) },
    { key: 'volumes', title: 'Volumes', isNumber: true, sortBy: ({ volumes }) => volumes.length, cell: ({ volumes }) => volumes.length },
    ...loadColumns<Client>(),
  ];
  return tableOf(
    { id: 'clients', caption: 'Clients', columns, rows, rowId: ({ id }) => id, none: 'No client: rsadm client add NAME lets one connect.' },
    view,
  );
}

export function clientState({ state, fencedMs }: Client): string {
  return fencedMs === null ? state : 'fenced';
}

export function mirrorsTable(rows: readonly Mirror[], view: View): Html {
  const columns: Column<Mirror>[] = [
    {
      key: 'name',
      title: 'Mirror',
      sortBy: ({ name }) => name,
      cell: ({ id, name, universe }) => linkTo('mirror', id, `${name}@${universe}`),
    },
    { key: 'state', title: 'State', sortBy: mirrorState, cell: (mirror) => stateBadge(mirrorState(mirror)) },
    { key: 'size', title: 'Size', isNumber: true, sortBy: ({ sizeBytes }) => sizeBytes, cell: ({ sizeBytes }) => sizeText(sizeBytes) },
    { key: 'servers', title: 'Replicas on', cell: ({ replicas }) => replicas.map(({ serverName }) => serverName).join(', ') },
    {
      key: 'voters',
      title: 'Voters that answer',
      isNumber: true,
      cell: ({ voters }) => `${voters.filter(({ answers }) => answers).length} of ${voters.length}`,
    },
    { key: 'left', title: 'Left to copy', isNumber: true, cell: ({ replicas }) => leftText(replicas) },
    {
      key: 'holder',
      title: 'Held by',
      sortBy: ({ holder }) => holder,
      cell: ({ holder }) => (holder === null ? '-' : linkTo('client', holder)),
    },
  ];
  return tableOf(
    { id: 'mirrors', caption: 'Mirrors', columns, rows, rowId: ({ id }) => id, none: 'No mirror: rsconfig mirror create makes one.' },
    view,
  );
}

/** Returns the state of the mirror's configuration; if the configuration is `known`, returns the worst state of the mirror's replicas. */
export function mirrorState({ state, replicas }: Mirror): string {
  if (state !== 'known') return state;
  return (['behind', 'copying'] as const).find((worst) => replicas.some((replica) => replica.state === worst)) ?? 'in sync';
}

function leftText(replicas: Mirror['replicas']): string {
  const left = replicas.reduce((sum, { leftBytes }) => sum + (leftBytes ?? 0), 0);
  return left === 0 ? '-' : sizeText(left);
}

export function pathsTable(rows: readonly Path[], view: View): Html {
  const columns: Column<Path>[] = [
    {
      key: 'from',
      title: 'From',
      sortBy: ({ client, interface: name }) => `${client} ${name ?? ''}`,
      cell: ({ client, interface: name }) => html`${linkTo('client', client)} ${name}`,
    },
    {
      key: 'to',
      title: 'To',
      sortBy: ({ server, address }) => `${server} ${address}`,
      cell: ({ server, address }) => html`${linkTo('server', server)} ${address}`,
    },
    { key: 'state', title: 'State', sortBy: ({ state }) => state, cell: ({ state }) => stateBadge(state) },
    {
      key: 'since',
      title: 'For',
      isNumber: true,
      sortBy: ({ sinceMs }) => -sinceMs,
      cell: ({ sinceMs }) => sinceText(sinceMs, view.nowMs),
    },
    {
      key: 'round',
      title: 'Round trip',
      isNumber: true,
      sortBy: ({ roundTripMs }) => roundTripMs,
      cell: ({ roundTripMs }) => latencyText(roundTripMs === null ? null : roundTripMs * 1_000),
    },
    {
      key: 'sent',
      title: 'Sent',
      isNumber: true,
      sortBy: ({ sentBytesPerSecond }) => sentBytesPerSecond,
      cell: ({ sentBytesPerSecond }) => speedText(sentBytesPerSecond),
    },
    {
      key: 'received',
      title: 'Received',
      isNumber: true,
      sortBy: ({ receivedBytesPerSecond }) => receivedBytesPerSecond,
      cell: ({ receivedBytesPerSecond }) => speedText(receivedBytesPerSecond),
    },
    {
      key: 'cipher',
      title: 'Encryption',
      sortBy: ({ cipher }) => cipher,
      cell: ({ cipher, state }) => cipher ?? (state === 'up' ? 'plain' : '-'),
    },
    // The error of a path that is up again is over, and stands in the events.
    { key: 'error', title: 'Last error', cell: ({ state, lastError }) => (state === 'up' ? '-' : (lastError ?? '-')) },
  ];
  return tableOf({ id: 'paths', caption: 'Paths', columns, rows, rowId: ({ id }) => id, none: 'No path.' }, view);
}

export function eventsTable(rows: readonly Event[], view: View): Html {
  const columns: Column<Event>[] = [
    {
      key: 'time',
      title: 'Time',
      sortBy: ({ atMs }) => atMs,
      cell: ({ atMs }) => html`<time datetime="${new Date(atMs).toISOString()}">${timeText(atMs)}</time>`,
    },
    { key: 'machine', title: 'Machine', sortBy: ({ machine }) => machine, cell: ({ machine }) => machine },
    {
      key: 'object',
      title: 'Object',
      sortBy: ({ object }) => object,
      cell: ({ object, href }) => (href === null ? object : html`<a href="${href}">${object}</a>`),
    },
    {
      key: 'change',
      title: 'Change',
      sortBy: ({ to }) => to,
      cell: ({ from, to }) => html`<span class="muted">${from} \u2192</span> ${stateBadge(to)}`,
    },
    { key: 'reason', title: 'Reason', cell: ({ reason }) => html`<span class="wrap">${reason}</span>` },
  ];
  return tableOf(
    { id: 'events', caption: 'Events', columns, rows, rowId: ({ machine, id }) => `${machine}-${id}`, none: 'Nothing has changed.' },
    view,
  );
}

function pathsText(paths: readonly Path[]): string {
  return paths.length === 0 ? '-' : `${numberText(paths.filter(({ state }) => state === 'up').length)} of ${numberText(paths.length)}`;
}

function loadColumns<T extends Pick<Server, 'load'>>(): Column<T>[] {
  return [
    {
      key: 'read',
      title: 'Read',
      isNumber: true,
      sortBy: ({ load }) => load.readBytesPerSecond,
      cell: ({ load }) => speedText(load.readBytesPerSecond),
    },
    {
      key: 'written',
      title: 'Written',
      isNumber: true,
      sortBy: ({ load }) => load.writtenBytesPerSecond,
      cell: ({ load }) => speedText(load.writtenBytesPerSecond),
    },
  ];
}
