// Tests listening sockets on loopback addresses: a change does not disturb the sockets that stay, errors name the interface, a failure
// leaves no socket open, and the server tries a missing address again. test/integration tests connections. Rules: G14.

import net from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ServerInterfaceConfig } from '@rsio/common/config/schema/types';
import { type Clock, systemClock } from '@rsio/base/lib/clock';
import { type Log, quietLog } from '@rsio/base/log/log';
import { MISSING_ADDRESS_RETRY_MS } from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { ListeningSockets, addressMissingText } from './listening-sockets.ts';

const open: ListeningSockets[] = [];
const sockets: net.Socket[] = [];

afterEach(() => {
  vi.restoreAllMocks();
  for (const opened of open.splice(0)) opened.closeAll();
  for (const socket of sockets.splice(0)) socket.destroy();
});

function listen(clock: Clock = systemClock): { sockets: ListeningSockets; heard: string[]; said: string[] } {
  const heard: string[] = [];
  const said: string[] = [];
  const log: Log = { ...quietLog, info: (line) => void said.push(line), warn: (line) => void said.push(line) };
  const made = new ListeningSockets({
    clock,
    log,
    connected: (socket, listening) => {
      heard.push(`${listening.config.name}${listening.isClosed ? ' closed' : ''}`);
      socket.destroy();
    },
    addressCame: () => void said.push('came'),
  });
  open.push(made);
  return { sockets: made, heard, said };
}

/** Makes each attempt to listen on `address` fail, as if this machine lacked the address, until the returned function is called. */
function without(address: string): () => void {
  const real: unknown = Reflect.get(net.Server.prototype, 'listen');
  const spy = vi.spyOn(net.Server.prototype, 'listen');
  spy.mockImplementation(function (this: net.Server, ...given: unknown[]) {
    const [options, done] = given as [net.ListenOptions, () => void];
    if (options.host !== address) return Reflect.apply(real as () => net.Server, this, [options, done]);
    setImmediate(() => this.emit('error', Object.assign(new Error('not available'), { code: 'EADDRNOTAVAIL' })));
    return this;
  });
  return () => spy.mockRestore();
}

/** Advances the clock, and resolves after the next attempt to listen on missing addresses. */
async function later(clock: FakeClock): Promise<void> {
  clock.advance(MISSING_ADDRESS_RETRY_MS);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen({ host: '127.53.1.1', port: 0 }, resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

function at(name: string, address: string, port: number): ServerInterfaceConfig {
  return { name, address, prefixLength: null, port };
}

/** Returns true if a connection to the address is accepted. */
function reach({ address, port }: ServerInterfaceConfig): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port });
    sockets.push(socket);
    socket.on('error', () => resolve(false));
    socket.on('end', () => resolve(true));
    socket.resume();
  });
}

test('a change opens new sockets, keeps unchanged ones under their new name, and closes the rest', async () => {
  const port = await freePort();
  const [first, second] = [at('if1', '127.53.1.1', port), at('if2', '127.53.2.1', port)];
  const { sockets: made, heard } = listen();
  await made.open([first, second]);
  expect([await reach(first), await reach(second)]).toEqual([true, true]);
  made.keep([{ ...first, name: 'lan1' }]);
  expect([await reach(first), await reach(second)]).toEqual([true, false]);
  expect(heard).toEqual(['if1', 'if2', 'lan1']);
  made.closeAll();
  expect(await reach(first)).toBe(false);
});

test('a change opens all sockets or none, and names the one that fails', async () => {
  const port = await freePort();
  const { sockets: made } = listen();
  const [first, second] = [at('if1', '127.53.1.1', port), at('if2', '127.53.2.1', port)];
  await listen().sockets.open([second]);
  await expect(made.open([first, second])).rejects.toMatchObject({
    code: 'E_ADDRESS_IN_USE',
    message: expect.stringMatching(/127\.53\.2\.1 port \d+ \(interface if2\): another program uses the port/),
  });
  expect(await reach(first)).toBe(false);
  await made.open([first]);
  await expect(listen().sockets.open([first])).rejects.toMatchObject({ code: 'E_ADDRESS_IN_USE' });
  expect(await reach(first)).toBe(true);
});

describe('an address that the machine lacks', () => {
  test('does not keep the others from being served, is reported, and is listened on once it appears', async () => {
    const port = await freePort();
    const clock = new FakeClock();
    const { sockets: made, said } = listen(clock);
    const [first, second] = [at('if1', '127.53.1.1', port), at('if2', '127.53.2.1', port)];
    const comes = without('127.53.2.1');
    const missing = await made.open([first, second]);
    expect(missing.map(addressMissingText)).toEqual([
      `Cannot listen on 127.53.2.1 port ${port} (interface if2): this machine does not have the address. Correct it, or bring the interface up; meanwhile the server serves on its other interfaces [E_ADDRESS_MISSING]`,
    ]);
    expect([await reach(first), await reach(second)]).toEqual([true, false]);
    expect(made.listening([second, first])).toEqual([first]);
    await later(clock);
    expect(said).toEqual([]);
    comes();
    await later(clock);
    expect(said).toEqual([`Interface if2: its address is there now, and the server listens on 127.53.2.1 port ${port}`, 'came']);
    expect([await reach(second), made.listening([first, second])]).toEqual([true, [first, second]]);
  });

  test('refuses the start if it is the only one, and a change that would leave no other', async () => {
    const port = await freePort();
    const { sockets: made } = listen(new FakeClock());
    const [first, second] = [at('if1', '127.53.1.1', port), at('if2', '127.53.2.1', port)];
    without('127.53.2.1');
    await expect(made.open([second])).rejects.toMatchObject({ code: 'E_ADDRESS_MISSING' });
    await made.open([first]);
    await expect(made.open([second])).rejects.toMatchObject({ code: 'E_ADDRESS_MISSING' });
    expect(await reach(first)).toBe(true);
    expect(await made.open([first, second])).toHaveLength(1);
  });

  test('is not waited for after its interface is removed, or at the end', async () => {
    const port = await freePort();
    const clock = new FakeClock();
    const { sockets: made, said } = listen(clock);
    const [first, second] = [at('if1', '127.53.1.1', port), at('if2', '127.53.2.1', port)];
    const comes = without('127.53.2.1');
    await made.open([first, second]);
    made.keep([first]);
    comes();
    await later(clock);
    expect([await reach(second), said]).toEqual([false, []]);
    made.closeAll();
    expect(clock.timersPending).toBe(0);
  });

  test('is reported once if another program has its port when it appears', async () => {
    const port = await freePort();
    const clock = new FakeClock();
    const { sockets: made, said } = listen(clock);
    const [first, second] = [at('if1', '127.53.1.1', port), at('if2', '127.53.2.1', port)];
    const comes = without('127.53.2.1');
    await made.open([first, second]);
    comes();
    const other = listen();
    await other.sockets.open([second]);
    for (let time = 0; time < 3; time++) await later(clock);
    expect(said).toEqual([expect.stringContaining('another program uses the port')]);
    other.sockets.closeAll();
    await later(clock);
    expect(said).toHaveLength(3);
    expect(await reach(second)).toBe(true);
  });
});

test('nothing is opened after the end', async () => {
  const first = at('if1', '127.53.1.1', await freePort());
  const { sockets: made } = listen();
  made.closeAll();
  await expect(made.open([first])).rejects.toMatchObject({ code: 'E_SHUTTING_DOWN' });
  expect(await reach(first)).toBe(false);
});
