// `openssl s_client` as a foreign peer. The test plays the handshake in clear, and OpenSSL's own program does TLS 1.3 with the agreed key.
// The first frame inside TLS is the server's WELCOME. With another key, or without the key exchange, the server refuses s_client.
// Rules: G22. docs/PROTOCOL.md, Encrypted paths.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { FEATURE } from '@rsio/protocol/wire/features';
import { HEADER_BYTES } from '@rsio/protocol/wire/limits';
import { expect, it } from 'vitest';
import { keyOf, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { RAW_TLS_SUITE, RawClient } from '../support/peers/raw-peer.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const NODE = 'big-2';
const DEADLINE_MS = 10_000;

const hosts = useHosts();

interface Foreign {
  readonly received: () => Buffer;
  readonly isOver: () => boolean;
}

/** Proves the node, and lets s_client continue from START_TLS on with the given key, by default the right one. */
async function foreign(
  serverAddress: string,
  port: number,
  wrongKey: Buffer | null,
  options: readonly string[] = [],
): Promise<[RawClient, Foreign]> {
  const identity = { node: NODE, nodekey: keyOf(NODE), namespaceid: 200, hello: { features: [FEATURE.TLS] } };
  const raw = await RawClient.connect({ address: serverAddress, port }, identity);
  hosts.onClean(() => raw.close());
  await raw.greet();
  raw.prove(null);
  const key = await raw.keyOfTls();
  if (key === null) throw new Error('The server did not begin TLS');
  const outer = raw.detach();
  let isOver = false;
  outer.on('error', () => undefined);
  outer.on('close', () => {
    isOver = true;
  });
  const relay = net.createServer((inner) => {
    inner.on('error', () => undefined);
    inner.pipe(outer);
    outer.pipe(inner);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  hosts.onClean(() => void relay.close());
  const psk = (wrongKey ?? key.psk).toString('hex');
  const { port: at } = relay.address() as net.AddressInfo;
  const args = ['s_client', '-connect', `127.0.0.1:${at}`, '-tls1_3', '-ciphersuites', RAW_TLS_SUITE, '-quiet', '-nocommands'];
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn('openssl', [...args, '-psk_identity', NODE, '-psk', psk, ...options], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  hosts.onClean(() => void child.kill());
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  return [raw, { received: () => Buffer.concat(chunks), isOver: () => isOver }];
}

it('openssl s_client gets WELCOME inside TLS with the agreed key, and nothing with another one', async (context) => {
  needTool(context, 'openssl', 'openssl');
  const [server, network] = [hosts.host(), await hosts.network(1)];
  await startServer(server, network, { volumes: { oracle: { type: 'memory', size: '1m' } } });
  const [address = ''] = network.serverAddresses;

  const [raw, right] = await foreign(address, network.port, null);
  const welcome = await waitFor(
    () => {
      const bytes = right.received();
      const lengthBytes = bytes.length < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + bytes.readUInt32BE(8);
      return bytes.length >= lengthBytes ? bytes.subarray(0, lengthBytes) : undefined;
    },
    DEADLINE_MS,
    'A frame comes inside TLS',
  );
  expect(raw.handshake.onWelcome(Buffer.from(welcome)).session).toHaveLength(16);

  const [, wrong] = await foreign(address, network.port, Buffer.alloc(32, 7));
  await waitFor(wrong.isOver, DEADLINE_MS, 'The server closes the connection');
  expect(wrong.received()).toHaveLength(0);
});
