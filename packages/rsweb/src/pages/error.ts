// The page of an error: the message and the remedy. Pure.
// Invariant: the page needs neither a picture nor a login.

import { bare } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';

export interface ErrorView {
  readonly status: number;
  readonly title: string;
  readonly what: string;
  readonly remedy: string;
}

export function errorPage({ status, title, what, remedy }: ErrorView): Html {
  return bare(
    title,
    html`<h1>${title}</h1>
<p class="reason bad">${what}</p><p>${remedy}</p><p class="hint">Error ${status}</p><p><a class="button" href="/">To the overview</a></p>`,
  );
}
