// Tests MTU measurements over an in-memory network that loses packets that are too large. The server's real responder answers at the other
// end. probe.test.ts tests the rest of a probe.

import { beforeEach, describe, expect, test } from 'vitest';
import { DATAGRAM_HEADERS_BYTES, DISCOVERY_REQUEST_BYTES, PROBE_DATAGRAM_TRIES } from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryDatagrams } from '../testing/memory-datagrams.ts';
import { MemoryNetwork } from '../testing/memory-network.ts';
import { IDEAL_LINK } from '../testing/memory-transport.ts';
import { ProbeServer } from '../testing/probe-server.ts';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { type DiscoveryIdentity, DiscoveryResponder } from './discovery-responder.ts';
import type { DatagramPeer, DatagramSocket } from './datagram-sockets.ts';
import { probeCandidate } from './probe.ts';
import { type MtuResult, measureMtu } from './probe-mtu.ts';
import type { ProbePorts } from './probe-report.ts';

const LOCAL = { name: 'if0', address: '192.168.45.20', prefixLength: 24 };
const NEAR = { local: LOCAL, remote: { name: 'if1', address: '192.168.45.10', port: 5000 } };
const FAR = { local: LOCAL, remote: { name: 'if1', address: '10.9.9.9', port: 5000 } };
const IDENTITY: DiscoveryIdentity = {
  offered: { namespace: 'osl', namespaceid: 200, server: 'big-9', serverid: 1, instance: '9'.repeat(32), interfaces: [] },
  explore: 'yes',
  namespacekey: null,
};

let clock = new FakeClock();
let network = new MemoryDatagrams(clock);
/** Number of sockets that the servers of the test have open. */
let serving = 0;

beforeEach(() => {
  clock = new FakeClock();
  network = new MemoryDatagrams(clock);
  serving = 0;
});

async function serve(identity: DiscoveryIdentity, at: DatagramPeer, spoil: (answer: Buffer) => Buffer = (answer) => answer): Promise<void> {
  const responder = new DiscoveryResponder(identity, () => false);
  serving++;
  const sockets: DatagramSocket[] = [];
  const onDatagram = (datagram: Buffer, from: DatagramPeer): void => {
    const answer = responder.answerTo(datagram, from.address, clock.monotonicMs());
    if (answer !== null) sockets[0]?.send(spoil(answer), from, () => undefined);
  };
  sockets.push(await network.open(at, { onDatagram, onFailed: () => undefined }));
}

function loseAbove(mtuBytes: number): void {
  network.loses = (datagram) => datagram.length + DATAGRAM_HEADERS_BYTES > mtuBytes;
}

async function until<T>(running: Promise<T>): Promise<T> {
  let isDone = false;
  const ended = Promise.allSettled([running]).finally(() => {
    isDone = true;
  });
  for (let passedMs = 0; !isDone && passedMs < 20_000; passedMs++) {
    await new Promise(setImmediate);
    if (!isDone) clock.advance(1);
  }
  await ended;
  expect([network.openSockets, clock.timersPending]).toEqual([serving, 0]);
  return running;
}

function ports(namespacekey: string | null = null): ProbePorts {
  const connector = { connect: () => ({ cancel: () => undefined }) };
  const counters = (): ReadonlyMap<string, never> => new Map<string, never>();
  return { connector, clock, random: new SeededRandom(1).bytes, sockets: network, namespacekey, machine: [], counters };
}

function measure(candidate: typeof NEAR, ownBytes: number, namespacekey: string | null = null): Promise<MtuResult> {
  return until(measureMtu(candidate, ownBytes, ports(namespacekey), network));
}

/** Returns the MTU that each request needs, which is the size of the request plus its headers. */
function asked(): number[] {
  return network.sent.filter(({ to }) => to.port === 5000).map(({ datagram }) => datagram.length + DATAGRAM_HEADERS_BYTES);
}

describe('the path takes', () => {
  test("the interface's own MTU", async () => {
    await serve(IDENTITY, NEAR.remote);
    expect(await measure(NEAR, 9000)).toEqual({ bytes: 9000, failedBytes: null });
    expect(asked()).toEqual([1388, 1400, 1420, 1450, 1492, 1500, 4000, 9000]);
  });

  test('less: jumbo frames on the interface, none on the switch', async () => {
    await serve(IDENTITY, NEAR.remote);
    loseAbove(1500);
    expect(await measure(NEAR, 9000)).toEqual({ bytes: 1500, failedBytes: 4000 });
    expect(asked().filter((size) => size === 4000)).toHaveLength(PROBE_DATAGRAM_TRIES);
  });

  test('less, behind a router: each size is sent once, because the kernel would fragment the next', async () => {
    await serve(IDENTITY, FAR.remote);
    loseAbove(1400);
    expect(await measure(FAR, 1500)).toEqual({ bytes: 1400, failedBytes: 1420 });
    expect(asked()).toEqual([1388, 1400, 1420]);
  });

  test('all sizes, behind a router: the result is unknown, because the kernel may have fragmented them', async () => {
    await serve(IDENTITY, FAR.remote);
    expect(await measure(FAR, 1500)).toEqual({ bytes: null, failedBytes: null });
  });

  test("the interface's own MTU, when a datagram is lost by chance", async () => {
    await serve(IDENTITY, NEAR.remote);
    let lost = 0;
    network.loses = (datagram) => datagram.length > 1460 && lost++ < PROBE_DATAGRAM_TRIES - 1;
    expect(await measure(NEAR, 1500)).toEqual({ bytes: 1500, failedBytes: null });
  });

  test('the largest UDP datagram, where the interface takes more', async () => {
    await serve(IDENTITY, NEAR.remote);
    expect((await measure(NEAR, 65536)).bytes).toBe(65536);
  });
});

describe('the MTU is unknown', () => {
  const unknown = { bytes: null, failedBytes: null };

  test('where the server does not answer', async () => {
    expect(await measure(NEAR, 1500)).toEqual(unknown);
    expect(asked()).toHaveLength(PROBE_DATAGRAM_TRIES);
  });

  test('where the interface takes less than a request', async () => {
    await serve(IDENTITY, NEAR.remote);
    expect(await measure(NEAR, DISCOVERY_REQUEST_BYTES)).toEqual(unknown);
  });

  test('where the address is missing, or the kernel sends nothing', async () => {
    network.missing.add(LOCAL.address);
    expect(await measure(NEAR, 1500)).toEqual(unknown);
    network.missing.clear();
    network.refuses = () => 'send EMSGSIZE';
    expect(await measure(NEAR, 1500)).toEqual(unknown);
  });

  test.each([
    ['signed with another key', (answer: Buffer) => answer],
    ['cut short', (answer: Buffer) => answer.subarray(0, answer.length - 1)],
  ])('where answers are %s', async (what, spoil) => {
    await serve({ ...IDENTITY, namespacekey: what === 'cut short' ? null : '0xother' }, NEAR.remote, spoil);
    expect(await measure(NEAR, 1500, what === 'cut short' ? null : '0xosl')).toEqual(unknown);
  });

  test('where the answer comes from another address', async () => {
    await serve(IDENTITY, NEAR.remote);
    const voice = await network.open({ address: '192.168.45.66', port: 5000 }, { onDatagram: () => undefined, onFailed: () => undefined });
    serving++;
    network.loses = (datagram, from, to) => {
      if (from.address === NEAR.remote.address) voice.send(datagram, to, () => undefined);
      return from.address === NEAR.remote.address;
    };
    expect(await measure(NEAR, 1388)).toEqual(unknown);
  });

  test('where an answer belongs to another request', async () => {
    const old: Buffer[] = [];
    await serve(IDENTITY, NEAR.remote, (answer) => (old.push(answer), old[0]!));
    const { bytes } = await measure(NEAR, 1388);
    expect(bytes).toBe(1388);
    expect((await measure(NEAR, 1388)).bytes).toBe(1388);
    // With other random numbers, the client sends a nonce that does not match the recorded answers.
    const other = { ...ports(), random: new SeededRandom(2).bytes };
    expect(await until(measureMtu(NEAR, 1388, other, network))).toEqual(unknown);
  });
});

test.each([
  ['a probe', 1, null],
  ['a probe that fails for another reason', 7, 'E_CONFIG'],
])('%s reports an MTU that does not get through', async (_what, serverid, failureCode) => {
  await serve(IDENTITY, NEAR.remote);
  loseAbove(1500);
  const server = new ProbeServer({}, new SeededRandom(3));
  const connector = new MemoryNetwork(clock, IDEAL_LINK, (end) => server.accept(end));
  connector.addRoute(LOCAL.address, NEAR.remote.address);
  const fixed = { prefixLength: 24, broadcast: null, linkMbps: null, hasCarrier: true, isLoopback: false };
  const machine = [{ device: 'eth0', address: LOCAL.address, mtuBytes: 9000, ...fixed }];
  const expected = { namespaceid: 200, serverid };
  const report = await until(probeCandidate(NEAR, null, expected, { ...ports(), connector, machine }));
  expect([report.failureCode, report.mtuBytes]).toEqual([failureCode, 1500]);
  expect(report.findings.map(({ kind, sentence }) => [kind, sentence])).toEqual([
    ['mtu', 'Packets of 4000 bytes do not get through on path if0 -> 192.168.45.10, but packets of 1500 bytes do; the MTU of eth0 is 9000'],
  ]);
});
