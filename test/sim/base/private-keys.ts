// A few private keys for all connections of simulated worlds, because importing a key takes OpenSSL longer than the rest of a handshake.
// Each connection still draws the random bytes for a key, although it uses one of these keys, because the later draws of a world must stay
// the same. Both ends still compute their shared secret. Invariant: nothing in a world depends on the bytes of a key.

import type { KeyObject } from 'node:crypto';
import { KeyShare } from '@rsio/protocol/auth/key-share';
import { override } from './override.ts';

const KEYS = 64;
const kept = new Map<number, KeyObject>();

override<KeyShare, [Buffer], KeyObject>(KeyShare, 'keyOf', (original) => (self, bytes) => {
  const index = bytes[0]! % KEYS;
  const key = kept.get(index) ?? original(self, bytes);
  kept.set(index, key);
  return key;
});
