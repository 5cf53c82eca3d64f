// Tests that a client with a TLS session ticket from its own connection cannot open a connection as another client. Only the key of the
// connection counts, although TLS reports both a ticket and a key as a resumption. Rules: G22. docs/PROTOCOL.md, Encrypted paths.

import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import type { PathTransport } from './path-transport.ts';
import { adoptSocket } from './tcp-transport.ts';

const SUITE = 'TLS_AES_128_GCM_SHA256';
const OWN = { identity: 'mars', psk: Buffer.alloc(32, 1) };
const OTHERS = { identity: 'venus', psk: Buffer.alloc(32, 2) };
const closing: { destroy(): void }[] = [];

afterEach(() => {
  for (const one of closing.splice(0)) one.destroy();
});

/** Returns the two ends of a connection whose server side is about to begin TLS. */
async function connected(server: net.Server): Promise<{ readonly client: net.Socket; readonly transport: PathTransport }> {
  const accepted = once(server, 'connection') as Promise<[net.Socket]>;
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  client.on('error', () => undefined);
  closing.push(client);
  const transport = adoptSocket((await accepted)[0]);
  closing.push({ destroy: () => transport.destroy(true) });
  return { client, transport };
}

test('a client that has a ticket of its own connection does not get into the connection of another client', async () => {
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push({ destroy: () => server.close() });

  const own = await connected(server);
  own.transport.events = { onBytes: () => undefined, onClosed: () => undefined };
  const isSecured = new Promise<void>((resolve) => own.transport.startTls({ side: 'server', ...OWN }, resolve));
  const inside = tls.connect({
    socket: own.client,
    minVersion: 'TLSv1.3',
    ciphers: SUITE,
    pskCallback: () => OWN,
    checkServerIdentity: () => undefined,
  });
  closing.push(inside);
  let ticket: Buffer | null = null;
  inside.on('session', (session: Buffer) => {
    ticket = session;
  });
  await isSecured;
  own.transport.send(Buffer.from('welcome'), 0, 7, () => undefined);
  // A ticket would arrive before the first data.
  await once(inside, 'data');

  const others = await connected(server);
  // Result of the attack: the reason for the end, or success.
  const ending = new Promise<string>((resolve) => {
    others.transport.events = { onBytes: () => resolve('I/O was taken'), onClosed: resolve };
    others.transport.startTls({ side: 'server', ...OTHERS }, () => resolve('The connection is secure'));
  });
  const thief = tls.connect({
    socket: others.client,
    minVersion: 'TLSv1.3',
    ciphers: SUITE,
    rejectUnauthorized: false,
    ...(ticket === null ? {} : { session: ticket }),
  });
  closing.push(thief);
  thief.on('error', () => undefined);
  thief.once('secureConnect', () => thief.write('I/O of the thief'));
  expect(await ending).toMatch(/^TLS: /);
  expect(others.transport.cipher).toBeNull();
});
