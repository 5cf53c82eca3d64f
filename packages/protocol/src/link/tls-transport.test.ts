// Tests TLS on the TCP transport, with real sockets of this process: accepted and refused peers, the bytes on the network, and the end of a
// connection. auth/handshake-tls.test.ts tests the handshake that agrees on TLS. Rules: G22. docs/PROTOCOL.md, Encrypted paths.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { needPrograms } from '@rsio/base/testing/needs';
import type { PathTransport, TlsKey } from './path-transport.ts';
import { OP } from '../wire/frames.ts';
import { Encoder, OutputPool } from '../wire/encoder.ts';
import { OUTPUT_BUFFER_BYTES } from '../wire/limits.ts';
import { adoptSocket, dataTransport, tcpConnector } from './tcp-transport.ts';

const PSK = Buffer.alloc(32, 0x5c);
const CIPHER = 'TLS_AES_128_GCM_SHA256';
let server: net.Server;
const open: { destroy(): void }[] = [];

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

function key(side: TlsKey['side'], psk = PSK, identity = 'big-2'): TlsKey {
  return { side, identity, psk };
}

const PATIENCE = { timeout: 20_000 };
const FRAMES = 128;
const FRAME_BYTES = 256 * 1024;

/** Returns the first offset in the stream, at or after `fromBytes`, that is in the middle of a frame. */
function nextMiddle(fromBytes: number): number {
  const middle = FRAME_BYTES / 2;
  return fromBytes <= middle ? middle : Math.ceil((fromBytes - middle) / FRAME_BYTES) * FRAME_BYTES + middle;
}

/** One end of a connection, which records its events. */
class End {
  readonly transport: PathTransport;
  received = Buffer.alloc(0);
  closedBy: string | null = null;
  private readonly waiting: (() => void)[] = [];

  constructor(transport: PathTransport) {
    this.transport = transport;
    open.push({ destroy: () => transport.destroy(false) });
    transport.events = {
      onBytes: (bytes, offset, lengthBytes) => {
        this.received = Buffer.concat([this.received, bytes.subarray(offset, offset + lengthBytes)]);
        this.wake();
      },
      onClosed: (reason) => {
        this.closedBy = reason;
        this.wake();
      },
    };
  }

  send(bytes: Buffer | string): Promise<void> {
    const buffer = Buffer.from(bytes);
    return new Promise((resolve) => this.transport.send(buffer, 0, buffer.length, resolve));
  }

  startTls(with_: TlsKey): Promise<void> {
    return new Promise((resolve) => this.transport.startTls(with_, resolve));
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  closed(): Promise<void> {
    return this.until(() => this.closedBy !== null);
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

function connect(port: number): Promise<PathTransport> {
  return new Promise((resolve, reject) => tcpConnector.connect('127.0.0.1', '127.0.0.1', port, resolve, reject));
}

function portOf(of: net.Server): number {
  return (of.address() as net.AddressInfo).port;
}

/** Both ends of a new connection. `adopt`: how the server takes its socket over. */
async function pair(adopt: (socket: net.Socket) => PathTransport = adoptSocket, port = portOf(server)): Promise<[End, End]> {
  const accepted = once(server, 'connection') as Promise<[net.Socket]>;
  const client = new End(await connect(port));
  const [socket] = await accepted;
  open.push(socket);
  return [client, new End(adopt(socket))];
}

/** Both ends of a secure connection on which the last messages of the TLS handshake have arrived. */
async function securePair(port = portOf(server)): Promise<[End, End]> {
  const [client, peer] = await pair(adoptSocket, port);
  await Promise.all([client.startTls(key('client')), peer.startTls(key('server'))]);
  await Promise.all([client.send('good'), peer.send('good')]);
  for (const end of [client, peer]) {
    await end.until(() => end.received.length === 4);
    end.received = Buffer.alloc(0);
  }
  return [client, peer];
}

for (const [name, adopt] of [
  ['a static buffer', adoptSocket],
  ['data events', dataTransport],
] as const) {
  test(`data pass both ways, large and small, on a socket with ${name}`, async () => {
    const [client, peer] = await pair(adopt);
    await client.send('before');
    await peer.until(() => peer.received.length === 6);
    peer.received = Buffer.alloc(0);
    await Promise.all([client.startTls(key('client')), peer.startTls(key('server'))]);
    expect([client.transport.cipher, peer.transport.cipher]).toEqual([CIPHER, CIPHER]);
    const large = randomBytes(3 * 1024 * 1024 + 1);
    void client.send(large);
    void client.send('x');
    await peer.send('small');
    await client.until(() => client.received.length >= 5);
    await peer.until(() => peer.received.length >= large.length + 1);
    expect(client.received.toString()).toBe('small');
    expect(peer.received.equals(Buffer.concat([large, Buffer.from('x')]))).toBe(true);
  });
}

// Regression: Node joined all waiting batches into one buffer and encrypted it, and a peer that read slowly therefore cost three times the
// memory of the queued output.
test('TLS holds one batch for a peer that reads slowly, not all that waits, and every byte arrives in order', async () => {
  const [client, peer] = await securePair();
  const [theirs, own] = [client, peer].map(
    ({ transport }) => (transport as unknown as { socket: net.Socket & { _handle: { writeQueueSize: number } } }).socket,
  ) as [net.Socket, net.Socket & { _handle: { writeQueueSize: number } }];
  let receivedBytes = 0;
  let stopAtBytes = 4 * 1024 * 1024;
  const bodies: number[] = [];
  client.transport.events = {
    onBytes: (bytes, offset, lengthBytes) => {
      // The byte in the middle of each body identifies the body.
      for (let at = nextMiddle(receivedBytes); at < receivedBytes + lengthBytes; at += FRAME_BYTES)
        bodies.push(bytes[offset + at - receivedBytes]!);
      receivedBytes += lengthBytes;
      if (receivedBytes >= stopAtBytes) theirs.pause();
    },
    onClosed: () => undefined,
  };
  theirs.pause();
  const encoder = new Encoder(peer.transport, new OutputPool(), () => undefined);
  encoder.isSerial = true;
  for (let slot = 0; slot < FRAMES; slot++) {
    const at = encoder.beginIo(FRAME_BYTES - 16);
    encoder.buffer.fill(slot, at, at + FRAME_BYTES - 16);
    encoder.endIo(OP.WRITE, 0, 1, slot, 1, 0, 0, FRAME_BYTES - 16);
    encoder.flush();
  }
  theirs.resume();
  await expect.poll(() => receivedBytes, PATIENCE).toBeGreaterThanOrEqual(stopAtBytes);
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(own._handle.writeQueueSize).toBeGreaterThan(0);
  expect(own._handle.writeQueueSize).toBeLessThan(2 * OUTPUT_BUFFER_BYTES);
  expect(encoder.queuedBytes).toBeGreaterThan(4 * OUTPUT_BUFFER_BYTES);
  stopAtBytes = Number.POSITIVE_INFINITY;
  theirs.resume();
  await expect.poll(() => [receivedBytes, encoder.queuedBytes], PATIENCE).toEqual([FRAMES * FRAME_BYTES, 0]);
  expect(bodies).toEqual(Array.from({ length: FRAMES }, (_unused, slot) => slot));
});

test('an ended connection delivers what was sent before; the other end learns that the peer has closed', async () => {
  const [client, peer] = await securePair();
  const last = randomBytes(200_000);
  void client.send(last);
  client.transport.end();
  await peer.closed();
  expect(peer.received.equals(last)).toBe(true);
  expect(peer.closedBy).toBe('The peer closed the connection');
});

test('a reset connection ends at the peer, and so does a send in progress', async () => {
  const [client, peer] = await securePair();
  client.transport.events = null;
  const sent = client.send(randomBytes(16 * 1024 * 1024));
  client.transport.destroy(true);
  await peer.closed();
  // The peer's TLS closing alert may arrive before the reset.
  expect(peer.closedBy).toMatch(/reset|The peer closed the connection/);
  await sent;
});

test('a peer with another key, or the right key under another name, gets no secure connection', async () => {
  for (const wrong of [key('client', Buffer.alloc(32, 1)), key('client', PSK, 'big-3')]) {
    const [client, peer] = await pair();
    let secured = 0;
    client.transport.startTls(wrong, () => secured++);
    peer.transport.startTls(key('server'), () => secured++);
    await Promise.all([client.closed(), peer.closed()]);
    expect(secured).toBe(0);
    expect(peer.closedBy).toMatch(/^TLS: /);
    expect([client.transport.cipher, peer.transport.cipher]).toEqual([null, null]);
  }
});

test('bytes that are not TLS end the connection, and reach nobody', async () => {
  const [client, peer] = await pair();
  let secured = 0;
  peer.transport.startTls(key('server'), () => secured++);
  await client.send(Buffer.alloc(100, 'GET / HTTP/1.1\r\n'));
  await peer.closed();
  expect(peer.closedBy).toMatch(/^TLS: /);
  expect([secured, peer.received.length]).toEqual([0, 0]);
});

test('a byte that is changed on the way ends the connection before the data reach anyone', async () => {
  const middle = net
    .createServer((left) => {
      const right = net.connect(portOf(server), '127.0.0.1');
      open.push(left, right);
      let isMeddling = false;
      right.on('data', (chunk) => left.write(chunk));
      left.on('data', (chunk) => {
        if (isMeddling) chunk[chunk.length - 1]! ^= 1;
        right.write(chunk);
      });
      for (const socket of [left, right]) socket.on('error', () => undefined);
      middle.once('meddle', () => {
        isMeddling = true;
      });
    })
    .listen(0, '127.0.0.1');
  await once(middle, 'listening');
  try {
    const [client, peer] = await securePair(portOf(middle));
    middle.emit('meddle');
    void client.send('evil');
    await peer.closed();
    expect(peer.closedBy).toMatch(/^TLS: /);
    expect(peer.received.length).toBe(0);
  } finally {
    middle.close();
  }
});

test('a server that offers a certificate instead of the key gets no secure connection', async (context) => {
  needPrograms(context, 'openssl');
  const folder = mkdtempSync(join(tmpdir(), 'rsio-certificate-'));
  try {
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', [...request, '-subj', '/CN=127.0.0.1', '-keyout', keyFile, '-out', certFile], { stdio: 'ignore' });
    const secureContext = createSecureContext({ key: readFileSync(keyFile), cert: readFileSync(certFile) });
    const accepted = once(server, 'connection') as Promise<[net.Socket]>;
    const client = new End(await connect(portOf(server)));
    const [socket] = await accepted;
    open.push(socket);
    const impostor = new TLSSocket(socket, { isServer: true, secureContext });
    open.push(impostor);
    impostor.on('error', () => undefined);
    let secured = 0;
    client.transport.startTls(key('client'), () => secured++);
    await client.closed();
    expect(client.closedBy).toBe('TLS: the peer does not have the key of this connection');
    expect([secured, client.transport.cipher]).toEqual([0, null]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a transport that is destroyed during the handshake calls nobody', async () => {
  const [client, peer] = await pair();
  const calls: string[] = [];
  client.transport.startTls(key('client'), () => calls.push('secured'));
  client.transport.events = { onBytes: () => calls.push('bytes'), onClosed: () => calls.push('closed') };
  client.transport.destroy(true);
  peer.transport.startTls(key('server'), () => calls.push('secured'));
  await peer.closed();
  expect(calls).toEqual([]);
});

test('an ended transport that is then destroyed leaves no descriptor open', async () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const [client, peer] = await securePair();
  const before = descriptors();
  client.transport.end();
  client.transport.destroy(true);
  await peer.closed();
  await expect.poll(descriptors).toBe(before - 2);
});

test('many connections begin TLS at once', async () => {
  const pairs: [End, End][] = [];
  while (pairs.length < 50) pairs.push(await pair());
  await Promise.all(pairs.flatMap(([client, peer]) => [client.startTls(key('client')), peer.startTls(key('server'))]));
  await Promise.all(pairs.map(([client], index) => client.send(`number ${index}`)));
  await Promise.all(pairs.map(([, peer]) => peer.until(() => peer.received.length > 7)));
  expect(new Set(pairs.map(([, peer]) => peer.received.toString())).size).toBe(50);
});
