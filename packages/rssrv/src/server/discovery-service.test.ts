// Tests the discovery service over datagrams in memory: which sockets are open after each change of the configuration, from which address
// the service answers, and its log lines. The tests of the responder check which requests are answered.

import { beforeEach, describe, expect, test } from 'vitest';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import { decodeDiscovery, encodeDiscover } from '@rsio/protocol/explorer/discovery-datagram';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { RsError } from '@rsio/base/lib/errors';
import { quietLog } from '@rsio/base/log/log';
import { DISCOVERY_REQUEST_BYTES } from '@rsio/protocol/explorer/limits';
import { DISCOVERY_DROPS_LOG_MS, DISCOVERY_FACTS_MS } from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryDatagrams } from '@rsio/protocol/testing/memory-datagrams';
import { DiscoveryService } from './discovery-service.ts';
import { smallRssrvcfg } from '@rsio/common/testing/sample-rssrvcfg';

const BROADCAST = '127.255.255.255';
const ASKER = { address: '127.46.0.20', port: 40_000 };
const NONCE = Buffer.alloc(16, 7);

let clock: FakeClock;
let network: MemoryDatagrams;
let said: string[];
let linkMbps: number | null;
let discovery: DiscoveryService;

beforeEach(() => {
  clock = new FakeClock();
  network = new MemoryDatagrams(clock);
  said = [];
  linkMbps = null;
  const log = { ...quietLog, info: (sentence: string) => void said.push(sentence), warn: (sentence: string) => void said.push(sentence) };
  discovery = new DiscoveryService({ clock, log, sockets: network, machine: () => [loopback()], instance: 'a'.repeat(32) });
});

function loopback(): MachineInterface {
  const address = '127.0.0.1';
  return { device: 'lo', address, prefixLength: 24, broadcast: BROADCAST, mtuBytes: 65536, linkMbps, hasCarrier: true, isLoopback: true };
}

function follow(addresses: readonly string[], namespace = ''): Promise<string[]> {
  return discovery.follow(parseRssrvConfig(smallRssrvcfg({ namespace, addresses }), 'f'));
}

/** Sends a request and returns the addresses that answer. */
function ask(address: string, port = 5000, datagram?: Buffer): string[] {
  const before = network.sent.length;
  const request = { versions: [1], nonce: NONCE, namespaceid: null, answerBytes: 0 };
  network.send(datagram ?? encodeDiscover(request, null, DISCOVERY_REQUEST_BYTES), ASKER, { address, port }, () => undefined);
  clock.advance(2);
  return network.sent.slice(before + 1).map(({ from }) => from.address);
}

test('the server answers by address and by broadcast, once, from its own nearest address', async () => {
  expect(await follow(['127.45.0.10', '127.46.0.10'])).toEqual([]);
  expect(ask('127.45.0.10')).toEqual(['127.45.0.10']);
  expect(ask(BROADCAST)).toEqual(['127.46.0.10']);
  const { datagram, to } = network.sent.at(-1)!;
  expect(to).toEqual(ASKER);
  expect(decodeDiscovery(datagram, null)).toMatchObject({
    kind: 'offer',
    message: {
      nonce: NONCE,
      namespace: 'osl',
      server: 'big-9',
      instance: 'a'.repeat(32),
      interfaces: [{ name: 'if1', address: '127.45.0.10', port: 5000, linkMbps: null, mtuBytes: 65536 }, { name: 'if2' }],
    },
  });
});

describe('after a change of the configuration', () => {
  test('sockets follow the interfaces, and unchanged ones are kept', async () => {
    await follow(['127.45.0.10', '127.46.0.10']);
    await follow(['127.46.0.10', '127.47.0.10']);
    expect(network.openSockets).toBe(3);
    expect([ask('127.45.0.10'), ask('127.46.0.10'), ask('127.47.0.10')]).toEqual([[], ['127.46.0.10'], ['127.47.0.10']]);
    expect(said).toEqual([
      'Exploration is answered on 127.45.0.10:5000, 127.255.255.255:5000, 127.46.0.10:5000',
      'Exploration is answered on 127.47.0.10:5000',
    ]);
  });

  test('explore = no closes all sockets, and removing it opens them again', async () => {
    await follow(['127.45.0.10']);
    await follow(['127.45.0.10'], 'explore = no\n');
    expect(network.openSockets).toBe(0);
    await follow(['127.45.0.10'], 'namespacekey = 0xa-key-of-the-namespace\nexplore = signed\n');
    expect(ask('127.45.0.10')).toEqual([]);
    await follow(['127.45.0.10'], 'namespacekey = 0xa-key-of-the-namespace\n');
    expect(ask('127.45.0.10')).toEqual(['127.45.0.10']);
  });

  test('no socket stays open at the end, not even one that was just being opened', async () => {
    await follow(['127.45.0.10']);
    ask('127.45.0.10', 5000, Buffer.alloc(10));
    const following = follow(['127.45.0.10', '127.46.0.10']);
    discovery.close();
    await following;
    expect(network.openSockets).toBe(0);
    expect(clock.timersPending).toBe(0);
  });
});

describe('an address that cannot be bound', () => {
  test('is reported with a remedy, and tried again at the next change', async () => {
    network.missing.add('127.45.0.10');
    expect(await follow(['127.45.0.10', '127.46.0.10'])).toEqual([
      'Exploration is not answered on UDP 127.45.0.10:5000 (interface if1): bind EADDRNOTAVAIL 127.45.0.10: correct that, or give clients the addresses of this server',
    ]);
    expect(ask(BROADCAST)).toEqual(['127.46.0.10']);
    network.missing.clear();
    expect(await follow(['127.45.0.10', '127.46.0.10'])).toEqual([]);
    expect(ask('127.45.0.10')).toEqual(['127.45.0.10']);
  });

  test('leaves a nearby broadcast to another interface', async () => {
    network.missing.add('127.46.0.10');
    await follow(['127.45.0.10', '127.46.0.10']);
    expect(ask(BROADCAST)).toEqual(['127.45.0.10']);
  });

  test('is reported as a port in use when another program has the port', async () => {
    const taken = new RsError('E_SYSTEM', 'bind EADDRINUSE 127.45.0.10:5000', { errno: 'EADDRINUSE' });
    network.open = () => Promise.reject(taken);
    const [first] = await follow(['127.45.0.10']);
    expect(first).toMatch(/\(interface if1\): another program uses the port: stop it, or give clients the addresses of this server$/);
  });
});

test('dropped requests are counted and logged at most once a minute', async () => {
  await follow(['127.45.0.10']);
  said = [];
  for (let times = 0; times < 1_000; times++) ask('127.45.0.10', 5000, Buffer.from('hello, is this a name server?'));
  ask('127.45.0.10', 5000, Buffer.from('RSIO'));
  const other = { versions: [1], nonce: NONCE, namespaceid: 201, answerBytes: 0 };
  ask('127.45.0.10', 5000, encodeDiscover(other, null, DISCOVERY_REQUEST_BYTES));
  expect(said).toEqual([]);
  clock.advance(DISCOVERY_DROPS_LOG_MS);
  expect(said).toEqual(['Discovery datagrams without an answer: 1000 foreign, 1 truncated']);
  ask('127.45.0.10', 5000, Buffer.from('hello'));
  clock.advance(DISCOVERY_DROPS_LOG_MS);
  expect(said).toHaveLength(2);
  expect(said[1]).toBe('Discovery datagrams without an answer: 1 foreign');
  clock.advance(DISCOVERY_DROPS_LOG_MS);
  expect(said).toHaveLength(2);
});

test('a storm of valid requests is answered within the bounds of rate and size', async () => {
  await follow(['127.45.0.10']);
  const startMs = clock.monotonicMs();
  let answers = 0;
  while (clock.monotonicMs() - startMs < 2_000) answers += ask('127.45.0.10').length;
  expect(answers).toBeGreaterThan(64);
  expect(answers).toBeLessThanOrEqual(64 + 2 * 16 + 1);
  expect(Math.max(...network.sent.map(({ datagram }) => datagram.length))).toBe(DISCOVERY_REQUEST_BYTES);
});

test('the speed of a link that came up later is reported', async () => {
  await follow(['127.45.0.10']);
  linkMbps = 1000;
  clock.advance(DISCOVERY_FACTS_MS + 1);
  ask('127.45.0.10');
  expect(decodeDiscovery(network.sent.at(-1)!.datagram, null)).toMatchObject({ message: { interfaces: [{ linkMbps: 1000 }] } });
});
