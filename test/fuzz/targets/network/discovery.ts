// The datagrams of discovery, and the server's answers to a series of them. Oracle: no exception. A signature counts as valid only if its
// mac, computed a second time, is right. No asker gets more bytes than it has sent. No asker gets a forbidden answer. A decoded datagram
// stays the same when it is encoded and decoded again.

import { isDeepStrictEqual } from 'node:util';
import { DISCOVERY_REQUEST_BYTES, DISCOVERY_SOURCES_MAX, DATAGRAM_MAX_BYTES } from '@rsio/protocol/explorer/limits';
import {
  type DiscoveryDatagram,
  decodeDiscovery,
  type Discover,
  encodeDiscover,
  encodeOffer,
} from '@rsio/protocol/explorer/discovery-datagram';
import { DiscoveryResponder } from '@rsio/protocol/explorer/discovery-responder';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { aName, edge, some } from '../../makers/message-maker.ts';
import { discoveryKeyOf, isDiscoverySigned } from '../../fixtures/proof-oracle.ts';
import { mutatedScript, readScript, scriptPieces, type Step, step } from '../../makers/script.ts';

// Each step is a datagram. Kind of the first step: bit 0: the server has a key; bit 1: the server answers only signed datagrams. Argument
// of each step: the low half is the source, the high half the time since the previous datagram.
const KEY_TEXT = '0xnamespace-secret-of-the-fuzz';
const KEY = discoveryKeyOf(KEY_TEXT);
const STEP_MS = 40;
const OFFERED = {
  namespace: 'osl',
  namespaceid: 200,
  server: 'big-9',
  serverid: 1,
  instance: '9'.repeat(32),
  interfaces: [{ name: 'if1', address: '127.45.0.10', port: 5000, linkMbps: 1000, mtuBytes: null }],
};

/**
 * Expects that a decoded message with a valid signature is the signed one, and that it stays the same when it is encoded and decoded again.
 */
function judgeRead(datagram: Buffer, key: Buffer | null): DiscoveryDatagram {
  const received = decodeDiscovery(datagram, key);
  if (received.kind === 'drop') return received;
  const isSigned = (datagram[4]! & 0x80) !== 0;
  const expected = !isSigned ? 'none' : key !== null && isDiscoverySigned(key, datagram) ? 'right' : 'wrong';
  expectThat(received.signature === expected, `a signature that is ${expected} was taken for ${received.signature}`);
  const again =
    received.kind === 'discover'
      ? encodeDiscover(received.message, key, DISCOVERY_REQUEST_BYTES)
      : encodeOffer(received.message, key, datagram.length);
  const reread = decodeDiscovery(again, key);
  expectThat(
    reread.kind === received.kind && 'message' in reread && isDeepStrictEqual(reread.message, received.message),
    `${received.kind} comes back as another message`,
  );
  return received;
}

function judgeAnswer(answer: Buffer | null, asked: DiscoveryDatagram, datagram: Buffer, key: Buffer | null, isSignedOnly: boolean): void {
  if (answer === null) return;
  expectThat(answer.length <= datagram.length, `an answer of ${answer.length} bytes to ${datagram.length}`);
  expectThat(asked.kind === 'discover', `${asked.kind} was answered`);
  expectThat(!isSignedOnly || asked.signature === 'right', 'an unsigned request was answered');
  const offer = decodeDiscovery(answer, key);
  expectThat(offer.kind === 'offer' && Buffer.compare(offer.message.nonce, asked.message.nonce) === 0, 'an answer is not for its request');
  expectThat(offer.signature === (key === null ? 'none' : 'right'), `an answer whose signature is ${offer.signature}`);
}

function run(input: Buffer): boolean {
  const steps = readScript(input);
  const kind = steps[0]?.kind ?? 0;
  const hasKey = (kind & 1) !== 0;
  const isSignedOnly = (kind & 3) === 3;
  const responder = new DiscoveryResponder(
    {
      offered: OFFERED,
      explore: isSignedOnly ? 'signed' : 'yes',
      namespacekey: hasKey ? KEY_TEXT : null,
    },
    () => false,
  );
  let nowMs = 0;
  for (const { arg, bytes } of steps) {
    nowMs += (arg >>> 4) * STEP_MS;
    const key = hasKey ? KEY : null;
    const asked = judgeRead(bytes, key);
    judgeAnswer(responder.answerTo(bytes, `127.45.0.${arg & 15}`, nowMs), asked, bytes, key, isSignedOnly);
    // There are at most 32 kept sources: each of the 16 addresses counts separately for signed and for unsigned datagrams.
    expectThat(responder.sourcesKept <= Math.min(32, DISCOVERY_SOURCES_MAX), `${responder.sourcesKept} sources are remembered`);
  }
  const counted = Object.values(responder.counts).reduce((sum, count) => sum + count, 0);
  expectThat(counted === steps.length, `${steps.length} datagrams came, ${counted} were counted`);
  return responder.counts.answered > 0;
}

function makeDatagram(random: SeededRandom, hasKey: boolean): Buffer {
  const key = hasKey && random.chance(0.8) ? KEY : random.chance(0.1) ? Buffer.alloc(32, 3) : null;
  const sizeBytes = random.chance(0.9) ? DISCOVERY_REQUEST_BYTES : random.pick([1472, 8972, DATAGRAM_MAX_BYTES]);
  const discover: Discover = {
    versions: some(random, 16, () => edge(random, 1, 65_535), 1),
    nonce: random.bytes(16),
    namespaceid: random.pick([null, null, 200, 200, 1]),
    answerBytes: random.pick([0, 0, 1000, sizeBytes, DATAGRAM_MAX_BYTES]),
  };
  if (random.chance(0.85)) return encodeDiscover(discover, key, sizeBytes);
  const interfaces = some(random, 8, () => ({
    name: aName(random),
    address: '127.1.2.3',
    port: edge(random, 1, 65_535),
    linkMbps: random.pick([null, 1, 0xffffffff]),
    mtuBytes: random.pick([null, 1500]),
  }));
  return encodeOffer({ ...OFFERED, version: 1, nonce: random.bytes(16), interfaces }, key, random.pick([0, 1360]));
}

function make(random: SeededRandom): Buffer {
  const kind = random.pick([0, 1, 3]);
  const one = (): Step => step(kind, random.int(0, 255), makeDatagram(random, (kind & 1) !== 0));
  // Sometimes, there are so many datagrams that the rate limits are reached.
  const count = random.chance(0.02) ? 100 : random.int(1, 4);
  return mutatedScript(random, Array.from({ length: count }, one), one);
}

export const discovery: FuzzTarget = {
  name: 'discovery',
  deep: 'a request was answered',
  fixedSeeds: 500,
  make,
  run,
  pieces: scriptPieces,
};
