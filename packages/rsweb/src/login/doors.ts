// Access control: logs users in and out, finds the login of a request, and checks the request's host and origin. Invariants: the answer to
// a wrong token says only that the token is wrong. A valid token is always accepted, even if wrong tokens came from the same address.
// Logins, logouts and wrong tokens are logged at a bounded rate. A POST of a browser must contain the csrf value of the browser's login,
// and must have this server as its origin.

import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { WebToken } from '../config/rswebcfg.ts';
import { type Answer, plain, redirect } from '../http/answer.ts';
import { isOwnHost, isOwnOrigin } from '../http/hosts.ts';
import type { Request } from '../http/request.ts';
import { isSame, Sessions } from './sessions.ts';
import { tokenOf } from './tokens.ts';

/** The login or token of a request. */
export interface Visitor {
  readonly token: WebToken;
  /**
   * The csrf value of the login. Null for a program that sends its token in a header: pages of other sites cannot send that header, so the
   * program needs no csrf value.
   */
  readonly csrf: string | null;
}

export interface DoorSettings {
  readonly isTls: boolean;
  /** Names under which this server may be reached, in lower case. */
  readonly names: readonly string[];
  readonly tokens: readonly WebToken[];
  readonly idleMs: number;
}

const TOKEN_WRONG = 'The token is wrong';

export class Doors {
  readonly sessions: Sessions;
  private readonly log: Log;
  private readonly lines: RateLimitedLog;
  private settings: DoorSettings;

  constructor(settings: DoorSettings, clock: Clock, log: Log) {
    this.settings = settings;
    this.log = log;
    this.lines = new RateLimitedLog(clock, log);
    this.sessions = new Sessions(clock, settings.idleMs);
  }

  /** Applies a configuration. */
  configure(settings: DoorSettings): void {
    this.settings = settings;
    this.sessions.configure(settings.tokens, settings.idleMs);
  }

  close(): void {
    this.lines.close();
  }

  /** Refuses a request that is meant for another host or comes from a page of another site; returns null for other requests. */
  refusal({ host, origin, address }: Request): Answer | null {
    const { names, isTls } = this.settings;
    if (!isOwnHost(host, names)) {
      this.lines.note(`Requests for other hosts from ${address}`, () => {
        this.log.warn(`A request from ${address} was meant for host ${host}: add it to names in [web] if it leads here`);
      });
      return plain(421, 'This server does not have that name: add it to names in [web] of rswebcfg');
    }
    return origin === null || isOwnOrigin(origin, host, isTls) ? null : plain(403, 'A page of another site has sent this request');
  }

  /** Returns the visitor who sends the request, null if the request has no login, or an answer if its token is wrong. */
  visitor(request: Request): Visitor | Answer | null {
    if (request.bearer !== null) {
      const token = this.checked(request.bearer, request.address);
      return typeof token === 'string' ? plain(401, token, { 'WWW-Authenticate': 'Bearer' }) : { token, csrf: null };
    }
    const id = this.idOf(request);
    return id === null ? null : this.sessions.use(id);
  }

  /** Logs in with the token in the form. Returns the answer, or an error message if the token is refused. */
  login(request: Request, next: string): Answer | string {
    const token = this.checked(request.form.get('token')?.trim() ?? '', request.address);
    if (typeof token === 'string') return token;
    const before = this.idOf(request);
    if (before !== null) this.sessions.end(before);
    const id = this.sessions.begin(token);
    const { address } = request;
    this.lines.note(`Logins of token ${token.name}`, () =>
      this.log.info(`Token ${token.name} has logged in from ${address}`, { audit: true, login: token.name, address }),
    );
    return redirect(next, { 'Set-Cookie': this.cookie(request, id) });
  }

  logout(request: Request): Answer {
    const id = this.idOf(request);
    const session = id === null ? null : this.sessions.use(id);
    if (id !== null) this.sessions.end(id);
    const login = session?.token.name;
    if (login !== undefined) {
      this.lines.note(`Logouts of token ${login}`, () => this.log.info(`Token ${login} has logged out`, { audit: true, login }));
    }
    return redirect('/login', { 'Set-Cookie': `${this.cookie(request, '')}; Max-Age=0` });
  }

  /** Refuses a POST that a page of another site may have caused; returns null for other requests. */
  doubt({ origin, form }: Request, { csrf }: Visitor): Answer | null {
    if (csrf === null) return null;
    // Browsers send the header Origin with each form. A request without Origin is therefore not from a form of this server, and is refused.
    if (origin !== null && isSame(form.get('csrf') ?? '', csrf)) return null;
    return plain(403, 'The form is not one of this login: load the page again, and repeat the order there');
  }

  /** Returns the configured token that equals the shown token, or an error message. */
  private checked(shown: string, address: string): WebToken | string {
    const token = shown === '' ? null : tokenOf(shown, this.settings.tokens);
    if (token !== null) return token;
    this.lines.note(`Wrong tokens from ${address}`, () => this.log.warn(`A wrong token came from ${address}`, { audit: true, address }));
    return TOKEN_WRONG;
  }

  private idOf(request: Request): string | null {
    return request.cookies.get(this.cookieName(request)) ?? null;
  }

  private cookie(request: Request, id: string): string {
    return `${this.cookieName(request)}=${id}; Path=/; HttpOnly; SameSite=Strict${this.settings.isTls ? '; Secure' : ''}`;
  }

  /**
   * Returns the name of the cookie, which contains the port. A browser sends the cookies of a host to all ports of the host, and through
   * tunnels, a browser may reach several rswebs at different ports of one host. Each rsweb therefore needs a different cookie name.
   */
  private cookieName({ host }: Request): string {
    const port = /:(\d+)$/.exec(host)?.[1] ?? '0';
    return `${this.settings.isTls ? '__Host-' : ''}rsweb-${port}`;
  }
}
