// Tests which requests are answered, and why other requests are not. Answers are bounded in size and number for any input.
// discovery-datagram.test.ts tests the format of datagrams. Rules: G12.

import { expectAtMost } from '@rsio/base/testing/quick-expect';
import { describe, expect, test } from 'vitest';
import { discoveryKey } from '../auth/keys.ts';
import {
  DISCOVERY_BURST,
  DISCOVERY_BURST_PER_SOURCE,
  DISCOVERY_RATE,
  DISCOVERY_RATE_PER_SOURCE,
  DISCOVERY_REQUEST_BYTES,
  DISCOVERY_SOURCES_MAX,
} from './limits.ts';
import { decodeDiscovery, type Discover, encodeDiscover, encodeOffer } from './discovery-datagram.ts';
import { type DiscoveryIdentity, DiscoveryResponder } from './discovery-responder.ts';

const KEY = discoveryKey('0xosl');
const IDENTITY: DiscoveryIdentity = {
  offered: {
    namespace: 'osl',
    namespaceid: 200,
    server: 'big-9',
    serverid: 1,
    instance: 'ffeeddccbbaa99887766554433221100',
    interfaces: [{ name: 'if1', address: '192.168.45.10', port: 5000, linkMbps: 1000, mtuBytes: 1500 }],
  },
  explore: 'yes',
  namespacekey: null,
};
const SIGNED: DiscoveryIdentity = { ...IDENTITY, explore: 'signed', namespacekey: '0xosl' };

function request(changes: Partial<Discover> = {}, key: Buffer | null = null, sizeBytes = DISCOVERY_REQUEST_BYTES): Buffer {
  return encodeDiscover({ versions: [1], nonce: Buffer.alloc(16, 9), namespaceid: null, answerBytes: 0, ...changes }, key, sizeBytes);
}

/** Returns the outcome of one datagram at a new responder. */
function outcomeOf(identity: DiscoveryIdentity, datagram: Buffer): string {
  const responder = new DiscoveryResponder(identity, () => false);
  const answer = responder.answerTo(datagram, '10.0.0.1', 0);
  const [outcome = 'none'] = Object.entries(responder.counts).flatMap(([name, count]) => (count === 1 ? [name] : []));
  expect(answer === null).toBe(outcome !== 'answered');
  return outcome;
}

describe('outcomes', () => {
  test.each([
    ['any namespace', IDENTITY, request(), 'answered'],
    ['this namespace', IDENTITY, request({ namespaceid: 200 }), 'answered'],
    ['another namespace', IDENTITY, request({ namespaceid: 201 }), 'namespace'],
    ['only a newer protocol', IDENTITY, request({ versions: [7] }), 'answered'],
    ['signed, where no key is set', IDENTITY, request({}, KEY), 'answered'],
    [
      'signed with another key, where all requests are answered',
      { ...SIGNED, explore: 'yes' } as const,
      request({}, discoveryKey('x')),
      'answered',
    ],
    ['correctly signed', SIGNED, request({}, KEY), 'answered'],
    ['not signed', SIGNED, request(), 'signature'],
    ['signed with another key', SIGNED, request({}, discoveryKey('x')), 'signature'],
    ['asks for an answer larger than itself', IDENTITY, request({ answerBytes: DISCOVERY_REQUEST_BYTES + 1 }), 'answer-too-large'],
    ['not padded', IDENTITY, request().subarray(0, 100), 'truncated'],
    ['a foreign datagram', IDENTITY, Buffer.alloc(DISCOVERY_REQUEST_BYTES, 0x41), 'foreign'],
    ['an answer', IDENTITY, encodeOffer({ version: 1, nonce: Buffer.alloc(16), ...IDENTITY.offered }, null, 0), 'not-a-request'],
  ])('%s', (_what, identity, datagram, outcome) => {
    expect(outcomeOf(identity, datagram)).toBe(outcome);
  });
});

describe('answers', () => {
  test('repeat the nonce, carry the signature, and name the common version', () => {
    const responder = new DiscoveryResponder(SIGNED, () => false);
    const answer = responder.answerTo(request({ nonce: Buffer.alloc(16, 3), versions: [1, 9] }, KEY), '10.0.0.1', 0)!;
    const message = { version: 1, nonce: Buffer.alloc(16, 3), ...SIGNED.offered };
    expect(decodeDiscovery(answer, KEY)).toEqual({ kind: 'offer', message, signature: 'right' });
  });

  test('are padded on request, so that an MTU can be measured both ways', () => {
    const responder = new DiscoveryResponder(IDENTITY, () => false);
    expect(responder.answerTo(request({ answerBytes: 8972 }, null, 8972), '10.0.0.1', 0)).toHaveLength(8972);
  });

  test('follow a change of the configuration', () => {
    const responder = new DiscoveryResponder(SIGNED, () => false);
    responder.change({ ...IDENTITY, offered: { ...IDENTITY.offered, interfaces: [] } });
    const answer = responder.answerTo(request(), '10.0.0.1', 0)!;
    expect(decodeDiscovery(answer, null)).toMatchObject({ message: { interfaces: [] }, signature: 'none' });
  });
});

describe('a storm of requests', () => {
  /** Number of answers to `count` requests spread over `durationMs`. No answer may be larger than its request. */
  function answered(responder: DiscoveryResponder, count: number, durationMs: number, from: (index: number) => string): number {
    let answers = 0;
    for (let index = 0; index < count; index++) {
      const answer = responder.answerTo(request(), from(index), (index * durationMs) / count);
      expectAtMost(answer?.length ?? 0, DISCOVERY_REQUEST_BYTES);
      if (answer !== null) answers++;
    }
    return answers;
  }

  test('from one address', () => {
    const responder = new DiscoveryResponder(IDENTITY, () => false);
    const answers = answered(responder, 5000, 10_000, () => '10.0.0.1');
    expect(answers).toBeLessThanOrEqual(DISCOVERY_BURST_PER_SOURCE + 10 * DISCOVERY_RATE_PER_SOURCE);
    expect(answers).toBeGreaterThan(DISCOVERY_BURST_PER_SOURCE + 9 * DISCOVERY_RATE_PER_SOURCE);
    expect(responder.counts).toMatchObject({ answered: answers, rate: 5000 - answers });
    expect(responder.answerTo(request(), '10.0.0.2', 10_000)).not.toBeNull();
  });

  test('from ever-changing addresses', () => {
    const responder = new DiscoveryResponder(IDENTITY, () => false);
    const answers = answered(
      responder,
      3 * DISCOVERY_SOURCES_MAX,
      1000,
      (index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    );
    expect(answers).toBeLessThanOrEqual(DISCOVERY_BURST + DISCOVERY_RATE);
    expect(answers).toBeGreaterThan(DISCOVERY_BURST);
    expect(responder.sourcesKept).toBe(DISCOVERY_SOURCES_MAX);
  });
});
