// Forms for orders about objects of this machine, for visitors with the right to manage. For other objects and visitors, a sentence says
// where orders can be given. Pure. Invariants: a form is only for an order that the visitor's token permits. Every form contains the csrf value of the login. The orders and their fields are those of
// orders/order-table.ts. A form keeps its place and its meaning when the state of its volume changes, because a visitor may be about to
// click.

import { PAUSE_MS } from '@rsio/common/control/limits';
import { printDuration } from '@rsio/base/lib/units';
import { csrfField } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import type { View } from '../markup/view.ts';
import { type Application, type Client, isLocal, type Picture, type Server, type Volume } from '../model/picture.ts';

const SIZE = html`pattern="[0-9]+[kmgtpKMGTP]?" required autocomplete="off" size="10"`;
const LIMIT = html`pattern="off|[0-9]+[kmgtpKMGTP]?" autocomplete="off" size="10"`;
const DURATION = html`pattern="[0-9]+(ms|s|m|h)" autocomplete="off" size="10"`;
const NAME = html`pattern="[A-Za-z0-9_.\\-]+" required autocomplete="off"`;

export function volumeOrders(volume: Volume, picture: Picture, view: View): Html | null {
  if (!view.mayManage) return null;
  const machine = picture.servers.find(({ id }) => id === volume.server)?.machine ?? null;
  const order = (name: string, fields: Html): Html => form(name, 'volume', volume.id, view, fields);
  const isServed = isLocal(machine, picture);
  const isAttachable = picture.clients.some((client) => isLocal(client.machine, picture));
  const isAttached = picture.clients.some((client) => isLocal(client.machine, picture) && client.volumes.includes(volume.id));
  return ordersPart(html`${
    isServed
      ? html`${order('volume-snapshot', html`<label>Name of the snapshot <input name="snapshot" ${NAME}></label> <button>Make a snapshot</button>`)}
${order('volume-grow', html`<label>New size, such as 20g <input name="size" ${SIZE}></label> <button>Grow</button>`)}
${order('volume-rename', html`<label>New name <input name="newName" ${NAME}></label> <button>Rename</button>`)}
${order('volume-set', html`<label>Requests per second, or off <input name="iops" ${LIMIT}></label> <label>Bytes per second, such as 100m, or off <input name="bandwidth" ${LIMIT}></label> <button>Limit</button>`)}
${haltOrders(volume, order)}
${order('volume-remove', html`<button class="danger">Remove \u2026</button>`)}`
      : html`<p>Orders about this volume are given at the rsweb of server ${volume.server}.</p>`
  }
${isAttachable && !isAttached && order('attach', html`<button>Attach to this machine</button>`)}
${isAttached && order('detach', html`<button class="danger">Detach from this machine \u2026</button>`)}`);
}

/**
 * Returns the forms to pause, stop, resume and start a volume. A form that does not fit the volume's state is disabled, but still shown.
 */
function haltOrders({ state }: Volume, order: (name: string, fields: Html) => Html): Html {
  const onlyIf = (isPermitted: boolean): Html => (isPermitted ? html`` : html` disabled`);
  const isStopped = state === 'stopped';
  const isServed = !isStopped && state !== 'unavailable';
  const isRunning = onlyIf(isServed && state !== 'paused');
  return html`${order('volume-pause', html`<label>For at most, such as 1m; empty: ${printDuration(PAUSE_MS)} <input name="for" ${DURATION}${isRunning}></label> <button${isRunning}>Pause</button>`)}${order(
    'volume-resume',
    html`<button${onlyIf(state === 'paused')}>Resume</button>`,
  )}${order('volume-stop', html`<button class="danger"${onlyIf(isServed)}>Stop \u2026</button>`)}${order('volume-start', html`<button${onlyIf(isStopped)}>Start</button>`)}`;
}

export function serverOrders({ id, machine }: Server, picture: Picture, view: View): Html | null {
  if (!view.mayManage || !isLocal(machine, picture)) return null;
  const pools = picture.pools.filter(({ server }) => server === id);
  if (pools.length === 0) return null;
  const choice = pools.map((pool) => html`<option value="${pool.id}">${pool.name}</option>`);
  return ordersPart(
    form(
      'volume-create',
      'server',
      id,
      view,
      html`<label>Name of the volume <input name="name" ${NAME}></label> <label>Size, such as 20g <input name="size" ${SIZE}></label>
<label>Pool <select name="pool">${choice}</select></label> <button>Create a volume</button>`,
    ),
  );
}

export function clientOrders({ id, state, machine }: Client, picture: Picture, view: View): Html | null {
  if (!view.mayManage) return null;
  const mayKick = view.mayOrder('client-kick') && state !== 'absent' && picture.servers.some((server) => isLocal(server.machine, picture));
  const applications = isLocal(machine, picture) ? picture.applications.filter(({ reporter }) => reporter === id) : [];
  if (!mayKick && applications.length === 0) return null;
  const kick = form('client-kick', 'client', id, view, html`<button class="danger">End its session \u2026</button>`);
  return ordersPart(html`${mayKick && kick}${applications.length > 0 && applicationOrders(id, applications, view)}`);
}

/** `id`: this machine's client, whose rsapp takes the orders. */
function applicationOrders(id: string, applications: readonly Application[], view: View): Html {
  const choice = applications.map((one) => html`<option value="${one.id}">${one.name}</option>`);
  const nodes = [...new Set(applications.flatMap((one) => one.nodes))].filter((node) => node !== id);
  const others = nodes.map((node) => html`<option value="${node}">${node}</option>`);
  const order = (name: string, fields: Html): Html =>
    form(name, 'client', id, view, html`<label>Application <select name="application">${choice}</select></label> ${fields}`);
  return html`${order('app-start', html`<button>Start on this machine</button>`)}
${order('app-stop', html`<button class="danger">Stop \u2026</button>`)}
${order('app-move', html`<label>To <select name="to"><option value="">the next node</option>${others}</select></label> <button class="danger">Move \u2026</button>`)}
${order('app-enable', html`<button>Enable</button>`)}
${order('app-disable', html`<button class="danger">Disable \u2026</button>`)}
${form('node-drain', 'client', id, view, html`<button class="danger">Give all applications away (drain) \u2026</button>`)}
${form('node-drain-end', 'client', id, view, html`<button>End the drain</button>`)}`;
}

function ordersPart(forms: Html): Html {
  return html`<section id="orders" aria-labelledby="orders-head"><h2 id="orders-head">Orders</h2><div class="orders">
${forms}</div></section>`;
}

function form(order: string, field: string, id: string, view: View, fields: Html): Html {
  if (!view.mayOrder(order)) return html``;
  return html`<form id="order-${order}" method="post" action="/orders/${order}">${csrfField(view)}<input type="hidden" name="${field}" value="${id}">${fields}</form>\n`;
}
