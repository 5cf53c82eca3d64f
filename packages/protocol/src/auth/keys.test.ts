// Compares keys and macs with known values from another implementation, and tests that each input changes the result. handshake.test.ts
// tests which frame carries which mac. Rules: G9.

import { expect, test } from 'vitest';
import { baseKey, joinKey, mac, isValidMac, sessionSecret } from './keys.ts';

const T = Buffer.alloc(32, 7);

test('every input of a key changes it', () => {
  const keys = [
    baseKey('0xbig2', null, 200),
    baseKey('0xbig3', null, 200),
    baseKey('0xbig2', null, 201),
    baseKey('0xbig2', '', 200),
    baseKey('0xbig2', 'server', 200),
    baseKey('0xbig2s', 'erver', 200),
    baseKey('0xbig2server', null, 200),
  ];
  keys.push(
    sessionSecret(keys[0]!, T, null),
    sessionSecret(keys[0]!, Buffer.alloc(32, 8), null),
    joinKey(keys[0]!, T),
    joinKey(keys[1]!, T),
  );
  expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(keys.length);
  for (const key of keys) expect(key.length).toBe(32);
});

// Computed with another implementation of RFC 5869 and RFC 2104.
test('known values', () => {
  const key = baseKey('0xbig2', 'swordfish', 200);
  expect(key.toString('hex')).toBe('b1e1784e18db203ccda495883778b216be394a6953dd4bba9cc6dd5a0f596138');
  const secret = sessionSecret(key, T, null);
  expect(secret.toString('hex')).toBe('5b3a9bdf43e3fcc9a94fd9f6740d0607307b20a177d7744e0a849dc2b56a4bef');
  expect(joinKey(key, secret).toString('hex')).toBe('10105a3bbcd46b5cf3c81b89c6d262fbaf933d31d25b4931b6e9eb54adb5e8f3');
  expect(mac(key, 'client', T, Buffer.from('body')).toString('hex')).toBe(
    '93e359080dd9723750d8a21bdf25ac1e6c24560798f20eda4f3ef4d792888928',
  );
});

test('a mac is valid only if complete and with its own key, label, transcript and body', () => {
  const key = baseKey('0xbig2', null, 200);
  const body = Buffer.from('body');
  const right = mac(key, 'client', T, body);
  expect(isValidMac(right, Buffer.from(right))).toBe(true);
  expect(isValidMac(right, right.subarray(1))).toBe(false);
  expect(isValidMac(right, Buffer.alloc(0))).toBe(false);
  expect(isValidMac(right, mac(key, 'server', T, body))).toBe(false);
  expect(isValidMac(right, mac(key, 'client', body, T))).toBe(false);
  expect(isValidMac(right, mac(T, 'client', T, body))).toBe(false);
});
