// The HTML document around every page: head, navigation, landmarks, the notice about the last order, and the live region that announces new
// faults. Pure. Invariant: a page is readable without scripts; the only script keeps the page up to date.

import type { Picture } from '../model/picture.ts';
import { timeText } from './figures.ts';
import { type Html, html, type Part } from './html.ts';
import type { View } from './view.ts';

export interface Frame {
  readonly title: string;
  /** Heading of the page; if it is missing, the title is also the heading. */
  readonly heading?: Part;
  readonly body: Part;
}

const PAGES = [
  ['/', 'Overview'],
  ['/events', 'Events'],
  ['/impact', 'What if?'],
  ['/operations', 'All operations'],
] as const;

/**
 * Pages whose paths begin so stay as they are. A browser cannot reload an answer to an order, such as a confirmation, and /impact would ask
 * all servers at each change.
 */
const STILL = ['/orders/', '/operations', '/impact'];

/** Makes a page for a visitor who is logged in. */
export function framed({ title, heading = title, body }: Frame, picture: Picture, view: View): Html {
  const errors = picture.findings.filter(({ severity }) => severity === 'error').length;
  const links = PAGES.map(
    ([href, name]) => html`<li><a href="${href}"${href === view.path && html` aria-current="page"`}>${name}</a></li>`,
  );
  return document(
    `${errors > 0 ? `(${errors}) ` : ''}${title} - RSIO`,
    html`<body data-page="${STILL.some((prefix) => view.path.startsWith(prefix)) ? 'still' : 'live'}">
<a class="skip" href="#main">Skip to the content</a>
<header class="top"><a class="brand" href="/">${BRAND}<span>RSIO</span></a>
<nav aria-label="Pages"><ul>${links}</ul></nav>
<div class="who"><span id="link" class="link" data-state="off" aria-hidden="true"></span><span>Token <b>${view.token}</b>${!view.mayManage && ', read-only'}</span>
<form method="post" action="/logout">${csrfField(view)}<button class="plain">Log out</button></form></div></header>
<div class="hidden" role="status" aria-live="polite" id="announcer"></div>
<main id="main" tabindex="-1">${view.notice !== null && html`<p class="notice" role="status">${view.notice}</p>`}
<h1>${heading}</h1>
${body}</main>
<footer><p>As of <time id="taken" datetime="${new Date(picture.takenMs).toISOString()}">${timeText(picture.takenMs)}</time></p></footer>
</body>`,
  );
}

/** Makes a page that needs no login. */
export function bare(title: string, body: Part): Html {
  return document(
    `${title} - RSIO`,
    html`<body class="bare"><header class="top"><a class="brand" href="/">${BRAND}<span>RSIO</span></a></header>
<main id="main">${body}</main></body>`,
  );
}

export function csrfField({ csrf }: Pick<View, 'csrf'>): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}">`;
}

function document(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="/assets/style.css">
<script src="/assets/page.js" type="module"></script></head>
${body}</html>
`;
}

const BRAND = html`<svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><path d="M4 9h10l4 7h10M4 23h10l4-7" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/><circle cx="28" cy="16" r="3" fill="currentColor"/></svg>`;
