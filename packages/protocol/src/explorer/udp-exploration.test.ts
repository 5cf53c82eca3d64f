// Tests an exploration over real sockets on the loopback interface: the server receives the broadcast, the answer reaches the socket that
// asked, and refusals of the kernel are reported.

import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { DiscoveryResponder } from './discovery-responder.ts';
import { type DatagramPeer, type DatagramSocket, udpSockets } from './datagram-sockets.ts';
import type { Exploration, ExploreOptions } from './exploration.ts';
import { explore } from './explorer.ts';

const ADDRESS = '127.91.0.10';
const BROADCAST = '127.255.255.255';
const LOCAL = { name: 'if0', address: '127.91.0.20', broadcast: BROADCAST };
const open: DatagramSocket[] = [];

afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

async function freePort(): Promise<number> {
  const socket = dgram.createSocket('udp4').bind({ address: ADDRESS });
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Starts a server that listens on one address and on the broadcast address. Returns its port. */
async function serve(): Promise<number> {
  const port = await freePort();
  const responder = new DiscoveryResponder(
    {
      offered: {
        namespace: 'osl',
        namespaceid: 200,
        server: 'big-9',
        serverid: 1,
        instance: 'a'.repeat(32),
        interfaces: [{ name: 'if1', address: ADDRESS, port, linkMbps: null, mtuBytes: 65536 }],
      },
      explore: 'signed',
      namespacekey: '0xosl',
    },
    () => false,
  );
  const handler = {
    onDatagram: (datagram: Buffer, from: DatagramPeer) => {
      const answer = responder.answerTo(datagram, from.address, systemClock.monotonicMs());
      if (answer !== null) open[0]?.send(answer, from, () => undefined);
    },
    onFailed: () => undefined,
  };
  open.push(await udpSockets.open({ address: ADDRESS, port }, handler), await udpSockets.open({ address: BROADCAST, port }, handler));
  return port;
}

function run(port: number, changes: Partial<ExploreOptions>): Promise<Exploration> {
  const key = { namespacekey: '0xosl', namespaceid: 200 };
  const ports = { clock: systemClock, sockets: udpSockets, random: randomBytes };
  return explore({ locals: [LOCAL], port, targets: [], ...key, ...ports, ...changes });
}

test('by broadcast and by address', async () => {
  const port = await serve();
  const [all, one] = await Promise.all([
    run(port, {}),
    run(port, { locals: [{ ...LOCAL, broadcast: null }], targets: [{ address: ADDRESS, port }] }),
  ]);
  for (const { servers, findings } of [all, one]) {
    expect(findings).toEqual([]);
    expect(servers).toMatchObject([
      { server: 'big-9', isSigned: true, heard: [{ local: 'if0', localAddress: LOCAL.address, from: ADDRESS }] },
    ]);
  }
});

test('a wrong key is not answered; an address that this machine does not have is reported', async () => {
  const port = await serve();
  const away = { name: 'if1', address: '198.51.100.99', broadcast: '198.51.100.255' };
  const { servers, findings } = await run(port, { locals: [LOCAL, away], namespacekey: '0xother', targets: [{ address: ADDRESS, port }] });
  expect(servers).toEqual([]);
  expect(findings.map(({ kind, object }) => [kind, object])).toEqual([
    ['cannot-ask', 'if1'],
    ['no-answer', ADDRESS],
  ]);
  expect(findings[0]?.sentence).toContain('EADDRNOTAVAIL');
});
