// Tests the chapter on discovery in docs/PROTOCOL.md: its fields match the fields on the wire, and its datagrams match the encoder's output
// byte for byte. A change of these datagrams is a change of the protocol. The macs were verified with an independent program.

import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { discoveryKey } from '../auth/keys.ts';
import { DISCOVERY_REQUEST_BYTES } from './limits.ts';
import { codeOf, readDocument, tableOf } from '@rsio/base/testing/document';
import { encodeDiscover, encodeOffer } from './discovery-datagram.ts';

const page = readDocument('PROTOCOL.md');
const KEY = discoveryKey('0xosl');
const nonce = Buffer.from(Array.from({ length: 16 }, (_, index) => 0x60 + index));
const anybody = encodeDiscover({ versions: [1], nonce, namespaceid: null, answerBytes: 0 }, null, DISCOVERY_REQUEST_BYTES);
const signed = encodeDiscover({ versions: [1], nonce, namespaceid: 200, answerBytes: 0 }, KEY, DISCOVERY_REQUEST_BYTES);
const offer = {
  version: 1,
  nonce,
  namespace: 'osl',
  namespaceid: 200,
  server: 'big-9',
  serverid: 1,
  instance: 'ffeeddccbbaa99887766554433221100',
  interfaces: [
    { name: 'if1', address: '192.168.45.10', port: 5000, linkMbps: 10000, mtuBytes: 9000 },
    { name: 'if2', address: '192.168.46.10', port: 5000, linkMbps: null, mtuBytes: null },
  ],
};

/** Returns the names of the fields in a datagram's map, in order. */
function fieldsOf(bytes: Buffer): string[] {
  const unpacker = new Packr({ useRecords: false, mapsAsObjects: true });
  return Object.keys(unpacker.unpack(bytes.subarray(8, 8 + bytes.readUInt16BE(6))) as object);
}

describe('fields', () => {
  test.each([
    ['### DISCOVER', anybody],
    ['### OFFER', encodeOffer(offer, null, 0)],
  ])('%s', (heading, bytes) => {
    expect(tableOf(page, heading).map(([field]) => field)).toEqual(fieldsOf(bytes));
  });
});

describe('golden datagrams', () => {
  const blocks = codeOf(page, '### Golden datagrams').map(([title = '', ...lines]) => [title, lines.map((line) => line.trim()).join('')]);
  const golden = [
    ['DISCOVER of any namespace', anybody, 70],
    ['DISCOVER of namespaceid 200, signed', signed, 71],
    ['and its mac', signed.subarray(DISCOVERY_REQUEST_BYTES - 32), 32],
    ['OFFER', encodeOffer(offer, null, 0), 200],
    ['OFFER, signed', encodeOffer(offer, KEY, 0), 232],
  ] as const;

  test('are those of the document', () => {
    const made = golden.map(([title, bytes, shownBytes]) => [title, bytes.subarray(0, shownBytes).toString('hex')]);
    expect(blocks.slice(0, -1)).toEqual(made);
    expect(blocks.at(-1)).toEqual([` B  ${KEY.toString('hex')}`, '']);
  });

  test('have zeros where the document shows nothing', () => {
    expect(anybody.subarray(70).equals(Buffer.alloc(DISCOVERY_REQUEST_BYTES - 70))).toBe(true);
    expect(signed.subarray(71, -32).equals(Buffer.alloc(DISCOVERY_REQUEST_BYTES - 71 - 32))).toBe(true);
  });
});
