// Tests the key exchange with the example in RFC 7748, section 6.1, and with shares that yield no secret. handshake-tls.test.ts tests
// handshakes with shares.

import { expect, test } from 'vitest';
import { KeyShare } from './key-share.ts';

const ALICE = {
  privateKey: '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
  share: '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
};
const BOB = {
  privateKey: '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
  share: 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
};
const SECRET = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';

function shareOf({ privateKey }: { readonly privateKey: string }): KeyShare {
  return new KeyShare(() => Buffer.from(privateKey, 'hex'));
}

test('the example of RFC 7748: both sides compute the same secret', () => {
  const [alice, bob] = [shareOf(ALICE), shareOf(BOB)];
  expect([alice, bob].map(({ publicKey }) => publicKey.toString('hex'))).toEqual([ALICE.share, BOB.share]);
  expect(alice.agree(bob.publicKey).toString('hex')).toBe(SECRET);
  expect(bob.agree(new Uint8Array(alice.publicKey)).toString('hex')).toBe(SECRET);
});

test('a share of a small order, or of another length, yields no secret', () => {
  const one = Buffer.alloc(32);
  one[0] = 1;
  for (const share of [Buffer.alloc(32), one, Buffer.alloc(31, 9), Buffer.alloc(33, 9)])
    expect(() => shareOf(ALICE).agree(share)).toThrow('The share of the peer yields no secret');
});
