// The page on which a visitor enters a token. Pure. Invariant: the page never repeats the token. The file login/doors.ts decides whether a
// token is accepted.

import { bare } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';

export interface Login {
  /** Always null, because a visitor without a login has no csrf value. */
  readonly csrf: string | null;
  /** Path of the page that is shown after the login. */
  readonly next: string;
  /** Sentence that says why the last attempt to log in failed; null before the first attempt. */
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
