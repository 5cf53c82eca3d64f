// Tests explorations over an in-memory network: which servers are found, how often they are asked, which answers are rejected and reported,
// and that no socket and no timer is left open. Rules: G12.

import { describe, expect, test } from 'vitest';
import { discoveryKey } from '../auth/keys.ts';
import {
  DISCOVERY_ANSWERS_MAX,
  DISCOVERY_REQUEST_BYTES,
  DISCOVERY_ROUNDS,
  DISCOVERY_TARGETS_MAX,
  DISCOVERY_WAIT_MS,
  FINDINGS_PER_KIND_MAX,
} from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryDatagrams } from '../testing/memory-datagrams.ts';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { decodeDiscovery, encodeOffer, type Offer, type OfferedInterface } from './discovery-datagram.ts';
import { type DiscoveryIdentity, DiscoveryResponder } from './discovery-responder.ts';
import type { DatagramPeer, DatagramSocket } from './datagram-sockets.ts';
import type { Exploration, ExploreOptions, FoundServer } from './exploration.ts';
import { explore } from './explorer.ts';

const PORT = 5000;
const LOCALS = [
  { name: 'if0', address: '192.168.45.20', broadcast: '192.168.45.255' },
  { name: 'if1', address: '192.168.46.20', broadcast: '192.168.46.255' },
];

function offeredAt(...addresses: string[]): OfferedInterface[] {
  return addresses.map((address, index) => ({ name: `if${index + 1}`, address, port: PORT, linkMbps: 1000, mtuBytes: 1500 }));
}

const BIG_9: DiscoveryIdentity = {
  offered: {
    namespace: 'osl',
    namespaceid: 200,
    server: 'big-9',
    serverid: 1,
    instance: '9'.repeat(32),
    interfaces: offeredAt('192.168.45.10', '192.168.46.10', '10.9.9.9'),
  },
  explore: 'yes',
  namespacekey: null,
};

class Scene {
  readonly clock = new FakeClock();
  readonly network = new MemoryDatagrams(this.clock);
  readonly found: FoundServer[] = [];

  /** Starts a server that answers at each of its addresses and receives the broadcasts of their subnets. */
  async serve(identity: DiscoveryIdentity, port = PORT): Promise<DiscoveryResponder> {
    const responder = new DiscoveryResponder(identity, () => false);
    for (const { address } of identity.offered.interfaces) {
      const sockets: DatagramSocket[] = [];
      const onDatagram = (datagram: Buffer, from: DatagramPeer): void => {
        const answer = responder.answerTo(datagram, from.address, this.clock.monotonicMs());
        if (answer !== null) sockets[0]!.send(answer, from, () => undefined);
      };
      const handler = { onDatagram, onFailed: () => undefined };
      sockets.push(await this.network.open({ address, port }, handler));
      sockets.push(await this.network.open({ address: address.replace(/[0-9]+$/, '255'), port }, handler));
    }
    return responder;
  }

  /** Starts a peer that answers each request with the datagrams that `says` returns. */
  async peer(address: string, says: (request: Buffer, nonce: Uint8Array) => Buffer[]): Promise<void> {
    const sockets: DatagramSocket[] = [];
    const onDatagram = (datagram: Buffer, from: DatagramPeer): void => {
      const received = decodeDiscovery(datagram, null);
      const nonce = received.kind === 'discover' ? received.message.nonce : Buffer.alloc(16);
      for (const bytes of says(datagram, nonce)) sockets[0]!.send(bytes, from, () => undefined);
    };
    const handler = { onDatagram, onFailed: () => undefined };
    sockets.push(await this.network.open({ address, port: PORT }, handler));
    await this.network.open({ address: address.replace(/[0-9]+$/, '255'), port: PORT }, handler);
  }

  async explore(changes: Partial<ExploreOptions> = {}): Promise<Exploration> {
    const before = this.network.openSockets;
    const running = explore({
      locals: LOCALS,
      port: PORT,
      targets: [],
      namespacekey: null,
      namespaceid: null,
      clock: this.clock,
      sockets: this.network,
      random: new SeededRandom(1).bytes,
      onFound: (server) => this.found.push(server),
      ...changes,
    });
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    this.clock.advance(DISCOVERY_WAIT_MS);
    const result = await running;
    expect([this.network.openSockets, this.clock.timersPending]).toEqual([before, 0]);
    return result;
  }
}

function kinds({ findings }: Exploration): string[] {
  return findings.map(({ kind, object, count }) => `${kind} ${object} ${count}`);
}

function ways({ servers }: Exploration): string[] {
  return servers.flatMap(({ server, heard }) => heard.map(({ local, from, roundTripMs }) => `${server} ${local} ${from} ${roundTripMs}`));
}

function offer(nonce: Uint8Array, changes: Partial<Offer> = {}): Offer {
  return { version: 1, nonce, ...BIG_9.offered, ...changes };
}

describe('found', () => {
  test('by broadcast on both interfaces, asked three times; all three of its interfaces are known', async () => {
    const scene = new Scene();
    await scene.serve(BIG_9);
    const result = await scene.explore();
    expect(result.findings).toEqual([]);
    expect(ways(result)).toEqual(['big-9 if0 192.168.45.10 2', 'big-9 if1 192.168.46.10 2']);
    expect(result.servers[0]).toMatchObject({ ...BIG_9.offered, isSigned: false });
    expect(scene.found.map(({ heard }) => heard.length)).toEqual([1, 2]);
    const requests = scene.network.sent.filter(({ to }) => to.port === PORT);
    expect(requests.map(({ datagram }) => datagram.length)).toEqual(new Array(2 * DISCOVERY_ROUNDS).fill(DISCOVERY_REQUEST_BYTES));
  });

  test('when two of three requests are lost', async () => {
    const scene = new Scene();
    await scene.serve(BIG_9);
    let asked = 0;
    scene.network.loses = (_datagram, from) => from.address === LOCALS[0]!.address && asked++ < 2;
    expect(ways(await scene.explore())).toEqual(['big-9 if1 192.168.46.10 2', 'big-9 if0 192.168.45.10 2']);
  });

  test('by its address, where no broadcast reaches', async () => {
    const scene = new Scene();
    await scene.serve(BIG_9);
    const targets = [
      { address: '10.9.9.9', port: PORT },
      { address: '10.9.9.8', port: PORT },
    ];
    const result = await scene.explore({ locals: [{ ...LOCALS[0]!, broadcast: null }], targets });
    expect(ways(result)).toEqual(['big-9 if0 10.9.9.9 2']);
    expect(kinds(result)).toEqual(['no-answer 10.9.9.8 1']);
  });

  test('signed, if both sides have the key', async () => {
    const scene = new Scene();
    await scene.serve({ ...BIG_9, explore: 'signed', namespacekey: '0xosl' });
    const result = await scene.explore({ namespacekey: '0xosl', namespaceid: 200 });
    expect([result.servers.map(({ isSigned }) => isSigned), result.findings]).toEqual([[true], []]);
  });

  test('sorted by namespaceid and serverid', async () => {
    const scene = new Scene();
    const server = (namespaceid: number, serverid: number, address: string): DiscoveryIdentity => ({
      ...BIG_9,
      offered: { ...BIG_9.offered, namespaceid, serverid, instance: `${serverid}`.repeat(32), interfaces: offeredAt(address) },
    });
    await scene.serve(server(300, 1, '192.168.45.11'));
    await scene.serve(server(200, 2, '192.168.45.12'));
    await scene.serve(server(200, 1, '192.168.46.13'));
    const { servers } = await scene.explore();
    expect(servers.map(({ namespaceid, serverid }) => [namespaceid, serverid])).toEqual([
      [200, 1],
      [200, 2],
      [300, 1],
    ]);
  });

  test('servers of another namespace do not answer', async () => {
    const scene = new Scene();
    const responder = await scene.serve(BIG_9);
    expect(await scene.explore({ namespaceid: 7 })).toEqual({ servers: [], findings: [] });
    expect(responder.counts.namespace).toBe(2 * DISCOVERY_ROUNDS);
  });
});

describe('rejected and reported', () => {
  const KEY = discoveryKey('0xosl');
  const ADDRESS = '192.168.45.66';
  const own = { interfaces: offeredAt(ADDRESS) };

  test.each<[string, Partial<ExploreOptions>, (request: Buffer, nonce: Uint8Array) => Buffer[], string]>([
    ['truncated', {}, (_, nonce) => [encodeOffer(offer(nonce, own), null, 0).subarray(0, 60)], 'unreadable'],
    ['claims too long a message', {}, (_, nonce) => [setByte(encodeOffer(offer(nonce, own), null, 0), 6, 0xff)], 'unreadable'],
    ['the largest datagram', {}, () => [Buffer.alloc(65507, 0x52)], 'unreadable'],
    ['a foreign datagram', {}, () => [Buffer.from('HTTP/1.1 400 Bad Request')], 'unreadable'],
    ['an echo', {}, (request) => [request], 'not-asked-for'],
    ['a newer format', {}, (_, nonce) => [setByte(encodeOffer(offer(nonce, own), null, 0), 5, 2)], 'newer-version'],
    ['a newer protocol', {}, (_, nonce) => [encodeOffer(offer(nonce, { ...own, version: 2 }), null, 0)], 'no-common-version'],
    ['not signed', { namespacekey: '0xosl' }, (_, nonce) => [encodeOffer(offer(nonce, own), null, 0)], 'unsigned'],
    ['wrongly signed', { namespacekey: '0xosl' }, (_, nonce) => [encodeOffer(offer(nonce, own), discoveryKey('x'), 0)], 'wrongly-signed'],
    ['another nonce', {}, () => [encodeOffer(offer(Buffer.alloc(16, 1), own), null, 0)], 'not-asked-for'],
    ['another namespace', { namespaceid: 7 }, (_, nonce) => [encodeOffer(offer(nonce, own), null, 0)], 'other-namespace'],
    ['from an address that it does not list', {}, (_, nonce) => [encodeOffer(offer(nonce), null, 0)], 'other-address'],
    ['no addresses at all', {}, (_, nonce) => [encodeOffer(offer(nonce, { interfaces: [] }), null, 0)], 'other-address'],
  ])('%s', async (_what, options, says, kind) => {
    const scene = new Scene();
    await scene.peer(ADDRESS, says);
    const result = await scene.explore({ locals: LOCALS.slice(0, 1), ...options });
    expect(result.servers).toEqual([]);
    expect(kinds(result)).toEqual([`${kind} ${ADDRESS} ${DISCOVERY_ROUNDS}`]);
    for (const { sentence, remedy } of result.findings) expect([sentence, remedy].join()).not.toMatch(/\p{Cc}/u);
  });

  test('a correctly signed answer to an earlier exploration, replayed', async () => {
    const scene = new Scene();
    await scene.serve({ ...BIG_9, namespacekey: '0xosl', offered: { ...BIG_9.offered, ...own } });
    await scene.explore({ namespacekey: '0xosl' });
    const old = scene.network.sent.find(({ from, to }) => from.address === ADDRESS && to.port !== PORT)!;
    expect(decodeDiscovery(old.datagram, KEY)).toMatchObject({ kind: 'offer', signature: 'right' });
    const again = new Scene();
    await again.peer(ADDRESS, () => [old.datagram]);
    const result = await again.explore({ namespacekey: '0xosl', random: new SeededRandom(2).bytes });
    expect([result.servers, kinds(result)]).toEqual([[], [`not-asked-for ${ADDRESS} ${DISCOVERY_ROUNDS}`]]);
  });

  test('an answer that arrives at another interface than the one that asked', async () => {
    const scene = new Scene();
    const nonces: Uint8Array[] = [];
    await scene.peer('192.168.45.66', (_, nonce) => (nonces.push(nonce), []));
    await scene.peer('192.168.46.66', () =>
      nonces.map((nonce) => encodeOffer(offer(nonce, { interfaces: offeredAt('192.168.46.66') }), null, 0)),
    );
    const result = await scene.explore();
    expect([result.servers.length, kinds(result)[0]]).toEqual([0, 'not-asked-for 192.168.46.66 6']);
  });

  test('two servers that claim one id are both listed', async () => {
    const scene = new Scene();
    await scene.serve(BIG_9);
    await scene.serve({
      ...BIG_9,
      offered: { ...BIG_9.offered, server: 'big-5', instance: '5'.repeat(32), interfaces: offeredAt('192.168.45.11') },
    });
    const result = await scene.explore();
    expect(result.servers.map(({ server }) => server)).toEqual(['big-5', 'big-9']);
    expect(result.findings.map(({ kind, sentence }) => [kind, sentence])).toEqual([
      ['same-id', 'Two servers have serverid 1 in namespaceid 200: big-5 (192.168.45.11) and big-9 (192.168.45.10)'],
    ]);
  });

  test('two answers for one server that contradict each other', async () => {
    const scene = new Scene();
    await scene.serve(BIG_9);
    await scene.peer(ADDRESS, (_, nonce) => [encodeOffer(offer(nonce, own), null, 0)]);
    const result = await scene.explore();
    expect(result.servers.map(({ interfaces }) => interfaces)).toEqual([BIG_9.offered.interfaces]);
    expect(kinds(result)).toEqual([`contradiction ${ADDRESS} ${DISCOVERY_ROUNDS}`]);
  });

  // Regression: if the MTU of a card was changed during an exploration, the server with this card was reported as a contradiction.
  test('a card whose speed and MTU change meanwhile is no contradiction: the last answer counts', async () => {
    const scene = new Scene();
    let answers = 0;
    await scene.peer(ADDRESS, (_, nonce) => {
      answers++;
      const [first, ...others] = own.interfaces;
      const interfaces = answers === 1 ? own.interfaces : [{ ...first!, linkMbps: 100, mtuBytes: 1300 }, ...others];
      return [encodeOffer(offer(nonce, { ...own, interfaces }), null, 0)];
    });
    const { servers, findings } = await scene.explore();
    expect(answers).toBeGreaterThan(1);
    expect(servers.map(({ interfaces: [card] }) => [card?.linkMbps, card?.mtuBytes])).toEqual([[100, 1300]]);
    expect(findings).toEqual([]);
  });

  test('more than a thousand answers: the limit is kept', async () => {
    const scene = new Scene();
    await scene.peer(ADDRESS, (_, nonce) =>
      Array.from({ length: DISCOVERY_ANSWERS_MAX + 10 }, (_unused, index) =>
        encodeOffer(offer(nonce, { ...own, serverid: index & 255, instance: index.toString(16).padStart(32, '0') }), null, 0),
      ),
    );
    const { servers, findings } = await scene.explore({ locals: LOCALS.slice(0, 1) });
    expect(servers).toHaveLength(DISCOVERY_ANSWERS_MAX);
    expect(findings.find(({ kind }) => kind === 'too-many')).toMatchObject({ count: 10 * DISCOVERY_ROUNDS });
    expect(findings.filter(({ kind }) => kind === 'same-id')).toHaveLength(FINDINGS_PER_KIND_MAX + 1);
  });

  test('invalid datagrams from a thousand addresses are counted and hide no server', async () => {
    const scene = new Scene();
    await scene.serve(BIG_9);
    await scene.peer(ADDRESS, () => []);
    const nonsense = (to: DatagramPeer): void => {
      for (let index = 0; index < 1000; index++) {
        scene.network.send(Buffer.from('nonsense'), { address: `10.1.${index >> 8}.${index & 255}`, port: 9 }, to, () => undefined);
      }
    };
    scene.network.loses = (_datagram, from, to) => {
      if (to.port === PORT && from.address === LOCALS[0]!.address) nonsense(from);
      return false;
    };
    const result = await scene.explore();
    expect(result.servers).toHaveLength(1);
    const counted = result.findings.filter(({ kind }) => kind === 'unreadable');
    expect(counted).toHaveLength(FINDINGS_PER_KIND_MAX + 1);
    expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(1000 * DISCOVERY_ROUNDS);
  });
});

describe('this machine', () => {
  test('a missing address, a missing route, an interface without broadcast', async () => {
    const scene = new Scene();
    await scene.serve(BIG_9);
    scene.network.missing.add(LOCALS[1]!.address);
    scene.network.refuses = (_datagram, _from, to) => (to.address === '10.7.7.7' ? 'send ENETUNREACH 10.7.7.7:5000' : null);
    const locals = [...LOCALS, { name: 'tun0', address: '10.8.0.2', broadcast: null }];
    const result = await scene.explore({ locals, targets: [{ address: '10.7.7.7', port: PORT }] });
    expect(ways(result)).toEqual(['big-9 if0 192.168.45.10 2']);
    expect(kinds(result)).toEqual([
      'cannot-ask if1 1',
      `cannot-ask if0 -> 10.7.7.7 ${DISCOVERY_ROUNDS}`,
      `cannot-ask tun0 -> 10.7.7.7 ${DISCOVERY_ROUNDS}`,
      'no-answer 10.7.7.7 1',
    ]);
    expect(kinds(await scene.explore({ locals: locals.slice(2) }))).toEqual([`no-broadcast tun0 ${DISCOVERY_ROUNDS}`]);
  });

  test('the loopback interface sends nothing to other machines', async () => {
    const scene = new Scene();
    await scene.serve(BIG_9);
    scene.network.refuses = (_datagram, from, to) =>
      from.address === '127.0.0.1' && to.address === '192.168.45.10' ? 'send EINVAL' : null;
    const locals = [...LOCALS, { name: 'lo', address: '127.0.0.1', broadcast: '127.255.255.255' }];
    const result = await scene.explore({ locals, targets: [{ address: '192.168.45.10', port: PORT }] });
    expect(result.findings).toEqual([]);
    expect(result.servers).toHaveLength(1);
  });

  test('address families do not mix', async () => {
    const scene = new Scene();
    const result = await scene.explore({ targets: [{ address: 'fd00::10', port: PORT }] });
    expect(kinds(result)).toEqual(['cannot-ask fd00::10 1']);
    expect(scene.network.sent.every(({ to }) => to.address.endsWith('.255'))).toBe(true);
  });

  test('no interfaces', async () => {
    expect(kinds(await new Scene().explore({ locals: [] }))).toEqual(['cannot-ask interfaces 1']);
  });

  test('more addresses than are asked at a time', async () => {
    const scene = new Scene();
    const targets = Array.from({ length: DISCOVERY_TARGETS_MAX + 5 }, (_, index) => ({
      address: `10.2.${index >> 8}.${index & 255}`,
      port: PORT,
    }));
    const result = await scene.explore({ locals: LOCALS.slice(0, 1), targets });
    expect(kinds(result)[0]).toBe('too-many addresses 1');
    expect(scene.network.sent).toHaveLength(DISCOVERY_ROUNDS * (DISCOVERY_TARGETS_MAX + 1));
  });
});

function setByte(bytes: Buffer, at: number, to: number): Buffer {
  bytes[at] = to;
  return bytes;
}
