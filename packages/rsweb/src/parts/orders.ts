// Forms for orders about a volume, which visitors with the right to manage get. Pure. Invariant: every form carries the value that proves that this
// page made it; an order that destroys something is asked about on a page of its own.

import { csrfField } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import type { View } from '../markup/view.ts';
import type { Volume } from '../model/picture.ts';

export function ordersPart(volume: Volume, view: View): Html {
  const { state } = volume;
  return html`<section aria-labelledby="orders-head"><h2 id="orders-head">Orders</h2><div class="orders">
${form('volume-snapshot', volume, view, html`<label>Name of the snapshot <input name="snapshot" autocomplete="off"></label> <button>Make a snapshot</button>`)}
${form('volume-grow', volume, view, html`<label>New size, such as 20g <input name="size" required autocomplete="off" pattern="[0-9]+[kmgtp]?"></label> <button>Grow</button>`)}
${state === 'paused' ? form('volume-resume', volume, view, html`<button>Resume</button>`) : state === 'served' && form('volume-pause', volume, view, html`<button>Pause</button>`)}
${form('volume-remove', volume, view, html`<button class="danger">Remove \u2026</button>`)}
</div></section>`;
}

function form(order: string, { id }: Volume, view: View, fields: Html): Html {
  return html`<form method="post" action="/orders/${order}">${csrfField(view)}<input type="hidden" name="volume" value="${id}">${fields}</form>\n`;
}
