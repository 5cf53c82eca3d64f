// The page that asks for a confirmation before an order that destroys something. Pure. Invariant: the order is sent only by the form on
// this page, which contains all fields of the order.

import { csrfField, framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import type { View } from '../markup/view.ts';
import type { Picture } from '../model/picture.ts';

export interface Order {
  /** A text such as `Remove volume oracle@0`, which is also the label of the button. */
  readonly title: string;
  readonly what: string;
  readonly consequence: string;
  /** The object of the order, such as `volume oracle@0`. */
  readonly object: string;
  /** Fields of the order, without csrf and confirm. */
  readonly fields: Readonly<Record<string, string>>;
  /** Address to which the form is sent, such as /orders/volume-remove. */
  readonly action: string;
  /** Path of the page to which the visitor can go back. */
  readonly href: string;
}

export function confirmPage({ title, what, consequence, object, fields, action, href }: Order, picture: Picture, view: View): Html {
  const body = html`<form class="card" method="post" action="${action}">${csrfField(view)}<input type="hidden" name="confirm" value="${object}">
${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<p><strong>${what}</strong></p><p>${consequence}</p>
<p class="row"><button class="danger">${title}</button> <a class="button" href="${href}">Do nothing</a></p></form>`;
  return framed({ title, heading: `${title}?`, body }, picture, view);
}
