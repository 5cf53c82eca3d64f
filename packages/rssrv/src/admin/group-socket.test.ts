// Tests the control sockets for groups: answers and refusals, bounds, rights, and undone changes of the group. The tests use real sockets
// in a temporary folder. test/integration/control-group.test.ts tests whether members of the group can connect. Rules: G21.

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HandlersOf } from '@rsio/common/control/control-server';
import { callMethod } from '@rsio/common/control/control-client';
import {
  CONTROL_REQUESTS_OUT_MAX,
  GROUP_REQUESTS_MAX,
  READ_CONNECTIONS_MAX,
  READ_LINE_MAX_BYTES,
  READ_REQUESTS_MAX,
  READ_REQUESTS_OUT_MAX,
} from '@rsio/common/control/limits';
import type { Param } from '@rsio/common/control/method-table';
import { mayCall } from '@rsio/api/rssrv/may-call';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { groupId } from '@rsio/base/files/groups';
import { systemClock } from '@rsio/base/lib/clock';
import { quietLog } from '@rsio/base/log/log';
import { afterEach, beforeEach, expect, test, type TestContext, vi } from 'vitest';
import { byRole, type LocalRole } from '@rsio/common/config/schema/local-roles';
import { GroupSockets } from './group-socket.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

/** Valid parameters of some methods that cannot do without. */
const PARAMS: Partial<Record<ServerMethodName, object>> = {
  'volume-create': { name: 'db', sizeBytes: 512 },
  'volume-remove': { name: 'db' },
  'volume-set': { name: 'db', settings: [] },
  'client-kick': { name: 'big-2' },
  'pool-make': { path: '/srv' },
  'volume-export': { name: 'db', target: '/x' },
};

const UNTIL = { timeout: 60_000, interval: 5 };

let folder: string;
let readSocket: string;
let sockets: GroupSockets;
/** What was refused, and to whom. */
let refused: string[];
let called: string[];
let said: string[];
/** The method `events` answers when this promise resolves. */
let eventsGo: Promise<void>;
const clients: Socket[] = [];

beforeEach((context) => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-rs-'));
  mkdirSync(join(folder, 'rsio/rssrv'), { recursive: true });
  readSocket = socketOf('reader');
  called = [];
  eventsGo = Promise.resolve();
  const handlers = Object.fromEntries(
    (Object.keys(SERVER_METHODS) as ServerMethodName[]).map((method) => [
      method,
      async () => {
        called.push(method);
        if (method === 'events') await eventsGo;
        return method === 'interface-list' ? { interfaces: [] } : {};
      },
    ]),
  ) as unknown as HandlersOf<typeof SERVER_METHODS>;
  said = [];
  const log = { ...quietLog, info: (line: string) => void said.push(line) };
  refused = [];
  sockets = new GroupSockets({
    clock: systemClock,
    log,
    paths: byRole(socketOf),
    handlers: () => handlers,
    userOf: () => 'anna',
    refused: async (method, _params, caller) => void refused.push(`${method} by ${caller?.user}`),
  });
  needGroup(context);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await sockets.close();
  await removeFolder(folder);
});

/** Skips the test unless it runs as root, because only root may change the group of a socket to any group. */
function needGroup(context: TestContext): void {
  const isPossible = process.getuid?.() === 0 && ['daemon', 'sys'].every((name) => groupId(name) !== undefined);
  context.skip(!isPossible, 'needs root, and the groups daemon and sys');
}

function socketOf(role: LocalRole): string {
  return join(folder, 'rsio/rssrv', role);
}

function groups(name: string | null, role: LocalRole = 'reader', more: Parameters<GroupSockets['prepare']>[0] = byRole(() => null)) {
  return { ...more, [role]: name === null ? null : { name, line: 1 } };
}

async function use(name: string | null): Promise<void> {
  await (await sockets.prepare(groups(name))).commit();
}

const isOptional = ({ default: given }: Param): boolean => given !== undefined;

function owner(role: LocalRole = 'reader'): [number, number] {
  const { mode, gid } = statSync(socketOf(role));
  return [mode & 0o777, gid];
}

async function connected(role: LocalRole = 'reader'): Promise<Socket> {
  const socket = connect(socketOf(role));
  clients.push(socket);
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

test('reading is answered, and each change is refused without being executed', async () => {
  await use('daemon');
  expect(owner()).toEqual([0o660, groupId('daemon')]);
  expect(await callMethod(SERVER_METHODS, readSocket, 'interface-list', {}, {})).toEqual({ interfaces: [] });
  const remedy = `members of group daemon may only read through ${readSocket}: run as root or as the user of rssrv`;
  for (const [method, params] of [
    ['reload', {}],
    ['pool-make', { path: '/srv' }],
    ['volume-remove', { name: 'oracle' }],
    ['client-fence', { name: 'big-2' }],
    ['config-check', { text: '' }],
  ] as const) {
    const answer = callMethod(SERVER_METHODS, readSocket, method, params as never, {});
    await expect(answer).rejects.toMatchObject({ code: 'E_RIGHTS', message: `Method ${method} is refused, because ${remedy}` });
  }
  expect(refused).toEqual(['reload', 'pool-make', 'volume-remove', 'client-fence', 'config-check'].map((method) => `${method} by anna`));
  // Programs call `daemon` as a greeting before a long request.
  expect(called.filter((method) => method !== 'daemon')).toEqual(['interface-list']);
});

// Regression: with calls of unknown methods, any member of the group could write audit lines of any length, 3 MB in a second.
test('what a member says of those on whose behalf it asks is not believed, and a long request is refused', async () => {
  await use('daemon');
  const socket = await connected();
  const answers: string[] = [];
  socket.setEncoding('utf8').on('data', (text: string) => answers.push(text));
  socket.write(
    `${JSON.stringify({ id: 1, method: 'interface-list', by: 'root' })}\n${JSON.stringify({ id: 2, method: 'x'.repeat(9_999), by: 'root' })}\n`,
  );
  await vi.waitFor(() => expect(answers.join('').split('\n')).toHaveLength(3), UNTIL);
  expect(answers.join('').length).toBeLessThan(3_000);
  expect(refused).toEqual([]);
  expect(said).toEqual([]);
  socket.write('x'.repeat(READ_LINE_MAX_BYTES + 1));
  await vi.waitFor(() => expect(answers.join('')).toContain('Request line is longer than'), UNTIL);
});

test('readers have connections of their own, and no more', async () => {
  await use('daemon');
  for (let count = 0; count < READ_CONNECTIONS_MAX; count++) await connected();
  const answer = callMethod(SERVER_METHODS, readSocket, 'interface-list', {}, {});
  const message = `More than ${READ_CONNECTIONS_MAX} control connections are open: close one`;
  await expect(answer).rejects.toMatchObject({ code: 'E_LIMIT', message });
});

test('requests whose connections are closed still count, so that they cannot pile up', async () => {
  let go = (): void => undefined;
  eventsGo = new Promise((resolve) => {
    go = resolve;
  });
  await use('daemon');
  for (let sent = 0; sent < READ_REQUESTS_MAX; sent += READ_REQUESTS_OUT_MAX) {
    const socket = await connected();
    const whole = called.length + READ_REQUESTS_OUT_MAX;
    socket.write('{"method": "events"}\n'.repeat(READ_REQUESTS_OUT_MAX));
    await vi.waitFor(() => expect(called).toHaveLength(whole), UNTIL);
  }
  // After this change to another group, all readers are disconnected.
  await use('sys');
  const ask = (): Promise<unknown> => callMethod(SERVER_METHODS, readSocket, 'interface-list', {}, {});
  const message = `${READ_REQUESTS_MAX} requests of readers wait already: try again, or run as the user of rssrv`;
  await vi.waitFor(() => expect(ask()).rejects.toMatchObject({ code: 'E_LIMIT', message }), UNTIL);
  go();
  await vi.waitFor(() => expect(ask()).resolves.toEqual({ interfaces: [] }), UNTIL);
});

test('another group: the socket changes hands, and those of the earlier group are disconnected', async () => {
  await use('daemon');
  const closed = new Promise((resolve) => void connected().then((socket) => socket.once('close', resolve).resume()));
  await callMethod(SERVER_METHODS, readSocket, 'interface-list', {}, {});
  await use('sys');
  await closed;
  expect(owner()).toEqual([0o660, groupId('sys')]);
  const answer = callMethod(SERVER_METHODS, readSocket, 'reload', {}, {});
  await expect(answer).rejects.toThrow('members of group sys may only read');
  await use(null);
  expect(existsSync(readSocket)).toBe(false);
});

test('a change that is taken back leaves everything as it was', async () => {
  await (await sockets.prepare(groups('daemon'))).undo();
  expect(existsSync(readSocket)).toBe(false);
  await use('daemon');
  await (await sockets.prepare(groups('sys'))).undo();
  expect(owner()).toEqual([0o660, groupId('daemon')]);
  await (await sockets.prepare(groups(null))).undo();
  await expect(sockets.prepare(groups('nobody-has-this'))).rejects.toMatchObject({ code: 'E_CONFIG' });
  expect(owner()).toEqual([0o660, groupId('daemon')]);
  const answer = callMethod(SERVER_METHODS, readSocket, 'reload', {}, {});
  await expect(answer).rejects.toThrow('members of group daemon may only read');
});

test('a group that does not exist: no socket remains', async () => {
  await expect(sockets.prepare(groups('nobody-has-this'))).rejects.toMatchObject({ code: 'E_CONFIG' });
  expect(existsSync(readSocket)).toBe(false);
  expect(readFileSync('/etc/group', 'utf8')).not.toContain('nobody-has-this');
});

test('members may pass the folders of the socket, which a strict umask had closed', async () => {
  const folders = [join(folder, 'rsio'), join(folder, 'rsio/rssrv')];
  for (const one of folders) chmodSync(one, 0o700);
  await use('daemon');
  expect(folders.map((one) => statSync(one).mode & 0o777)).toEqual([0o701, 0o701]);
});

function call(role: LocalRole, method: ServerMethodName): Promise<string> {
  return callMethod(SERVER_METHODS, socketOf(role), method, (PARAMS[method] ?? {}) as never, {}).then(
    () => 'done',
    ({ code }: { code: string }) => (code === 'E_PROTOCOL' ? 'done' : code),
  );
}

test.each(['operator', 'administrator', 'reader'] as const)('a method is executed for %s exactly if the table says so', async (role) => {
  await (await sockets.prepare(groups('daemon', role))).commit();
  expect(owner(role)).toEqual([0o660, groupId('daemon')]);
  const methods = (Object.keys(SERVER_METHODS) as ServerMethodName[]).filter(
    (method) => PARAMS[method] !== undefined || Object.values(SERVER_METHODS[method].params as Record<string, Param>).every(isOptional),
  );
  expect(methods.length).toBeGreaterThan(20);
  for (const method of methods) {
    called = [];
    expect([method, await call(role, method)]).toEqual([method, mayCall(role, SERVER_METHODS[method]) ? 'done' : 'E_RIGHTS']);
    expect(called.includes(method), method).toBe(mayCall(role, SERVER_METHODS[method]) || method === 'daemon');
  }
});

test('each group has connections and requests of its own, and the refusal names the group that may', async () => {
  await (await sockets.prepare({ ...groups('daemon'), operator: { name: 'sys', line: 1 } })).commit();
  for (let count = 0; count < READ_CONNECTIONS_MAX; count++) await connected();
  expect(await call('reader', 'interface-list')).toBe('E_LIMIT');
  expect(await call('operator', 'interface-list')).toBe('done');
  for (const client of clients.splice(0)) client.destroy();
  let go = (): void => undefined;
  eventsGo = new Promise((resolve) => {
    go = resolve;
  });
  for (let sent = 0; sent < GROUP_REQUESTS_MAX; sent += CONTROL_REQUESTS_OUT_MAX)
    (await connected('operator')).write('{"method": "events"}\n'.repeat(CONTROL_REQUESTS_OUT_MAX));
  await vi.waitFor(async () => expect(await call('operator', 'interface-list')).toBe('E_LIMIT'), UNTIL);
  expect(await call('reader', 'interface-list')).toBe('done');
  const answer = callMethod(SERVER_METHODS, readSocket, 'volume-remove', { name: 'oracle' } as never, {});
  await expect(answer).rejects.toThrow('run as root or as the user of rssrv, or as a member of group sys');
  go();
});

test('if one socket cannot be opened, none is changed', async () => {
  await use('daemon');
  await expect(sockets.prepare({ ...groups('sys'), administrator: { name: 'nobody-has-this', line: 1 } })).rejects.toMatchObject({
    code: 'E_CONFIG',
  });
  expect(owner()).toEqual([0o660, groupId('daemon')]);
  await expect(sockets.prepare({ ...groups('daemon', 'operator'), administrator: { name: 'nobody-has-this', line: 1 } })).rejects.toThrow();
  expect(existsSync(socketOf('operator'))).toBe(false);
});
