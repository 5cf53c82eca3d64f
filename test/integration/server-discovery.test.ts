// Answers of real servers to raw discovery datagrams, by address and by broadcast: which server answers which request, from which address,
// and with how many bytes. Tests of the explorer are in packages/protocol.

import dgram from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { discoveryKey } from '@rsio/protocol/auth/keys';
import { decodeDiscovery, type Discover, encodeDiscover, type Offer } from '@rsio/protocol/explorer/discovery-datagram';
import {
  DISCOVERY_BURST_PER_SOURCE,
  DISCOVERY_NONCE_BYTES,
  DISCOVERY_RATE_PER_SOURCE,
  DISCOVERY_REQUEST_BYTES,
} from '@rsio/protocol/explorer/limits';
import { beforeEach, describe, expect, it } from 'vitest';
import { serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const BROADCAST = '127.255.255.255';
const KEY_TEXT = '0xthe-key-of-the-namespace';
const KEY = discoveryKey(KEY_TEXT);
const ANSWER_MS = 10_000;
const WAVES = 10;

const hosts = useHosts();
let network: TestNetwork;

interface Heard {
  readonly from: string;
  readonly port: number;
  readonly bytes: number;
  readonly offer: Offer;
  readonly signature: string;
}

/** A socket of a client, and every answer that it has received. */
class Asker {
  readonly heard: Heard[] = [];
  private readonly socket: dgram.Socket;

  private constructor(socket: dgram.Socket) {
    this.socket = socket;
    socket.on('message', (datagram, { address, port }) => {
      const received = decodeDiscovery(datagram, KEY);
      if (received.kind !== 'offer') throw new Error(`A datagram from ${address} is no offer`);
      this.heard.push({ from: address, port, bytes: datagram.length, offer: received.message, signature: received.signature });
    });
  }

  static async at(address: string): Promise<Asker> {
    const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
    await new Promise<void>((resolve) => socket.bind({ address, port: 0 }, resolve));
    socket.setBroadcast(true);
    hosts.onClean(() => socket.close());
    return new Asker(socket);
  }

  /** Sends a request and returns its nonce. */
  ask(address: string, changes: Partial<Discover> = {}, key: Buffer | null = null, sizeBytes = DISCOVERY_REQUEST_BYTES): Buffer {
    const nonce = randomBytes(DISCOVERY_NONCE_BYTES);
    this.send(address, encodeDiscover({ versions: [1], nonce, namespaceid: null, answerBytes: 0, ...changes }, key, sizeBytes));
    return nonce;
  }

  send(address: string, datagram: Buffer): void {
    this.socket.send(datagram, network.port, address);
  }

  answersTo(nonce: Buffer): Heard[] {
    return this.heard.filter(({ offer }) => nonce.equals(offer.nonce));
  }

  async answersOf(nonce: Buffer, count = 1): Promise<Heard[]> {
    await waitFor(() => this.answersTo(nonce).length >= count, ANSWER_MS, `${count} answers`);
    return this.answersTo(nonce);
  }
}

/** Sends a datagram to a port without a socket, and returns the errno that the kernel reports. */
function refusal(address: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    hosts.onClean(() => socket.close());
    socket.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
    socket.connect(network.port, address, () => socket.send(Buffer.alloc(1)));
  });
}

function file(namespace: string, addresses = network.serverAddresses, serverid = 1): string {
  const shown = { ...network, serverAddresses: addresses };
  const text = serverConfig(shown, { volumes: { oracle: { type: 'null', size: '1m' } } });
  return text.replace('protocol = tcp\n', `protocol = tcp\n${namespace}`).replace('serverid = 1', `serverid = ${serverid}`);
}

async function startServer(namespace = '', addresses = network.serverAddresses, serverid = 1): Promise<Host> {
  const host = hosts.host();
  host.writeConfig('rssrv', file(namespace, addresses, serverid));
  await host.start('rssrv');
  return host;
}

async function reload(host: Host, text: string): Promise<void> {
  const count = (): number => host.log('rssrv').match(/^Reload/gm)?.length ?? 0;
  const before = count();
  host.writeConfig('rssrv', text);
  process.kill(host.pid('rssrv'), 'SIGHUP');
  await waitFor(() => count() > before, ANSWER_MS, 'The reload has ended');
}

beforeEach(async () => {
  network = await hosts.network(2);
});

describe('answered', () => {
  it("on every address, and once by broadcast, from the address in the asker's subnet", async () => {
    await startServer();
    const [first = '', second = ''] = network.serverAddresses;
    const asker = await Asker.at(network.clientAddresses()[1] ?? '');
    for (const address of network.serverAddresses) {
      const [heard] = await asker.answersOf(asker.ask(address));
      expect(heard).toMatchObject({ from: address, port: network.port, signature: 'none' });
      expect(heard?.offer).toMatchObject({
        version: 1,
        namespace: 'osl',
        namespaceid: 200,
        server: 'big-9',
        serverid: 1,
        interfaces: [
          { name: 'if1', address: first, port: network.port },
          { name: 'if2', address: second, port: network.port },
        ],
      });
    }
    const nonce = asker.ask(BROADCAST);
    await asker.answersOf(asker.ask(second));
    expect(asker.answersTo(nonce).map(({ from }) => from)).toEqual([second]);
  });

  it('by two servers that share the broadcast address and the port of one machine', async () => {
    const [first = '', second = ''] = network.serverAddresses;
    await startServer('', [first], 1);
    await startServer('', [second], 2);
    const asker = await Asker.at(network.clientAddresses()[0] ?? '');
    const heard = await asker.answersOf(asker.ask(BROADCAST), 2);
    expect(heard.map(({ from, offer }) => `${offer.serverid} ${from}`).toSorted()).toEqual([`1 ${first}`, `2 ${second}`]);
  });

  it('padded to the requested size, and never larger than the request', async () => {
    await startServer();
    const [address = ''] = network.serverAddresses;
    const asker = await Asker.at(network.clientAddresses()[0] ?? '');
    const large = asker.ask(address, { answerBytes: 8_972 }, null, 8_972);
    const tooLarge = asker.ask(address, { answerBytes: DISCOVERY_REQUEST_BYTES + 1 });
    const small = await asker.answersOf(asker.ask(address));
    expect((await asker.answersOf(large))[0]?.bytes).toBe(8_972);
    expect(asker.answersTo(tooLarge)).toEqual([]);
    expect(small[0]?.bytes).toBeLessThan(DISCOVERY_REQUEST_BYTES);
  });

  it('signed if a key is set; with explore = signed only to a valid signature; not for another namespace', async () => {
    const host = await startServer(`namespacekey = ${KEY_TEXT}\n`);
    const [address = ''] = network.serverAddresses;
    const asker = await Asker.at(network.clientAddresses()[0] ?? '');
    expect((await asker.answersOf(asker.ask(address)))[0]?.signature).toBe('right');
    await reload(host, file(`namespacekey = ${KEY_TEXT}\nexplore = signed\n`));
    const unanswered = [
      asker.ask(address),
      asker.ask(address, {}, discoveryKey('0xanother-key-of-somebody')),
      asker.ask(address, { namespaceid: 201 }, KEY),
    ];
    // Datagrams between two sockets of one machine keep their order. If the server had answered the earlier request, its answer would have
    // arrived before the answer to the later request.
    expect((await asker.answersOf(asker.ask(address, { namespaceid: 200 }, KEY)))[0]?.signature).toBe('right');
    expect(unanswered.flatMap((nonce) => asker.answersTo(nonce))).toEqual([]);
  });
});

describe('not answered', () => {
  it('with explore = no: there is no socket, until SIGHUP', async () => {
    const host = await startServer('explore = no\n');
    const [address = ''] = network.serverAddresses;
    expect(await refusal(address)).toBe('ECONNREFUSED');
    await reload(host, file(''));
    const asker = await Asker.at(network.clientAddresses()[0] ?? '');
    await asker.answersOf(asker.ask(address));
    await reload(host, file('explore = no\n'));
    expect(await refusal(address)).toBe('ECONNREFUSED');
  });

  it('on a removed interface; on a new one it is', async () => {
    const [first = '', second = ''] = network.serverAddresses;
    const host = await startServer('', [first]);
    expect(await refusal(second)).toBe('ECONNREFUSED');
    await reload(host, file('', [second]));
    const asker = await Asker.at(network.clientAddresses()[1] ?? '');
    const [heard] = await asker.answersOf(asker.ask(second));
    expect(heard?.offer.interfaces).toMatchObject([{ address: second }]);
    expect(await refusal(first)).toBe('ECONNREFUSED');
  });

  it('if another program has the port: a warning at the prompt and in the log, and clients are served', async () => {
    const [first = '', second = ''] = network.serverAddresses;
    const other = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => other.bind({ address: first, port: network.port }, resolve));
    hosts.onClean(() => other.close());
    const host = hosts.host();
    host.writeConfig('rssrv', file(''));
    const { code, stderr } = await host.tryStart('rssrv');
    const sentence = `Exploration is not answered on UDP ${first}:${network.port} (interface if1): another program uses the port: stop it`;
    expect(code).toBe(0);
    expect(stderr).toContain(`Warning: ${sentence}`);
    // The daemon may write the log after the prompt returns.
    await waitFor(() => host.log('rssrv').includes(sentence), ANSWER_MS, 'the warning is in the log');
    const asker = await Asker.at(network.clientAddresses()[0] ?? '');
    const heard = await asker.answersOf(asker.ask(BROADCAST));
    expect(heard.map(({ from }) => from)).toEqual([second]);
  });
});

it('a storm of valid requests and rubbish is answered within the bounds, and another asker is served meanwhile', async () => {
  await startServer();
  const [address = ''] = network.serverAddresses;
  const storming = await Asker.at(network.clientAddresses(0)[0] ?? '');
  const other = await Asker.at(network.clientAddresses(1)[0] ?? '');
  const startMs = performance.now();
  for (let wave = 0; wave < WAVES; wave++) {
    for (let times = 0; times < 100; times++) {
      storming.ask(address);
      storming.send(address, randomBytes(1 + ((times * 97) % 2_000)));
    }
    const before = other.heard.length;
    // Asks repeatedly, as a client does, because datagrams are lost if the kernel's buffer is full.
    const isAnswered = (): boolean => {
      if (other.heard.length > before) return true;
      other.ask(address);
      return false;
    };
    await waitFor(isAnswered, ANSWER_MS, `The other is answered in wave ${wave}`);
  }
  const seconds = (performance.now() - startMs) / 1000;
  expect(storming.heard.length).toBeGreaterThan(0);
  expect(storming.heard.length).toBeLessThanOrEqual(DISCOVERY_BURST_PER_SOURCE + Math.ceil(seconds * DISCOVERY_RATE_PER_SOURCE));
  expect(Math.max(...storming.heard.map(({ bytes }) => bytes))).toBeLessThanOrEqual(DISCOVERY_REQUEST_BYTES);
});
