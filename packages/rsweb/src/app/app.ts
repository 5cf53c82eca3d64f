// The routes: which request gets which page. What a page shows is decided in pages/, who may see it in doors.ts. Invariant: no page waits for a
// server or a client; each shows the last picture.

import { hostname } from 'node:os';
import { type Answer, json, ownPath, page, plain, redirect } from '../http/answer.ts';
import type { Assets } from '../http/assets.ts';
import type { Reply } from '../http/reply.ts';
import type { Request } from '../http/request.ts';
import type { Doors, Visitor } from './doors.ts';

export interface AppPorts {
  readonly doors: Doors;
  readonly assets: Assets;
}

export class App {
  private readonly ports: AppPorts;

  constructor(ports: AppPorts) {
    this.ports = ports;
  }

  handle(request: Request): Reply {
    const { doors, assets } = this.ports;
    const { method, path } = request;
    const refusal = doors.refusal(request);
    if (refusal !== null) return refusal;
    if (path.startsWith('/assets/')) return method === 'GET' ? assets.answer(path.slice('/assets/'.length), request.knownTag) : notThere();
    if (path === '/login') return this.login(request);
    const visitor = doors.visitor(request);
    if (visitor === null) return loginFirst(request);
    if ('status' in visitor) return visitor;
    if (method === 'POST') return this.change(request, visitor);
    return this.show(request, visitor);
  }

  private login(request: Request): Answer {
    const next = ownPath((request.method === 'POST' ? request.form : request.query).get('next') ?? '/');
    const outcome = request.method === 'POST' ? this.ports.doors.login(request, next) : null;
    if (outcome !== null && typeof outcome !== 'string') return outcome;
    return page(LOGIN, outcome === null ? 200 : 401);
  }

  private change(request: Request, visitor: Visitor): Answer {
    const doubt = this.ports.doors.doubt(request, visitor);
    if (doubt !== null) return doubt;
    return request.path === '/logout' ? this.ports.doors.logout(request) : notThere();
  }

  private show({ path }: Request, { token }: Visitor): Reply {
    if (path === '/') return plain(200, `Logged in to ${hostname()} as ${token.name}`);
    return path === '/picture.json' ? json({}) : notThere();
  }
}

/** A page sends the browser to the login, and back afterwards; a program gets an error. */
function loginFirst({ method, path }: Request): Answer {
  if (method === 'POST' || path.endsWith('.json') || path === '/live')
    return plain(401, 'Log in first, or send a token as Authorization: Bearer');
  return redirect(path === '/' ? '/login' : `/login?next=${encodeURIComponent(path)}`);
}

function notThere(): Answer {
  return plain(404, 'There is no such page');
}

const LOGIN = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>RSIO: log in</title><link rel="stylesheet" href="/assets/style.css"></head>
<body><main><h1>Log in</h1><form method="post" action="/login"><label>Token
<input name="token" type="password" required autofocus autocomplete="current-password"></label> <button>Log in</button></form></main></body></html>
`;
