// Tests the two discovery datagrams: round trips through the codec, the bounds of the fields, and the reason for each drop.
// datagram-doc.test.ts tests the golden datagrams.

import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { toAddress } from '@rsio/base/lib/address';
import { describe, expect, test } from 'vitest';
import { discoveryKey } from '../auth/keys.ts';
import { DISCOVERY_REQUEST_BYTES, DATAGRAM_MAX_BYTES } from './limits.ts';
import { decodeDiscovery, type Discover, encodeDiscover, encodeOffer, type Offer } from './discovery-datagram.ts';

const msgpack = new Packr({ useRecords: false });
const KEY = discoveryKey('0xosl');
const DISCOVER: Discover = { versions: [1], nonce: Buffer.alloc(16, 7), namespaceid: 200, answerBytes: 0 };
const OFFER: Offer = {
  version: 1,
  nonce: Buffer.alloc(16, 7),
  namespace: 'osl',
  namespaceid: 200,
  server: 'big-9',
  serverid: 1,
  instance: 'ffeeddccbbaa99887766554433221100',
  interfaces: [{ name: 'if1', address: '192.168.45.10', port: 5000, linkMbps: 1000, mtuBytes: null }],
};

const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,63}$/);
const u32 = fc.option(fc.integer({ min: 1, max: 0xffffffff }));
const nonce = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
const key = fc.option(fc.string({ minLength: 1 }).map(discoveryKey));
const discovers = fc.record({
  versions: fc.array(fc.integer({ min: 1, max: 0xffff }), { minLength: 1, maxLength: 16 }),
  nonce,
  namespaceid: fc.option(fc.integer({ min: 0, max: 65535 })),
  answerBytes: fc.integer({ min: 0, max: DATAGRAM_MAX_BYTES }),
});
const offers = fc.record({
  version: fc.integer({ min: 1, max: 0xffff }),
  nonce,
  namespace: name,
  namespaceid: fc.integer({ min: 0, max: 65535 }),
  server: name,
  serverid: fc.integer({ min: 0, max: 255 }),
  instance: fc.stringMatching(/^[0-9a-f]{32}$/),
  interfaces: fc.array(
    fc.record({
      name,
      address: fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => toAddress(text) ?? text),
      port: fc.integer({ min: 1, max: 65535 }),
      linkMbps: u32,
      mtuBytes: u32,
    }),
    { maxLength: 8 },
  ),
});

function reasonOf(bytes: Buffer): string {
  const received = decodeDiscovery(bytes, KEY);
  return received.kind === 'drop' ? received.reason : received.kind;
}

/** Returns a copy of `bytes` in which one byte is changed. */
function changed(bytes: Buffer, at: number, to: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = to;
  return copy;
}

describe('encode and decode', () => {
  test('requests, signed and not, of every size', () => {
    fc.assert(
      fc.property(discovers, key, fc.integer({ min: DISCOVERY_REQUEST_BYTES, max: 9000 }), (message, itsKey, sizeBytes) => {
        const bytes = encodeDiscover(message, itsKey, sizeBytes);
        expect(bytes.length).toBe(sizeBytes);
        expect(decodeDiscovery(bytes, itsKey)).toEqual({ kind: 'discover', message, signature: itsKey === null ? 'none' : 'right' });
      }),
    );
  });

  test('answers, which are never larger than a request', () => {
    fc.assert(
      fc.property(offers, key, fc.integer({ min: 0, max: 3000 }), (message, itsKey, sizeBytes) => {
        const bytes = encodeOffer(message, itsKey, sizeBytes);
        expect(bytes.length).toBeLessThanOrEqual(Math.max(sizeBytes, DISCOVERY_REQUEST_BYTES));
        expect(decodeDiscovery(bytes, itsKey)).toEqual({ kind: 'offer', message, signature: itsKey === null ? 'none' : 'right' });
      }),
    );
  });

  test('the largest possible answer is no larger than a request', () => {
    const longest = { name: 'n'.repeat(63), address: '0000:0000:0000:0000:0000:ffff:255.255.255.255', port: 65535 };
    const offered = { ...longest, linkMbps: 0xffffffff, mtuBytes: 0xffffffff };
    const message = { ...OFFER, namespace: 'n'.repeat(63), namespaceid: 65535, server: 's'.repeat(63), serverid: 255, version: 65535 };
    const bytes = encodeOffer({ ...message, interfaces: Array.from({ length: 8 }, () => offered) }, KEY, 0);
    expect(bytes.length).toBeLessThanOrEqual(DISCOVERY_REQUEST_BYTES);
  });
});

describe('dropped', () => {
  const request = encodeDiscover(DISCOVER, null, DISCOVERY_REQUEST_BYTES);
  const offer = encodeOffer(OFFER, null, 600);
  const signed = encodeOffer(OFFER, KEY, 600);

  test.each([
    ['nothing at all', Buffer.alloc(0), 'truncated'],
    ['part of the prefix', offer.subarray(0, 6), 'truncated'],
    ['a short foreign datagram', Buffer.from('GET'), 'foreign'],
    ['a long foreign datagram', Buffer.from('GET / HTTP/1.1\r\nHost: big-9\r\n\r\n'), 'foreign'],
    ['an answer that ends in its message', offer.subarray(0, 100), 'truncated'],
    ['a signed answer that ends in its mac', signed.subarray(0, 160), 'truncated'],
    ['a signed answer whose mac is cut', encodeOffer(OFFER, KEY, 0).subarray(0, -10), 'truncated'],
    ['an unpadded request', request.subarray(0, DISCOVERY_REQUEST_BYTES - 1), 'truncated'],
    ['a message longer than allowed', changed(offer, 6, 0xff), 'oversized'],
    ['a newer format', changed(offer, 5, 2), 'version'],
    ['an unknown kind', changed(offer, 4, 9), 'malformed'],
    ['padding that is not zero', changed(offer, 599, 1), 'malformed'],
    ['a length that cuts the message', changed(offer, 7, 20), 'malformed'],
    ['a message that is not a map', changed(offer, 8, 0x93), 'malformed'],
  ])('%s', (_what, bytes, reason) => {
    expect(reasonOf(bytes)).toBe(reason);
  });

  test.each([
    ['a name with a line end', { ...OFFER, server: 'big\n9' }],
    ['a name with terminal escapes', { ...OFFER, namespace: '\u001b[2J' }],
    ['an interface with such a name', { ...OFFER, interfaces: [{ ...OFFER.interfaces[0]!, name: 'if\u202e1' }] }],
    ['an invalid address', { ...OFFER, interfaces: [{ ...OFFER.interfaces[0]!, address: '192.168.45.256' }] }],
    ['nine interfaces', { ...OFFER, interfaces: Array.from({ length: 9 }, () => OFFER.interfaces[0]!) }],
  ])('%s is not encoded', (_what, message) => {
    expect(() => encodeOffer(message, null, 0)).toThrow('must be');
  });

  test('a name with a line end is dropped', () => {
    const bytes = Buffer.from(offer);
    bytes.write('big\n9', bytes.indexOf('big-9'), 'latin1');
    expect(reasonOf(bytes)).toBe('malformed');
  });
});

describe('signatures', () => {
  const signed = encodeOffer(OFFER, KEY, 600);

  test.each([
    ['another key', signed, discoveryKey('0xother'), 'wrong'],
    ['no key to check with', signed, null, 'wrong'],
    ['a changed mac', changed(signed, 599, signed[599]! ^ 1), KEY, 'wrong'],
    ['a changed name', changed(signed, signed.indexOf('big-9'), 'p'.charCodeAt(0)), KEY, 'wrong'],
    ['none', encodeOffer(OFFER, null, 600), KEY, 'none'],
    ['the right one', signed, KEY, 'right'],
  ])('%s', (_what, bytes, itsKey, signature) => {
    expect(decodeDiscovery(bytes, itsKey)).toMatchObject({ kind: 'offer', signature });
  });

  test('a mac covers the kind, so that a request does not pass as an answer', () => {
    expect(decodeDiscovery(changed(signed, 4, 0x81), KEY).kind).toBe('drop');
    const request = encodeDiscover(DISCOVER, KEY, DISCOVERY_REQUEST_BYTES);
    expect(decodeDiscovery(changed(request, 4, 0x82), KEY).kind).toBe('drop');
  });
});

test('items that a newer peer adds are ignored', () => {
  const plain = encodeOffer(OFFER, null, 0);
  const body = msgpack.unpack(plain.subarray(8)) as { interfaces: unknown[][] };
  body.interfaces[0]!.push('newer');
  const newer = msgpack.pack({ ...body, weather: 'fine' });
  const bytes = Buffer.concat([plain.subarray(0, 6), Buffer.from([newer.length >> 8, newer.length]), newer]);
  expect(decodeDiscovery(bytes, null)).toEqual({ kind: 'offer', message: OFFER, signature: 'none' });
});
