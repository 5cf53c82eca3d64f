// Tests control server and client together over real sockets in a temporary folder, and each of them alone against a misbehaving peer. Time
// limits run on a fake clock. The test awaits events of real sockets and never sleeps. Rules: G21.

import { once } from 'node:events';
import { linkSync, mkdirSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { quietLog } from '@rsio/base/log/log';
import { programVersion } from '@rsio/base/lib/version';
import { UNIX_PATH_MAX_BYTES } from '@rsio/base/daemon/limits';
import {
  CONTROL_ANSWER_MS,
  CONTROL_CONNECTIONS_MAX,
  CONTROL_LINE_MAX_BYTES,
  CONTROL_REQUESTS_OUT_MAX,
  CONTROL_TIMEOUT_MS,
} from '@rsio/common/control/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { callControl, type ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { type ControlServer, startControlServer } from '@rsio/common/control/control-server';
import { CONTROL_VERSION } from '@rsio/common/control/method-table';
import { CONTROL_METHODS } from './methods.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let directory: string;
let path: string;
let closing: (() => unknown)[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rsio-c-'));
  path = join(directory, 'run/rsio/rsiod/control');
  closing = [];
});

afterEach(async () => {
  for (const close of closing.reverse()) await close();
  await removeFolder(directory);
});

const status = () => ({ interfaces: [], waiting: [], logs: [], mirrors: [] });

async function serve(handlers: Partial<ControlHandlers>, log = quietLog): Promise<ControlServer> {
  const server = await startControlServer(path, CONTROL_METHODS, handlers, log);
  closing.push(() => server.close());
  return server;
}

interface Answer {
  readonly id: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

interface Raw {
  readonly socket: Socket;
  readonly answers: Answer[];
  readonly closed: Promise<unknown>;
}

async function raw(): Promise<Raw> {
  const socket = connect({ path, allowHalfOpen: true });
  closing.push(() => socket.destroy());
  const closed = new Promise((resolve) => {
    socket.on('end', resolve);
    socket.on('close', resolve);
  });
  socket.on('error', () => {});
  const answers: Answer[] = [];
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) answers.push(JSON.parse(line) as Answer);
  });
  await once(socket, 'connect');
  return { socket, answers, closed };
}

async function ask(bytes: string | Buffer, answersExpected: number): Promise<readonly Answer[]> {
  const { socket, answers } = await raw();
  socket.write(bytes);
  await expect.poll(() => answers.length, { timeout: 5_000, interval: 2 }).toBe(answersExpected);
  return answers;
}

describe('callControl and startControlServer', () => {
  test('carry parameters and result', async () => {
    const seen: unknown[] = [];
    await serve({
      attach: (params) => {
        seen.push(params);
        return { outcomes: [{ volume: 'osl:ä\n', done: true, already: false, device: null, error: null }] };
      },
    });
    const params = { names: ['osl:oracle', '😀'], readOnly: true, server: null, take: 'over' } as const;
    const result = await callControl(path, 'attach', params);
    expect(seen).toEqual([{ ...params, owner: 'person' }]);
    expect(result.outcomes[0]?.volume).toBe('osl:ä\n');
  });

  test('carry an answer far longer than the limit of a request', async () => {
    const text = 'x'.repeat(CONTROL_LINE_MAX_BYTES);
    await serve({
      events: () => ({ missed: 0, last: 1, beganMs: 0, events: [{ number: 1, atMs: 1, object: text, from: text, to: 'up', reason: '' }] }),
    });
    expect((await callControl(path, 'events', { count: 5 })).events[0]?.from).toHaveLength(CONTROL_LINE_MAX_BYTES);
  });

  test('carry the error of a handler with its code and context', async () => {
    await serve({ detach: () => Promise.reject(new RsError('E_IN_USE', 'Volume osl:oracle@0 is mounted on /mnt', { pid: 4711 })) });
    await expect(callControl(path, 'detach', { names: [], force: false })).rejects.toMatchObject({
      code: 'E_IN_USE',
      message: 'Volume osl:oracle@0 is mounted on /mnt',
      context: { pid: 4711 },
    });
  });

  test('a bug in a handler becomes an answer, not the end of the daemon', async () => {
    await serve({
      status: () => {
        throw new TypeError('x is undefined');
      },
    });
    await expect(callControl(path, 'status', {})).rejects.toMatchObject({ code: 'E_INTERNAL', message: 'x is undefined' });
    await expect(callControl(path, 'status', {})).rejects.toMatchObject({ code: 'E_INTERNAL' });
  });

  test('on whose behalf a program asks is logged, on one line and with a bound, and changes nothing else', async () => {
    const said: [string, unknown][] = [];
    await serve({ status }, { ...quietLog, info: (line, fields) => void said.push([line, fields]) });
    const long = `anna\n${'x'.repeat(1_000)}`;
    const answers = await ask(
      `${JSON.stringify({ id: 1, method: 'status', by: 'rsweb token anna' })}\n${JSON.stringify({ id: 2, method: 'status', by: long })}\n`,
      2,
    );
    expect(answers.map(({ error }) => error)).toEqual([undefined, undefined]);
    expect(said[0]).toEqual(['rsweb token anna asks for status', { audit: true, by: 'rsweb token anna' }]);
    expect(said[1]?.[0]).toMatch(/^anna\\nx+ asks for status$/);
    expect(said[1]?.[0].length).toBeLessThan(200);
    expect(await ask('{"id":3,"method":"status","by":{}}\n', 1)).toMatchObject([{ id: 3 }]);
    const unknown = { id: 4, method: 'x'.repeat(9_999), by: 'anna' };
    const wrong = { id: 5, method: 'status', params: { x: 1 }, by: 'anna' };
    const refused = await ask(`${JSON.stringify(unknown)}\n${JSON.stringify(wrong)}\n`, 2);
    expect(refused.map(({ error }) => error?.code)).toEqual(['E_USAGE', 'E_USAGE']);
    expect(said.length).toBe(2);
  });

  test('answers that nobody reads are kept up to a bound, and then the connection with most of them is closed', async () => {
    const text = 'x'.repeat(2_000_000);
    const events = () => ({ missed: 0, last: 1, beganMs: 0, events: [{ number: 1, atMs: 1, object: text, from: '', to: '', reason: '' }] });
    const bounds = { connections: 8, requestsOut: 2, lineBytes: 1_000, unreadBytes: 3_000_000, isTrusted: false };
    const server = await startControlServer(path, CONTROL_METHODS, { events, status }, quietLog, bounds);
    closing.push(() => server.close());
    const [most, few] = [await raw(), await raw()];
    for (const { socket } of [most, few]) socket.pause();
    most.socket.write('{"method":"events"}\n{"method":"events"}\n');
    few.socket.write('{"id":1,"method":"events"}\n');
    expect(await ask('{"id":2,"method":"status"}\n', 1)).toHaveLength(1);
    most.socket.resume();
    await most.closed;
    expect(most.answers.length).toBeLessThan(2);
    few.socket.resume();
    await expect.poll(() => few.answers.length, { timeout: 5_000, interval: 2 }).toBe(1);
  });

  test('requests of one connection are answered in order of completion, by id', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await serve({ status, local: () => held.then(() => ({ attachments: [], awaited: [] })) });
    const { socket, answers } = await raw();
    socket.write('{"id":"slow","method":"local"}\n{"id":2,"method":"status"}\n');
    await expect.poll(() => answers.length, { timeout: 5_000, interval: 2 }).toBe(1);
    expect(answers[0]).toMatchObject({ id: 2 });
    release();
    await expect.poll(() => answers.length, { timeout: 5_000, interval: 2 }).toBe(2);
    expect(answers[1]).toEqual({
      id: 'slow',
      version: CONTROL_VERSION,
      release: programVersion(),
      result: { attachments: [], awaited: [] },
    });
  });

  test('a request in any pieces, also within a letter, is one request', async () => {
    await serve({
      detach: ({ names }) => ({ outcomes: names.map((volume) => ({ volume, done: true, already: true, device: null, error: null })) }),
    });
    const bytes = Buffer.from('{"id":1,"method":"detach","params":{"names":["ä😀"]}}\n');
    const { socket, answers } = await raw();
    for (const byte of bytes) {
      await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
    }
    await expect.poll(() => answers.length, { timeout: 5_000, interval: 2 }).toBe(1);
    expect(answers[0]).toMatchObject({ id: 1, result: { outcomes: [{ volume: 'ä😀' }] } });
  });
});

describe('bad requests', () => {
  test.each([
    ['not JSON', 'hello', 'Request is not JSON', null],
    ['JSON that is no object', '17', 'Request lacks a method', null],
    ['a list', '[]', 'Request lacks a method', null],
    ['no method', '{"id":1}', 'Request lacks a method', null],
    ['an id that is an object', '{"id":{},"method":"status"}', 'Request lacks a method', null],
    ['an unknown method', '{"id":1,"method":"format"}', 'Unknown method format: known are status, attach', 1],
    ['a method of every object', '{"id":1,"method":"constructor"}', 'Unknown method constructor', 1],
    ['a method this daemon has not', '{"id":1,"method":"detach","params":{"names":[]}}', 'Unknown method detach', 1],
    [
      'an unknown parameter',
      '{"id":1,"method":"attach","params":{"name":["a"]}}',
      'Unknown parameter name of attach: known are names, readOnly, server, take',
      1,
    ],
    ['a missing parameter', '{"id":1,"method":"attach"}', 'Parameter names of attach is wrong: give a list of names', 1],
    ['a wrong type', '{"id":1,"method":"attach","params":{"names":["a",7]}}', 'Parameter names of attach is wrong', 1],
    ['parameters that are a list', '{"id":1,"method":"status","params":[]}', 'Parameters of status are not an object', 1],
  ])('%s: E_USAGE, and the connection goes on', async (_, line, message, id) => {
    await serve({ status, attach: () => ({ outcomes: [] }) });
    const answers = await ask(`${line}\n\n  \n{"id":99,"method":"status"}\n`, 2);
    const refused = answers.find((answer) => answer.error !== undefined);
    expect(refused).toMatchObject({ id, error: { code: 'E_USAGE' } });
    expect(refused?.error?.message).toContain(message);
    expect(answers).toContainEqual({ id: 99, version: CONTROL_VERSION, release: programVersion(), result: status() });
  });

  test('a line beyond its bound is answered and the connection closed; other connections continue', async () => {
    await serve({ status });
    const { socket, answers, closed } = await raw();
    socket.write(Buffer.alloc(CONTROL_LINE_MAX_BYTES + 1, 'x'));
    await closed;
    expect(answers).toMatchObject([{ id: null, error: { code: 'E_USAGE' } }]);
    await expect(callControl(path, 'status', {})).resolves.toEqual(status());
  });

  test('a line of exactly the bound is a request', async () => {
    await serve({ status });
    const request = '{"id":1,"method":"status"}';
    const line = `${request}${' '.repeat(CONTROL_LINE_MAX_BYTES - request.length)}\n`;
    expect(await ask(line, 1)).toMatchObject([{ id: 1, result: status() }]);
  });

  test('a request before the end of input (nc -N) is answered, also without line end', async () => {
    await serve({ status });
    const { socket, answers, closed } = await raw();
    socket.end('{"id":1,"method":"status"}');
    await closed;
    expect(answers).toMatchObject([{ id: 1, result: status() }]);
  });

  test('connections beyond the bound get an error and are closed', async () => {
    await serve({ status });
    for (let i = 0; i < CONTROL_CONNECTIONS_MAX; i++) await raw();
    const late = await raw();
    await late.closed;
    expect(late.answers).toMatchObject([{ id: null, error: { code: 'E_LIMIT' } }]);
  });

  test('unanswered requests of one connection are bounded, and all are answered in the end', async () => {
    let running = 0;
    let most = 0;
    const release: (() => void)[] = [];
    const local = async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => release.push(resolve));
      running--;
      return { attachments: [], awaited: [] };
    };
    await serve({ local });
    const { socket, answers } = await raw();
    const count = 3 * CONTROL_REQUESTS_OUT_MAX;
    for (let id = 0; id < count; id++) socket.write(`{"id":${id},"method":"local"}\n`);
    await expect
      .poll(
        () => {
          release.shift()?.();
          return answers.length;
        },
        { timeout: 5_000, interval: 1 },
      )
      .toBe(count);
    expect(most).toBe(CONTROL_REQUESTS_OUT_MAX);
    expect(new Set(answers.map((answer) => answer.id)).size).toBe(count);
  });
});

describe('the socket', () => {
  test('is accessible to the owner alone, and is removed with the server', async () => {
    const server = await serve({ status });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await server.close();
    expect(() => statSync(path)).toThrow('ENOENT');
    closing = [];
  });

  test('of a listening daemon is left to it', async () => {
    await serve({ status });
    await expect(startControlServer(path, CONTROL_METHODS, {}, quietLog)).rejects.toMatchObject({ code: 'E_ALREADY_RUNNING' });
    await expect(callControl(path, 'status', {})).resolves.toEqual(status());
  });

  test('left by a crash is replaced', async () => {
    const first = await serve({ status });
    await first.close();
    closing = [];
    await leaveStaleSocket();
    await expect(callControl(path, 'status', {})).rejects.toMatchObject({ code: 'E_NOT_RUNNING' });
    await serve({ status });
    await expect(callControl(path, 'status', {})).resolves.toEqual(status());
  });

  test('path past the system limit is refused on both sides', async () => {
    path = join(directory, 'x'.repeat(UNIX_PATH_MAX_BYTES));
    await expect(startControlServer(path, CONTROL_METHODS, {}, quietLog)).rejects.toMatchObject({ code: 'E_SOCKET_PATH' });
    await expect(callControl(path, 'status', {})).rejects.toMatchObject({ code: 'E_SOCKET_PATH' });
  });

  test('does not replace another kind of file', async () => {
    path = join(directory, 'control');
    writeFileSync(path, 'a file of a person');
    await expect(startControlServer(path, CONTROL_METHODS, {}, quietLog)).rejects.toMatchObject({ code: 'E_SYSTEM' });
    expect(statSync(path).size).toBe(18);
  });
});

describe('without a working daemon', () => {
  test('the error names the socket and how to start it', async () => {
    await expect(callControl(path, 'status', {})).rejects.toMatchObject({
      code: 'E_NOT_RUNNING',
      message: `rsiod is not running, nothing listens on ${path}: start it with: rsiod --root ${directory}`,
    });
    await expect(callControl('/run/rsio/rsiod/control', 'status', {})).rejects.toMatchObject({ message: /: start it with: rsiod$/ });
  });

  test('a daemon that does not answer is abandoned after the time limit', async () => {
    await serve({ local: () => new Promise(() => {}) });
    const clock = new FakeClock();
    const call = callControl(path, 'local', {}, { timeoutMs: 500, clock });
    expect(clock.timersPending).toBe(1);
    clock.advance(500);
    await expect(call).rejects.toMatchObject({ code: 'E_TIMEOUT' });
  });

  test.each([
    ['closes', '', 'E_RESET'],
    ['answers text', 'hello\n', 'E_PROTOCOL'],
    ['answers another question', '{"id":7,"result":{}}\n', 'E_PROTOCOL'],
    ['answers null', 'null\n', 'E_PROTOCOL'],
    ['answers an error of no shape', answered('"error":17'), 'E_INTERNAL'],
    ['answers another form', answered('"result":{"interfaces":[]}'), 'E_PROTOCOL'],
    [
      'refuses before it has read a request',
      answered('"error":{"code":"E_LIMIT","message":"Too many"}').replace('"id":1', '"id":null'),
      'E_LIMIT',
    ],
    ['answers half', '{"id":1,"result"', 'E_RESET'],
  ])('a daemon that %s', async (_, bytes, code) => {
    await answerAlways(bytes);
    await expect(callControl(path, 'status', {})).rejects.toMatchObject({ code });
  });
});

describe('a peer of another release', () => {
  const ours = programVersion();
  const rsiod = (line: string): Promise<void> => answerAlways(line, join(directory, 'run/rsio/rsiod/control'));

  test('that is newer: the error names both versions and the remedy', async () => {
    await rsiod('{"id":1,"version":7,"release":"9.9.9","result":{"interfaces":[],"waiting":[]}}\n');
    await expect(callControl(path, 'status', {})).rejects.toMatchObject({
      code: 'E_VERSION',
      message: `rsiod (release 9.9.9) uses version 7 of the control interface, this program (release ${ours}) uses version ${CONTROL_VERSION}: use the programs of release 9.9.9, which rsiod runs`,
    });
  });

  test.each([
    ['of an older version', '{"id":1,"version":0,"release":"0.0.1","result":{"interfaces":[],"waiting":[]}}\n', 'uses version 0 of'],
    ['that names none', '{"id":1,"result":{"interfaces":[],"waiting":[]}}\n', 'uses no version of'],
  ])('%s, on the other side: restart it', async (_, line, sentence) => {
    await rsiod(line);
    const error = await callControl(path, 'status', {}).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_VERSION' });
    expect(String(error)).toContain(sentence);
    expect(String(error)).toContain(': restart rsiod, so that it runs the installed release');
  });

  test('of the same version without a newer method', async () => {
    await rsiod(
      '{"id":1,"version":1,"release":"0.0.1","error":{"code":"E_USAGE","message":"Unknown method stats: known are status","context":{"unknown":"stats"}}}\n',
    );
    await expect(callControl(path, 'stats', {})).rejects.toMatchObject({
      code: 'E_VERSION',
      message: `rsiod has release 0.0.1, this program has ${ours} (Unknown method stats: known are status): use one release for both, and restart rsiod if it is older`,
    });
  });

  test('of the same version whose answer lacks an added field', async () => {
    await rsiod('{"id":1,"version":1,"release":"0.0.1","result":{"interfaces":[]}}\n');
    const error = await callControl(path, 'status', {}).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_VERSION' });
    expect(String(error)).toContain('its answer to status has another form (waiting is missing)');
  });

  test('of the same version with later fields, words and envelope: understood', async () => {
    const later = { interfaces: [], waiting: [], logs: [], mirrors: [], later: [1] };
    await rsiod(`${JSON.stringify({ id: 1, version: 1, release: '2.0.0', result: later, took: 3 })}\n`);
    await expect(callControl(path, 'status', {})).resolves.toEqual(later);
  });

  test('identifies itself in any requested version, and refuses everything else', async () => {
    const daemon = {
      program: 'rsiod',
      version: ours,
      control: CONTROL_VERSION,
      methods: [],
      pid: 1,
      nodename: '',
      startedMs: 0,
      configuredMs: 0,
    };
    await serve({ status, daemon: () => daemon });
    const line =
      '{"id":1,"method":"daemon","version":2}\n{"id":2,"method":"status","version":2}\n{"id":3,"method":"status","version":"1"}\n';
    const answers = await ask(line, 3);
    const answer = (id: number) => answers.find((one) => one.id === id);
    expect(answer(1)?.result).toEqual(daemon);
    expect(answer(2)?.error).toMatchObject({
      code: 'E_VERSION',
      message: `Request asks for version 2 of the control interface, this daemon (release ${ours}) uses ${CONTROL_VERSION}: use one release for the daemon and the program that asks, or omit the version`,
    });
    expect(answer(3)?.error).toMatchObject({ code: 'E_VERSION' });
  });

  test('that identifies itself in an unknown version is understood', async () => {
    const daemon = { program: 'rsiod', version: '9.9.9', control: 7, methods: [], pid: 1, nodename: '', startedMs: 0, configuredMs: 0 };
    await rsiod(`${JSON.stringify({ id: 1, version: 7, release: '9.9.9', result: daemon })}\n`);
    await expect(callControl(path, 'daemon', {})).resolves.toMatchObject({ version: '9.9.9', control: 7 });
  });
});

test('a silent daemon is abandoned early, a busy one late', async () => {
  const ask = (clock: FakeClock): Promise<string> =>
    callControl(path, 'detach', { names: [], force: false }, { clock }).then(() => 'answered', String);
  const forever = (): Promise<never> => new Promise(() => {});
  await serve({ detach: forever, daemon: forever });
  const early = new FakeClock();
  const dead = ask(early);
  early.advance(CONTROL_ANSWER_MS);
  expect(await dead).toMatch(/did not answer detach within 10 s, because it hangs or is stopped: .*kill -CONT/);
  await closing.pop()?.();
  // The daemon need not support the method `daemon`, because any answer shows that the daemon is running.
  await serve({ detach: forever });
  const late = new FakeClock();
  const busy = ask(late);
  await expect.poll(() => late.timersPending, { timeout: 5_000, interval: 2 }).toBe(1);
  late.advance(CONTROL_TIMEOUT_MS);
  expect(await busy).toMatch(/has not completed detach within 60 s and continues/);
});

test.each([
  ['rsiod', 'rsclogcat -n 20 shows its log'],
  ['rssrv', 'rsslogcat -n 20 shows its log'],
  ['rsapp', '/var/log/rsio/rsapp.log, or journalctl -u rsapp shows it'],
])('a %s that does not answer is named with the place of its log', async (name, log) => {
  path = join(directory, 'run/rsio', name, 'control');
  await serve({ detach: () => new Promise(() => {}), daemon: () => new Promise(() => {}) });
  const clock = new FakeClock();
  const asked = callControl(path, 'detach', { names: [], force: false }, { clock }).then(() => 'answered', String);
  clock.advance(CONTROL_ANSWER_MS);
  expect(await asked).toContain(log);
});

/** Returns an answer line of our own version to the request with id 1. */
function answered(rest: string): string {
  return `{"id":1,"version":${CONTROL_VERSION},"release":"${programVersion()}",${rest}}\n`;
}

/** Listens on the socket `at`, and answers every connection with `bytes`. */
async function answerAlways(bytes: string, at = join(directory, 'control')): Promise<void> {
  path = at;
  mkdirSync(dirname(path), { recursive: true });
  const server: Server = createServer((socket) => void socket.end(bytes));
  server.listen(path);
  await once(server, 'listening');
  closing.push(() => server.close());
}

/**
 * Makes a stale socket file, as a killed daemon leaves it: links the socket of a listener to a second name, and closes the listener. Starts
 * no second process, because starting a process may take too long on a busy machine.
 */
async function leaveStaleSocket(): Promise<void> {
  const server = createServer().listen(`${path}-listener`);
  await once(server, 'listening');
  linkSync(`${path}-listener`, path);
  server.close();
  await once(server, 'close');
  expect(statSync(path).isSocket()).toBe(true);
}
