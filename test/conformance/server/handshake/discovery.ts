// Discovery on the wire: cases send datagrams to the server's address and check its answers. Cases about the form of datagrams decode them
// without the product's code.

import dgram from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { decodeDiscovery, type Offer } from '@rsio/protocol/explorer/discovery-datagram';
import {
  DISCOVERY_BURST_PER_SOURCE,
  DISCOVERY_NONCE_BYTES,
  DISCOVERY_RATE_PER_SOURCE,
  DISCOVERY_REQUEST_BYTES,
} from '@rsio/protocol/explorer/limits';
import { MAC_BYTES } from '@rsio/protocol/wire/limits';
import { waitFor } from '../../../support/programs/wait-for.ts';
import { type Need, type ServerCase, serverCase } from '../../base/case.ts';
import { equals, holds, sameBytes } from '../../base/check.ts';
import { pack } from '../../base/pack.ts';
import { specDiscoveryMac } from '../../base/spec-keys.ts';
import type { Target } from '../../base/target.ts';
import type { Fields } from './handshake-steps.ts';

const KIND = { DISCOVER: 1, OFFER: 2, SIGNED: 0x80 } as const;
const PREFIX_BYTES = 8;
const ANSWER_MS = 5_000;

interface Ask {
  readonly changes?: Fields;
  readonly sizeBytes?: number;
  readonly kind?: number;
  readonly form?: number;
  readonly magic?: string;
  /** Key with which the request is signed; absent: the request is not signed. */
  readonly key?: string;
}

/** A socket that sends requests and keeps all received datagrams. */
class Asker {
  readonly heard: Buffer[] = [];
  private readonly target: Target;
  private readonly socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1024 * 1024 });

  private constructor(target: Target) {
    this.target = target;
    this.socket.on('message', (datagram) => void this.heard.push(datagram));
  }

  static async with<T>(target: Target, use: (asker: Asker) => Promise<T>): Promise<T> {
    const asker = new Asker(target);
    const { from } = target.place();
    await new Promise<void>((resolve) => asker.socket.bind({ port: 0, ...(from === undefined ? {} : { address: from }) }, resolve));
    try {
      return await use(asker);
    } finally {
      asker.socket.close();
    }
  }

  send(datagram: Buffer): void {
    const { address, port } = this.target.options;
    this.socket.send(datagram, port, address);
  }

  /** Sends a hand-made request; returns its nonce. */
  ask({ changes = {}, sizeBytes = DISCOVERY_REQUEST_BYTES, kind = KIND.DISCOVER, form = 1, magic = 'RSIO', key }: Ask = {}): Buffer {
    const nonce = randomBytes(DISCOVERY_NONCE_BYTES);
    const body = pack({ versions: [1], nonce, namespaceid: null, answerBytes: 0, ...changes });
    const datagram = Buffer.alloc(sizeBytes);
    datagram.write(magic, 'latin1');
    datagram[4] = key === undefined ? kind : kind | KIND.SIGNED;
    datagram[5] = form;
    datagram.writeUInt16BE(body.length, 6);
    body.copy(datagram, PREFIX_BYTES);
    if (key !== undefined) specDiscoveryMac(key, datagram.subarray(0, -MAC_BYTES)).copy(datagram, sizeBytes - MAC_BYTES);
    this.send(datagram);
    return nonce;
  }

  answersTo(nonce: Buffer): Buffer[] {
    return this.heard.filter((datagram) => nonce.equals(offerOf(datagram).nonce));
  }

  async answerTo(nonce: Buffer): Promise<Buffer> {
    return waitFor(() => this.answersTo(nonce)[0] ?? null, ANSWER_MS, 'An OFFER');
  }
}

function offerOf(datagram: Buffer): Offer {
  const discoveryCase = decodeDiscovery(datagram, null);
  if (discoveryCase.kind !== 'offer') throw new Error(`What came is no OFFER: ${discoveryCase.kind}`);
  return discoveryCase.message;
}

function beacon(
  id: string,
  section: string,
  expects: string,
  use: (asker: Asker, target: Target) => Promise<void>,
  needs: readonly Need[] = [],
): ServerCase {
  return serverCase(`beacon.${id}`, section, expects, (target) => Asker.with(target, (asker) => use(asker, target)), { needs });
}

/**
 * Makes a case in which the server must not answer a request. The client then sends a correct second request. If the server answered the
 * first request, this answer would arrive before the answer to the second request.
 */
function unanswered(id: string, expects: string, ask: (target: Target) => Ask, section = 'Which requests are answered'): ServerCase {
  return beacon(id, section, expects, async (asker, target) => {
    asker.ask(ask(target));
    await asker.answerTo(asker.ask());
    equals('Datagrams that came', asker.heard.length, 1);
  });
}

export const DISCOVERY_CASES: readonly ServerCase[] = [
  beacon(
    'offer',
    'OFFER',
    'DISCOVER is answered with an OFFER that has the server of CHALLENGE and the queried address',
    async (asker, target) => {
      const { server, serverid, instance } = await (await target.connectUnproven()).greet();
      const offer = offerOf(await asker.answerTo(asker.ask()));
      equals('The server', [offer.server, offer.serverid, offer.instance], [server, serverid, instance]);
      equals('namespaceid and version', [offer.namespaceid, offer.version], [target.options.namespaceid, 1]);
      const { address, port } = target.options;
      const isListed = offer.interfaces.some((one) => one.address === address && one.port === port);
      holds(isListed, `The OFFER does not list ${address} port ${port}`);
    },
  ),
  beacon('form', 'Exploration', 'An OFFER has the form in docs/PROTOCOL.md, byte for byte, and zeros as padding', async (asker) => {
    const datagram = await asker.answerTo(asker.ask({ changes: { answerBytes: DISCOVERY_REQUEST_BYTES } }));
    equals('magic, kind, version', [datagram.subarray(0, 4).toString(), datagram[4]! & ~KIND.SIGNED, datagram[5]], ['RSIO', KIND.OFFER, 1]);
    const isSigned = (datagram[4]! & KIND.SIGNED) !== 0;
    const padding = datagram.subarray(PREFIX_BYTES + datagram.readUInt16BE(6), isSigned ? -MAC_BYTES : undefined);
    sameBytes('The padding', padding, Buffer.alloc(padding.length));
  }),
  beacon('padded', 'MTU', 'An OFFER is padded to the requested size', async (asker) => {
    const datagram = await asker.answerTo(asker.ask({ changes: { answerBytes: 8_000 }, sizeBytes: 8_000 }));
    equals('Bytes', datagram.length, 8_000);
  }),
  beacon('smaller', 'Exploration', 'An OFFER without requested padding is smaller than its request', async (asker) => {
    const datagram = await asker.answerTo(asker.ask());
    holds(datagram.length < DISCOVERY_REQUEST_BYTES, `The OFFER has ${datagram.length} bytes`);
  }),
  beacon('namespace', 'DISCOVER', 'A request for the namespaceid of the server is answered', async (asker, target) => {
    await asker.answerTo(asker.ask({ changes: { namespaceid: target.options.namespaceid } }));
  }),
  beacon('version', 'OFFER', "A request without a common version is answered with the server's highest version", async (asker) => {
    equals('The version', offerOf(await asker.answerTo(asker.ask({ changes: { versions: [9] } }))).version, 1);
  }),
  beacon('unknown-field', 'OFFER', 'The server ignores unknown fields of DISCOVER', async (asker) => {
    await asker.answerTo(asker.ask({ changes: { colour: 'blue' } }));
  }),
  beacon(
    'signed',
    'Exploration',
    'With a namespacekey the OFFER is signed as docs/PROTOCOL.md says, over the nonce of the request',
    async (asker, { options }) => {
      const datagram = await asker.answerTo(asker.ask({ key: options.namespacekey ?? '' }));
      equals('kind', datagram[4], KIND.OFFER | KIND.SIGNED);
      const before = datagram.subarray(0, datagram.length - MAC_BYTES);
      sameBytes('The mac', datagram.subarray(before.length), specDiscoveryMac(options.namespacekey ?? '', before));
    },
    ['namespacekey'],
  ),
  beacon(
    'wrongly-signed',
    'Which requests are answered',
    'Unless explore = signed, a request signed with another key is answered too',
    async (asker) => void (await asker.answerTo(asker.ask({ key: '0xanother-key-of-somebody' }))),
    ['namespacekey'],
  ),
  unanswered('other-namespace', 'A request for another namespaceid is not answered', ({ options }) => ({
    changes: { namespaceid: (options.namespaceid + 1) % 65_536 },
  })),
  unanswered('wants-more', 'A request that asks for more bytes than it contains is not answered', () => ({
    changes: { answerBytes: DISCOVERY_REQUEST_BYTES + 1 },
  })),
  unanswered('too-small', 'A request of 1,359 bytes is not answered', () => ({ sizeBytes: DISCOVERY_REQUEST_BYTES - 1 }), 'Exploration'),
  unanswered('magic', 'A datagram that does not begin with RSIO is not answered', () => ({ magic: 'RSIX' }), 'Exploration'),
  unanswered('later-form', 'A datagram of a later form is not answered', () => ({ form: 2 }), 'Exploration'),
  unanswered('an-offer', 'An OFFER is not answered', () => ({ kind: KIND.OFFER }), 'Exploration'),
  unanswered('unknown-kind', 'A datagram of an unknown kind is not answered', () => ({ kind: 7 }), 'Exploration'),
  unanswered('no-versions', 'A request without versions is not answered', () => ({ changes: { versions: [] } }), 'DISCOVER'),
  unanswered(
    'short-nonce',
    'A request with a nonce of 15 bytes is not answered',
    () => ({ changes: { nonce: randomBytes(15) } }),
    'DISCOVER',
  ),
  beacon(
    'garbage',
    'Which requests are answered',
    'Random datagrams of any size are not answered, and the next valid request is',
    async (asker) => {
      for (let bytes = 0; bytes < 2_000; bytes += 97) asker.send(randomBytes(bytes));
      await asker.answerTo(asker.ask());
      equals('Datagrams that came', asker.heard.length, 1);
    },
  ),
  beacon(
    'rate',
    'Which requests are answered',
    'One address gets at most 64 answers at once and 16 per second, and another address is answered meanwhile',
    async (asker, target) => {
      const startMs = performance.now();
      for (let wave = 0; wave < 20; wave++) {
        for (let time = 0; time < 10; time++) asker.ask();
        await Asker.with(target, (other) => other.answerTo(other.ask()));
      }
      const most = DISCOVERY_BURST_PER_SOURCE + Math.ceil(((performance.now() - startMs) / 1000) * DISCOVERY_RATE_PER_SOURCE);
      const { length } = asker.heard;
      holds(length > 0 && length <= most, `${length} answers were heard, at most ${most} are to come`);
    },
    ['addresses'],
  ),
];
