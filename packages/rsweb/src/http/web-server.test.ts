// Tests the server with real sockets and with peers that are slow, send too much or send nonsense. The server refuses or disconnects these
// peers, and still serves others. The tests of the pages check which requests are permitted.

import { connect, Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { quietLog } from '@rsio/base/log/log';
import { plain } from './answer.ts';
import {
  API_ANSWER_MS,
  KEEP_ALIVE_TOLD_SECONDS,
  SILENCE_MS,
  WEB_BODY_MAX_BYTES,
  CONNECTIONS_PER_SOURCE_MAX,
  FORM_FIELDS_MAX,
  WEB_HEADERS_MAX_BYTES,
  WEB_URL_MAX_CHARS,
} from '../limits.ts';
import type { Handler, Reply } from './reply.ts';
import type { Request } from './request.ts';
import { WebServer } from './web-server.ts';

let server: WebServer;
let sockets: Socket[] = [];
let seen: Request[] = [];
let proves: string | null = null;
let reply: (request: Request) => Reply = () => plain(200, 'fine');

beforeEach(async () => {
  seen = [];
  proves = null;
  reply = () => plain(200, 'fine');
  const handler: Handler = (request, proven) => {
    seen.push(request);
    if (proves !== null) proven(proves);
    return reply(request);
  };
  server = new WebServer(null, handler, systemClock, quietLog);
  await server.listen({ address: '127.0.0.1', port: 0 });
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await server.close();
});

/** Sends a text. Resolves with all received data when the server has closed the connection. */
function exchange(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = opened();
    let got = '';
    socket.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
    socket.on('close', () => resolve(got));
    socket.write(text);
  });
}

function opened(): Socket {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

async function statusOf(text: string): Promise<string> {
  return (await exchange(text)).slice(9, 12);
}

function post(body: string, headers = ''): string {
  const type = 'Content-Type: application/x-www-form-urlencoded\r\n';
  return `POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${type}${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

const END = 'Host: a\r\nConnection: close\r\n\r\n';

test.each([
  ['400', `GET / HTTP/1.1\r\nConnection: close\r\n\r\n`],
  ['400', `GET / HTTP/1.1\r\nHost: b\r\n${END}`],
  ['400', `GET /../etc/passwd HTTP/1.1\r\n${END}`],
  ['400', `GET /assets/%2e%2e%2fpasswd HTTP/1.1\r\n${END}`],
  ['400', `GET http://evil.example/ HTTP/1.1\r\n${END}`],
  ['400', `GET / HTTP/1.1\r\nA: b\r\n c\rd\r\n${END}`],
  ['400', `nonsense\r\n\r\n`],
  ['400', `POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n${END}0\r\n\r\n`],
  ['405', `DELETE / HTTP/1.1\r\n${END}`],
  ['405', `OPTIONS / HTTP/1.1\r\n${END}`],
  ['414', `GET /${'a'.repeat(WEB_URL_MAX_CHARS)} HTTP/1.1\r\n${END}`],
  ['431', `GET / HTTP/1.1\r\nA: ${'a'.repeat(WEB_HEADERS_MAX_BYTES)}\r\n${END}`],
  ['413', post('a'.repeat(WEB_BODY_MAX_BYTES + 1))],
  ['413', post('a=1&'.repeat(FORM_FIELDS_MAX + 1))],
  ['415', `POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n${END}{}`],
])('answers %s to a hostile request', async (status, text) => {
  expect(await statusOf(text)).toBe(status);
  expect(seen).toEqual([]);
  expect(await statusOf(`GET / HTTP/1.1\r\n${END}`)).toBe('200');
});

test('a body in chunks is bounded, too', async () => {
  const chunk = `${(8_192).toString(16)}\r\n${'a'.repeat(8_192)}\r\n`;
  const head = 'POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n';
  expect(await statusOf(`${head}${END}${chunk.repeat(3)}0\r\n\r\n`)).toBe('413');
});

test('a request arrives with all that it says', async () => {
  await exchange(post('a=%C3%A4&b=', 'Cookie: c=1\r\nOrigin: http://a\r\nAuthorization: Bearer t\r\n'));
  expect(seen).toMatchObject([{ method: 'POST', path: '/x', host: 'a', origin: 'http://a', bearer: 't', address: '127.0.0.1' }]);
  expect(seen[0]?.form.get('a')).toBe('ä');
  expect(seen[0]?.cookies.get('c')).toBe('1');
});

test('connections that send nothing keep nobody out, not even from their own address', async () => {
  const idle = Array.from({ length: CONNECTIONS_PER_SOURCE_MAX }, opened);
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  const gone = new Promise((resolve) => idle[0]?.once('close', resolve));
  expect(await statusOf(`GET / HTTP/1.1\r\n${END}`)).toBe('200');
  // The server must close the oldest connection to make room for the new one.
  await gone;
});

test('a connection with a token outlives those of strangers', async () => {
  proves = 'anna';
  const mine = opened();
  let got = '';
  mine.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
  mine.write(`GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
  await expect.poll(() => got).toContain('200');
  const idle = Array.from({ length: CONNECTIONS_PER_SOURCE_MAX * 2 }, opened);
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  expect(await statusOf(`GET / HTTP/1.1\r\n${END}`)).toBe('200');
  got = '';
  mine.write(`GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
  await expect.poll(() => got).toContain('200');
});

test('an answer cannot smuggle in headers, and an error of a page is no answer of it', async () => {
  reply = () => plain(200, 'x', { Location: 'a\r\nSet-Cookie: b=1' });
  const answer = await exchange(`GET / HTTP/1.1\r\n${END}`);
  expect(answer).toMatch(/^HTTP\/1.1 500 /);
  expect(answer).not.toContain('Set-Cookie');
  reply = () => {
    throw new Error('secret');
  };
  expect(await exchange(`GET / HTTP/1.1\r\n${END}`)).not.toContain('secret');
});

test('HEAD has the headers and no body', async () => {
  const answer = await exchange(`HEAD / HTTP/1.1\r\n${END}`);
  expect(answer).toContain('Content-Length: 5\r\n');
  expect(answer.endsWith('\r\n\r\n')).toBe(true);
});

test('each answer says once how long the connection stays open, and says less than is true', async () => {
  const answer = await exchange(`GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n${END}`);
  expect(answer.match(/^Keep-Alive: .*$/gim)?.map((line) => line.trim())).toEqual(
    Array(2).fill(`Keep-Alive: timeout=${KEEP_ALIVE_TOLD_SECONDS}`),
  );
  expect(answer.match(/^Connection: .*$/gim)?.map((line) => line.trim())).toEqual(['Connection: keep-alive', 'Connection: close']);
});

test('a program waits longer for an answer than a page, and no longer for its delivery', async () => {
  const waits = vi.spyOn(Socket.prototype, 'setTimeout');
  let during: unknown[] = [];
  reply = () => {
    during = waits.mock.calls.map(([ms]) => ms);
    return plain(200, 'fine');
  };
  await exchange(`GET /x HTTP/1.1\r\n${END}`);
  expect(during).not.toContain(API_ANSWER_MS);
  await exchange(`GET /api/x HTTP/1.1\r\n${END}`);
  expect(during.at(-1)).toBe(API_ANSWER_MS);
  expect(waits.mock.calls.map(([ms]) => ms).slice(during.length)[0]).toBe(SILENCE_MS);
  waits.mockRestore();
});

test('a stream of events tells its owner what the peer has not taken, and when it has gone', async () => {
  let closed = 0;
  reply = () => ({
    open: (sink) => {
      sink.write('data: 1\n\n');
      return () => void closed++;
    },
  });
  const socket = opened();
  socket.write(`GET /live HTTP/1.1\r\nHost: a\r\n\r\n`);
  let got = '';
  socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
  await expect.poll(() => got).toContain('data: 1\n\n');
  expect(got).toContain('Content-Type: text/event-stream');
  socket.destroy();
  await expect.poll(() => closed).toBe(1);
});
