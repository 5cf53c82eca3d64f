// Tests sockets that are prepared for a hand-over to another process, with TCP connections within this process. Invariant: bytes that the
// other process must read stay in the kernel. test/integration tests the hand-over itself, and the tests of connection and session test
// what the bytes mean.

import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LAST_WORDS_TIMEOUT_MS } from './limits.ts';
import { adoptSocket, stopReading } from './tcp-transport.ts';

let server: net.Server;
const open: net.Socket[] = [];

beforeEach(async () => {
  server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  server.close();
  await once(server, 'close');
});

/** Returns both ends of a new connection: first the client's, then the server's. */
async function pair(): Promise<readonly [net.Socket, net.Socket]> {
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect(port, '127.0.0.1');
  const [[accepted]] = await Promise.all([once(server, 'connection') as Promise<[net.Socket]>, once(client, 'connect')]);
  open.push(client, accepted);
  return [client, accepted];
}

/** Sends a byte and waits until it arrives. When the byte has arrived, the event loop has handled every socket that was readable before. */
async function roundTrip(from: net.Socket, to: net.Socket): Promise<void> {
  const heard = once(to, 'data');
  from.write('x');
  await heard;
}

test('a socket that is stopped in its data event reads nothing more, however long it waits to be sent', async () => {
  const [client, accepted] = await pair();
  const [otherClient, other] = await pair();
  const stopped = new Promise<boolean>((resolve) => accepted.once('data', () => resolve(stopReading(accepted))));
  client.write('proof');
  expect(await stopped).toBe(true);
  client.write('request');
  for (let turn = 0; turn < 10; turn++) await roundTrip(otherClient, other);
  expect(accepted.bytesRead).toBe('proof'.length);
  expect(accepted.readableLength).toBe(0);
});

test('a socket that has already read more cannot be handed over', async () => {
  const [client, accepted] = await pair();
  accepted.pause();
  client.write('proof and a request');
  await once(accepted, 'readable');
  expect(stopReading(accepted)).toBe(false);
});

/** Returns the first event on a socket that was taken over: the bytes, or the reason for the end. */
async function heardBy(socket: net.Socket): Promise<string> {
  const transport = adoptSocket(socket);
  const heard = await new Promise<string>((resolve) => {
    transport.events = {
      onBytes: (bytes, offset, lengthBytes) => resolve(bytes.toString('latin1', offset, offset + lengthBytes)),
      onClosed: (reason) => resolve(`closed: ${reason}`),
    };
  });
  transport.destroy(false);
  return heard;
}

test('a stopped socket can also be taken over in this process, with all bytes received meanwhile', async () => {
  const [client, accepted] = await pair();
  const stopped = new Promise<boolean>((resolve) => accepted.once('data', () => resolve(stopReading(accepted))));
  client.write('proof');
  await stopped;
  client.write('request');
  expect(await heardBy(accepted)).toBe('request');
});

test('a socket that is already reading, like one from another process, can be taken over', async () => {
  const [client, accepted] = await pair();
  client.write('request');
  expect(await heardBy(accepted)).toBe('request');
});

test('a peer that reads nothing and keeps sending does not keep an ended connection open', async () => {
  const [client, accepted] = await pair();
  client.pause();
  const transport = adoptSocket(accepted);
  const sent = Buffer.alloc(16 * 1024 * 1024);
  transport.send(sent, 0, sent.length, () => undefined);
  client.on('error', () => undefined);
  const closed = new Promise((resolve) => client.once('close', resolve));
  transport.end();
  const trickle = setInterval(() => client.write('x'), LAST_WORDS_TIMEOUT_MS / 10);
  try {
    const late = once(AbortSignal.timeout(10 * LAST_WORDS_TIMEOUT_MS), 'abort').then(() => 'it is open still');
    expect(await Promise.race([closed, late])).not.toBe('it is open still');
  } finally {
    clearInterval(trickle);
  }
});
