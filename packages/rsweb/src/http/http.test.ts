// Tests the pure parts of the HTTP server, even with hostile input: cookies, tokens in headers, paths, hosts, origins, redirects and the
// headers of every answer.

import { describe, expect, test } from 'vitest';
import { ownPath, SECURITY_HEADERS } from './answer.ts';
import { hostName, isOwnHost, isOwnOrigin } from './hosts.ts';
import { COOKIES_MAX, FORM_FIELDS_MAX } from '../limits.ts';
import { parseBearer, parseCookies, parseForm, parsePath } from './request.ts';

describe('cookies', () => {
  test('are read; the first of a name counts', () => {
    expect([...parseCookies('a=1; rsweb-5080=x_Y-z;a=2; q="v"')]).toEqual([
      ['a', '1'],
      ['rsweb-5080', 'x_Y-z'],
      ['q', 'v'],
    ]);
  });

  test.each(['', ';;;', '=', 'a', 'a b=c', `a=${'x'.repeat(10_000)}`, 'a=\r\nSet-Cookie: b', '__proto__'])(
    'malformed ones are left out: %j',
    (header) => {
      expect([...parseCookies(header)]).toEqual([]);
    },
  );

  test('beyond the bound are left out', () => {
    expect(parseCookies(Array.from({ length: 1_000 }, (_, at) => `c${at}=1`).join(';')).size).toBe(COOKIES_MAX);
  });
});

test.each([
  ['Bearer abc', 'abc'],
  ['bearer  a.b-c', 'a.b-c'],
  ['Basic abc', null],
  ['Bearer', null],
  ['Bearer a b', null],
  [`Bearer ${'x'.repeat(600)}`, null],
])('%j carries the token %j', (header, token) => {
  expect(parseBearer(header)).toBe(token);
});

test.each([
  ['/', '/'],
  ['/volume/a%20b', '/volume/a b'],
  ['/volume/%C3%A4', '/volume/ä'],
  ['/assets/../x', null],
  ['/assets/%2e%2e/x', null],
  ['/assets/..%2fx', null],
  ['/assets/%00', null],
  ['/a%0d%0aSet-Cookie:x', null],
  ['/a\\b', null],
  ['/a//b', null],
  ['//evil.example', null],
  ['/%', null],
  ['/%ff', null],
  ['http://evil.example/', null],
  ['*', null],
  ['', null],
])('the path %j becomes %j', (raw, path) => {
  expect(parsePath(raw)).toBe(path);
});

test('a form with too many fields is refused', () => {
  expect(parseForm('a=1&b=2')?.get('b')).toBe('2');
  expect(parseForm('a=1&'.repeat(FORM_FIELDS_MAX + 1))).toBeNull();
});

describe('the host of a request', () => {
  test.each([
    ['localhost:5080', 'localhost'],
    ['[::1]:5080', '::1'],
    ['BIG-9.', 'big-9'],
    ['a b', null],
    ['user@host', null],
    ['', null],
  ])('%j is %j', (header, name) => {
    expect(hostName(header)).toBe(name);
  });

  test.each([
    ['127.0.0.1:5080', true],
    ['[::1]:5080', true],
    ['localhost', true],
    ['big-9:5080', true],
    ['x.example.org', true],
    ['x.y.example.org', false],
    ['example.org', false],
    ['evil.example', false],
    ['big-9.evil.example', false],
    ['127.0.0.1.evil.example', false],
  ])('%s is accepted: %s', (header, expected) => {
    expect(isOwnHost(header, ['big-9', '*.example.org'])).toBe(expected);
  });

  test('an origin is the own one if scheme, host and port are the same', () => {
    expect(isOwnOrigin('http://Big-9:5080', 'big-9:5080', false)).toBe(true);
    for (const origin of ['null', 'ftp://big-9:5080', 'http://big-9', 'http://big-9:5081', 'http://evil.example', '']) {
      expect(isOwnOrigin(origin, 'big-9:5080', false)).toBe(false);
    }
    // A server without TLS may be behind a proxy with TLS, so it accepts an origin with https. A server with TLS must never accept orders
    // from a page that was loaded without TLS.
    expect(isOwnOrigin('https://big-9:5080', 'big-9:5080', false)).toBe(true);
    expect(isOwnOrigin('http://big-9:5080', 'big-9:5080', true)).toBe(false);
  });
});

test.each([
  ['/volume/a', '/volume/a'],
  ['/volume/a%20b?x=1', '/volume/a%20b?x=1'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['https://evil.example', '/'],
  ['/a\r\nSet-Cookie: b=1', '/'],
  ['', '/'],
])('a form may send the browser from %j to %j', (wanted, path) => {
  expect(ownPath(wanted)).toBe(path);
});

test('every answer forbids foreign and inline scripts, frames and guesses', () => {
  const headers = SECURITY_HEADERS;
  const policy = headers['Content-Security-Policy'] ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self'");
  expect(policy).not.toMatch(/unsafe|\*/);
  expect(headers['X-Content-Type-Options']).toBe('nosniff');
});
