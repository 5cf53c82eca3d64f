// Tests that docs/PROTOCOL.md has the frames of golden-frames.test.ts, byte for byte, and the keys of these frames. The author of an
// independent implementation needs both frames and keys.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { codeOf, readDocument, readSource } from '@rsio/base/testing/document';
import { baseKey, joinKey, mac, sessionSecret } from './keys.ts';

const blocks = codeOf(readDocument('PROTOCOL.md'), '### Golden frames');
const frames = new Map(blocks.slice(0, -1).map(([title = '', ...lines]) => [title, lines.map((line) => line.trim()).join('')] as const));

test('the document has exactly the golden frames', () => {
  const source = readSource('packages/protocol/src/auth/golden-frames.test.ts').split('const FRAMES')[1] ?? '';
  const golden = [...source.matchAll(/\[\s*'([^']+)',[^]*?'([0-9a-f]{32,})',?\s*\]/g)].map(([, name, bytes]) => [name, bytes]);
  expect([...frames]).toEqual(golden);
  expect(golden.length).toBeGreaterThan(8);
});

test('the keys shown with them are correct', () => {
  const bytesOf = (name: string): Buffer => Buffer.from(frames.get(name) ?? '', 'hex');
  const transcript = createHash('sha256').update(bytesOf('HELLO')).update(bytesOf('CHALLENGE')).digest();
  const key = baseKey('0xbig2', null, 200);
  const secret = Buffer.from(Array.from({ length: 32 }, (_, index) => 0x80 + index));
  const keys: readonly (readonly [string, Buffer])[] = [
    ['T', transcript],
    ['K', key],
    ['S', sessionSecret(key, transcript, null)],
    ['J', joinKey(key, secret)],
  ];
  expect(blocks.at(-1)?.map((line) => line.trim().split(/\s+/))).toEqual(keys.map(([name, bytes]) => [name, bytes.toString('hex')]));
  const join = bytesOf('PROOF that joins a session').subarray(16);
  const map = join.subarray(0, join.length - 64);
  expect(join.subarray(map.length, map.length + 32)).toEqual(mac(joinKey(key, secret), 'join', transcript, map));
  expect(join.subarray(map.length + 32)).toEqual(mac(key, 'client', transcript, join.subarray(0, map.length + 32)));
});
