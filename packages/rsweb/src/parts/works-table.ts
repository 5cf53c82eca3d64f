// The tables of work that takes time, of replications, and of gates. Pure. Invariant: what something waits for, or why it fails, stands in
// its row.

import { leftText, percentOf } from '@rsio/api/views/progress';
import { printDuration, printSize } from '@rsio/base/lib/units';
import { sizeText, speedText } from '../markup/figures.ts';
import { csrfField } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { stateBadge } from '../markup/state.ts';
import { type Column, tableOf } from '../markup/table.ts';
import type { View } from '../markup/view.ts';
import { type Gate, isLocal, type Picture, type Replication, type Work } from '../model/picture.ts';
import { linkTo } from './object-tables.ts';

/** A cell whose long text is broken into lines. */
function wrapped(text: string | null): Html {
  return text === null || text === '' ? html`-` : html`<span class="wrap">${text}</span>`;
}

function where({ server, client }: Pick<Work, 'server' | 'client'>): Html {
  if (server !== null) return linkTo('server', server);
  return client === null ? html`-` : linkTo('client', client);
}

function bar(work: Work): Html {
  const percent = percentOf(work);
  if (percent === null) return html`-`;
  return html`<progress max="100" value="${percent}" aria-label="Done of ${work.kind} ${work.name}">${percent} %</progress> ${percent} %`;
}

/** `picture`: orders are offered only for jobs of this machine. */
export function worksTable(rows: readonly Work[], picture: Picture, view: View): Html {
  const columns: Column<Work>[] = [
    { key: 'kind', title: 'Work', sortBy: ({ kind }) => kind, cell: ({ kind }) => kind },
    { key: 'name', title: 'Volume', sortBy: ({ name }) => name, cell: ({ name }) => name },
    { key: 'about', title: 'From and to', cell: ({ about }) => about },
    { key: 'at', title: 'At', sortBy: ({ server, client }) => server ?? client, cell: where },
    { key: 'done', title: 'Done', sortBy: (work) => percentOf(work), cell: bar },
    {
      key: 'bytes',
      title: 'Bytes',
      isNumber: true,
      cell: ({ doneBytes, totalBytes }) => `${sizeText(doneBytes)} of ${sizeText(totalBytes)}`,
    },
    { key: 'rate', title: 'Rate', isNumber: true, sortBy: (work) => work.bytesPerSecond, cell: (work) => speedText(work.bytesPerSecond) },
    {
      key: 'left',
      title: 'Left',
      isNumber: true,
      sortBy: (work) => work.leftMs,
      cell: ({ leftMs }) => (leftMs === null ? '-' : leftText(leftMs)),
    },
    { key: 'waits', title: 'Waits for', cell: ({ state, waitsFor }) => wrapped(state === 'ending' ? 'being cancelled' : waitsFor) },
  ];
  const mayEnd = view.mayManage && view.mayOrder('job-cancel');
  const orders: Column<Work> = { key: 'order', title: 'Order', cell: (work) => (isLocalJob(work, picture) ? jobOrders(work, view) : '-') };
  const none = 'No work that takes time.';
  return tableOf(
    { id: 'works', caption: 'Work in progress', columns: mayEnd ? [...columns, orders] : columns, rows, rowId: idOf, none },
    view,
  );
}

function isLocalJob({ job, server }: Work, picture: Picture): boolean {
  return job !== null && isLocalServer(server, picture);
}

function isLocalServer(server: string | null, picture: Picture): boolean {
  return isLocal(picture.servers.find(({ id }) => id === server)?.machine ?? null, picture);
}

function jobOrders({ id, job, limitBytes, state }: Work, view: View): Html {
  const limit = html`<input name="limit" aria-label="Most bytes per second of job ${job}, such as 100m, or none" value="${limitBytes === null ? 'none' : printSize(limitBytes)}" pattern="none|[0-9]+[kmgtpKMGTP]?" size="8" autocomplete="off"> <button aria-label="Limit job ${job}">Limit</button>`;
  const end = html`<button class="danger" aria-label="Cancel job ${job}"${state === 'ending' && html` disabled`}>Cancel \u2026</button>`;
  const form = (order: string, fields: Html): Html => rowForm(order, 'work', id, fields, view);
  return html`<div class="row-orders">${form('job-limit', limit)}${form('job-cancel', end)}</div>`;
}

/** `picture`: orders are offered only for followers of this machine. */
export function replicationsTable(rows: readonly Replication[], picture: Picture, view: View): Html {
  const columns: Column<Replication>[] = [
    { key: 'volumes', title: 'Volumes', sortBy: ({ volumes }) => volumes, cell: ({ volumes }) => wrapped(volumes) },
    {
      key: 'direction',
      title: 'Direction',
      sortBy: ({ direction }) => direction,
      cell: ({ direction }) => (direction === 'out' ? 'to' : 'from'),
    },
    { key: 'peer', title: 'Peer', sortBy: ({ peer }) => peer, cell: ({ peer }) => peer },
    { key: 'server', title: 'Server', sortBy: ({ server }) => server, cell: ({ server }) => linkTo('server', server) },
    { key: 'state', title: 'State', sortBy: ({ state }) => state, cell: ({ state }) => stateBadge(state) },
    {
      key: 'age',
      title: 'Age of the moment',
      isNumber: true,
      sortBy: ({ ageMs }) => ageMs,
      cell: ({ ageMs }) => (ageMs === null ? '-' : leftText(ageMs)),
    },
    { key: 'every', title: 'Every', isNumber: true, cell: ({ everyMs }) => (everyMs === 0 ? '-' : printDuration(everyMs)) },
    {
      key: 'backlog',
      title: 'Backlog',
      isNumber: true,
      sortBy: (one) => one.backlogBytes,
      cell: ({ backlogBytes }) => sizeText(backlogBytes),
    },
    { key: 'text', title: 'Why', cell: ({ text }) => wrapped(text) },
  ];
  const orders: Column<Replication> = {
    key: 'order',
    title: 'Order',
    cell: (one) => (one.direction === 'in' && isLocalServer(one.server, picture) ? replicationOrders(one, view) : '-'),
  };
  const none = 'No replication: rsadm volume replicate NAME --to PEER begins one.';
  const shown = view.mayManage && view.mayOrder('volume-promote') ? [...columns, orders] : columns;
  return tableOf({ id: 'replications', caption: 'Replications', columns: shown, rows, rowId: idOf, none }, view);
}

type FollowerOrder = 'drill' | 'reverse' | 'promote';

const ALL: readonly FollowerOrder[] = ['drill', 'reverse', 'promote'];
const WITHOUT_SOURCE: readonly FollowerOrder[] = ['drill', 'promote'];

/** The orders that can work. Volumes that were promoted are no followers any more, and only a source that is connected can be reversed. */
const ORDERS: Readonly<Record<Replication['state'], readonly FollowerOrder[]>> = {
  waiting: ALL,
  copying: ALL,
  failing: ALL,
  absent: WITHOUT_SOURCE,
  ended: WITHOUT_SOURCE,
  refused: WITHOUT_SOURCE,
  diverged: WITHOUT_SOURCE,
  'handing-over': WITHOUT_SOURCE,
  promoted: [],
  closed: [],
  split: [],
};

function replicationOrders({ id, volumes, state }: Replication, view: View): Html | string {
  const form = (order: string, fields: Html): Html => rowForm(order, 'replication', id, fields, view);
  const forms: Readonly<Record<FollowerOrder, () => Html>> = {
    drill: () =>
      form(
        'volume-drill',
        html`<input name="suffix" aria-label="End of the names of the clones of ${volumes}" pattern="[A-Za-z0-9_.\-]+" required size="8" autocomplete="off"> <button aria-label="Make clones of ${volumes} for a drill">Drill</button>`,
      ),
    reverse: () => form('volume-reverse', html`<button class="danger" aria-label="Reverse ${volumes}">Reverse \u2026</button>`),
    promote: () => form('volume-promote', html`<button class="danger" aria-label="Promote ${volumes}">Promote \u2026</button>`),
  };
  // A server of a later release may report another state.
  const offered = Object.hasOwn(ORDERS, state) ? ORDERS[state] : ALL;
  return offered.length === 0 ? '-' : html`<div class="row-orders">${offered.map((order) => forms[order]())}</div>`;
}

function rowForm(order: string, field: string, id: string, fields: Html, view: View): Html {
  return html`<form method="post" action="/orders/${order}">${csrfField(view)}<input type="hidden" name="${field}" value="${id}">${fields}</form>`;
}

export function gatesTable(rows: readonly Gate[], view: View): Html {
  const columns: Column<Gate>[] = [
    { key: 'name', title: 'Gate', sortBy: ({ name }) => name, cell: ({ name }) => name },
    { key: 'protocol', title: 'Protocol', sortBy: ({ protocol }) => protocol, cell: ({ protocol }) => protocol },
    { key: 'client', title: 'Client', sortBy: ({ client }) => client, cell: ({ client }) => linkTo('client', client) },
    { key: 'listens', title: 'Listens at', cell: ({ listening }) => wrapped(listening.join(', ')) },
    { key: 'volumes', title: 'Volumes', cell: ({ volumes }) => wrapped(volumes.join(', ')) },
    { key: 'hosts', title: 'Hosts', cell: ({ hosts }) => wrapped(hosts.join(', ')) },
    { key: 'trouble', title: 'Trouble', cell: ({ trouble }) => wrapped(trouble) },
  ];
  return tableOf({ id: 'gates', caption: 'Gates', columns, rows, rowId: idOf, none: 'No gate.' }, view);
}

function idOf({ id }: { readonly id: string }): string {
  return id;
}
