// The page on which a visitor shows a token. Pure. Invariant: it never repeats the token.
// Who may enter is decided in app/doors.ts.

import { bare } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';

export interface Login {
  /** Null: the form has no login to belong to yet. */
  readonly csrf: string | null;
  /** Page to go to afterwards. */
  readonly next: string;
  /** Why the last try failed. */
  readonly trouble: string | null;
  /** Name of this machine. */
  readonly host: string;
}

export function loginPage({ csrf, next, trouble, host }: Login): Html {
  return bare(
    'Log in',
    html`<h1>Log in to ${host}</h1>
<form class="card" method="post" action="/login">${csrf !== null && html`<input type="hidden" name="csrf" value="${csrf}">`}<input type="hidden" name="next" value="${next}">
${trouble !== null && html`<p class="reason bad" role="alert" id="trouble">${trouble}</p>`}
<input type="text" name="user" value="rsweb" autocomplete="username" aria-label="User name" hidden>
<label for="token">Token</label>
<input id="token" name="token" type="password" required autocomplete="current-password" autofocus${trouble !== null && html` aria-invalid="true" aria-describedby="trouble"`}>
<button class="first">Log in</button></form>
<p class="hint">This command on ${host} makes a token: <code>rsweb token NAME</code></p>`,
  );
}
