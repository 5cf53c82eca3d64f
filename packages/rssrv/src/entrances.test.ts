// Listening sockets on loopback addresses of this test's own: all or none, kept ones undisturbed, and errors that name the interface.
// What happens to connections is left to test/integration.

import net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { ServerInterfaceConfig } from '@rsio/protocol/config/types';
import { systemClock } from '@rsio/protocol/lib/clock';
import { quietLog } from '@rsio/protocol/lib/log';
import { Entrances } from './entrances.ts';

const open: Entrances[] = [];
const sockets: net.Socket[] = [];

afterEach(() => {
  for (const entrances of open.splice(0)) entrances.closeAll();
  for (const socket of sockets.splice(0)) socket.destroy();
});

function entrances(): { entrances: Entrances; heard: string[] } {
  const heard: string[] = [];
  const made = new Entrances(systemClock, quietLog, (socket, entrance) => {
    heard.push(`${entrance.config.name}${entrance.isClosed ? ' closed' : ''}`);
    socket.destroy();
  });
  open.push(made);
  return { entrances: made, heard };
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

/** Whether somebody takes a connection there and lets it go. */
function reach({ address, port }: ServerInterfaceConfig): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port });
    sockets.push(socket);
    socket.on('error', () => resolve(false));
    socket.on('end', () => resolve(true));
    socket.resume();
  });
}

test('opens, keeps what stays under its new name, closes the rest', async () => {
  const port = await freePort();
  const [first, second] = [at('if1', '127.53.1.1', port), at('if2', '127.53.2.1', port)];
  const { entrances: made, heard } = entrances();
  await made.open([first, second]);
  expect([await reach(first), await reach(second)]).toEqual([true, true]);
  made.keep([{ ...first, name: 'lan1' }]);
  expect([await reach(first), await reach(second)]).toEqual([true, false]);
  expect(heard).toEqual(['if1', 'if2', 'lan1']);
  made.closeAll();
  expect(await reach(first)).toBe(false);
});

test('opens all or none, and names the one that cannot be had', async () => {
  const port = await freePort();
  const { entrances: made } = entrances();
  const first = at('if1', '127.53.1.1', port);
  await expect(made.open([first, at('if2', '192.0.2.1', port)])).rejects.toMatchObject({
    code: 'E_ADDRESS_MISSING',
    message: expect.stringMatching(/192\.0\.2\.1 port \d+ \(interface if2\): this machine does not have the address/),
  });
  expect(await reach(first)).toBe(false);
  await made.open([first]);
  await expect(entrances().entrances.open([first])).rejects.toMatchObject({ code: 'E_ADDRESS_IN_USE' });
  expect(await reach(first)).toBe(true);
});

test('opens nothing any more after the end', async () => {
  const first = at('if1', '127.53.1.1', await freePort());
  const { entrances: made } = entrances();
  made.closeAll();
  await expect(made.open([first])).rejects.toMatchObject({ code: 'E_SHUTTING_DOWN' });
  expect(await reach(first)).toBe(false);
});
