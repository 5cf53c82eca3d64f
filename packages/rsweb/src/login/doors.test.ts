// Tests that a valid token is always accepted, even after wrong tokens from the same address. Also tests cookies and their flags, the end
// of a login, and requests from pages of other sites or under another host name (DNS rebinding).

import { beforeEach, describe, expect, test } from 'vitest';
import { quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { Answer } from '../http/answer.ts';
import type { Request } from '../http/request.ts';
import { SESSION_MAX_MS, SESSIONS_PER_TOKEN_MAX } from '../limits.ts';
import { hashOf, newToken } from './tokens.ts';
import { Doors, type DoorSettings } from './doors.ts';

const IDLE_MS = 60_000;
const token = newToken();
const anna = { name: 'anna', sha256: hashOf(token), rights: 'manage' } as const;
const settings: DoorSettings = { isTls: false, names: ['big-9'], tokens: [anna], idleMs: IDLE_MS };

let clock = new FakeClock();
let doors = new Doors(settings, clock, quietLog);

beforeEach(() => {
  clock = new FakeClock();
  doors = new Doors(settings, clock, quietLog);
});

function request(more: Partial<Omit<Request, 'form'>> & { form?: Record<string, string> } = {}): Request {
  const { form = {}, ...rest } = more;
  return {
    method: 'GET',
    path: '/',
    query: new URLSearchParams(),
    host: '127.0.0.1:5080',
    origin: null,
    cookies: new Map(),
    bearer: null,
    knownTag: '',
    address: '127.0.0.1',
    json: '',
    accept: '',
    orderId: null,
    lastEvent: null,
    ...rest,
    form: new URLSearchParams(form),
  };
}

function loginFrom(address: string, shown = token, host = '127.0.0.1:5080'): Answer | string {
  return doors.login(request({ form: { token: shown }, address, host }), '/');
}

function cookieOf(answer: Answer | string): string {
  return typeof answer === 'string' ? '' : String(answer.headers?.['Set-Cookie'] ?? '');
}

function cookiesOf(answer: Answer | string): ReadonlyMap<string, string> {
  const [name = '', value = ''] = cookieOf(answer).split(';')[0]?.split('=') ?? [];
  return new Map([[name, value]]);
}

describe('a login', () => {
  test('gives a cookie that scripts and other sites do not get', () => {
    expect(cookieOf(loginFrom('127.0.0.1'))).toMatch(/^rsweb-5080=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
    doors.configure({ ...settings, isTls: true });
    expect(cookieOf(loginFrom('127.0.0.1'))).toMatch(/^__Host-rsweb-5080=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/);
  });

  test('ends after idle time, at the latest after a day, and with its token', () => {
    const cookies = cookiesOf(loginFrom('127.0.0.1'));
    const isIn = (): boolean => doors.visitor(request({ cookies })) !== null;
    for (let spentMs = 0; spentMs + IDLE_MS < SESSION_MAX_MS; spentMs += IDLE_MS) {
      clock.advance(IDLE_MS);
      expect(isIn()).toBe(true);
    }
    clock.advance(IDLE_MS);
    clock.advance(1);
    expect(isIn()).toBe(false);

    const again = cookiesOf(loginFrom('127.0.0.1'));
    clock.advance(IDLE_MS + 1);
    expect(doors.visitor(request({ cookies: again }))).toBeNull();

    const last = cookiesOf(loginFrom('127.0.0.1'));
    doors.configure({ ...settings, tokens: [{ ...anna, rights: 'view' }] });
    expect(doors.visitor(request({ cookies: last }))).toBeNull();
  });

  test('ends with a logout, and only that one', () => {
    const [one, other] = [cookiesOf(loginFrom('127.0.0.1')), cookiesOf(loginFrom('127.0.0.1'))];
    expect(cookieOf(doors.logout(request({ cookies: one })))).toContain('Max-Age=0');
    expect(doors.visitor(request({ cookies: one }))).toBeNull();
    expect(doors.visitor(request({ cookies: other }))).toMatchObject({ token: anna });
  });

  test('beyond the bound ends the one that is idle longest', () => {
    const first = cookiesOf(loginFrom('127.0.0.1'));
    clock.advance(1);
    const second = cookiesOf(loginFrom('127.0.0.1'));
    clock.advance(1);
    for (let count = 2; count <= SESSIONS_PER_TOKEN_MAX; count++) loginFrom('127.0.0.1');
    expect(doors.visitor(request({ cookies: first }))).toBeNull();
    expect(doors.visitor(request({ cookies: second }))).not.toBeNull();
  });

  test.each(['', 'x', `${token}x`, token.slice(1), anna.sha256])('fails with the wrong token %j', (shown) => {
    expect(loginFrom('127.0.0.1', shown)).toBe('The token is wrong');
    expect(doors.visitor(request({ bearer: shown }))).toMatchObject({ status: 401 });
  });

  test('with the right token passes, however many wrong ones came from its address', () => {
    for (let count = 0; count < 200; count++) loginFrom('127.0.0.1', 'wrong');
    expect(cookieOf(loginFrom('127.0.0.1'))).not.toBe('');
    expect(doors.visitor(request({ bearer: token }))).toMatchObject({ token: anna });
  });

  test('of one token ends none of another one', () => {
    const [viewing, viewer] = [newToken(), { name: 'viewer', rights: 'view' } as const];
    doors.configure({ ...settings, tokens: [anna, { ...viewer, sha256: hashOf(viewing) }] });
    const cookies = cookiesOf(loginFrom('127.0.0.1'));
    for (let count = 0; count < 200; count++) loginFrom('127.0.0.1', viewing);
    expect(doors.visitor(request({ cookies }))).toMatchObject({ token: anna });
  });

  test('and a logout are logged at a bounded rate, and what was left out is counted', () => {
    const lines: string[] = [];
    const note = (line: string): void => void lines.push(line);
    const loud = new Doors(settings, clock, { ...quietLog, info: note, warn: note });
    for (let count = 0; count < 200; count++) {
      const cookies = cookiesOf(loud.login(request({ form: { token } }), '/'));
      loud.logout(request({ cookies }));
      loud.login(request({ form: { token: 'wrong' } }), '/');
    }
    loud.close();
    expect(lines.length).toBeLessThan(3 * 40);
    expect(lines[0]).toBe('Token anna has logged in from 127.0.0.1');
    for (const kind of ['Logins of token anna', 'Logouts of token anna', 'Wrong tokens from 127.0.0.1']) {
      expect(lines.filter((line) => line.startsWith(`${kind}: `)).length).toBe(1);
    }
  });
});

describe('a request', () => {
  test('is refused if it is meant for another host, or a page of another site sends it', () => {
    const statusOf = (more: Partial<Request>): number | undefined => doors.refusal(request({ ...more, form: {} }))?.status;
    expect(statusOf({})).toBeUndefined();
    expect(statusOf({ origin: 'http://127.0.0.1:5080' })).toBeUndefined();
    expect(statusOf({ host: 'evil.example:5080', origin: 'http://evil.example:5080' })).toBe(421);
    expect(statusOf({ origin: 'http://evil.example' })).toBe(403);
    expect(statusOf({ origin: 'null' })).toBe(403);
  });

  test('changes something only with the csrf value of its login and an origin, or with a token in a header', () => {
    const visitor = { token: anna, csrf: 'c'.repeat(43) };
    const origin = 'http://127.0.0.1:5080';
    const statusOf = (more: { origin?: string; form?: Record<string, string> }): number | undefined =>
      doors.doubt(request(more), visitor)?.status;
    expect(statusOf({ origin, form: { csrf: visitor.csrf } })).toBeUndefined();
    expect(statusOf({ form: { csrf: visitor.csrf } })).toBe(403);
    expect(statusOf({ origin })).toBe(403);
    expect(statusOf({ origin, form: { csrf: '' } })).toBe(403);
    expect(statusOf({ origin, form: { csrf: 'd'.repeat(43) } })).toBe(403);
    expect(doors.doubt(request(), { token: anna, csrf: null })).toBeNull();
  });
});
