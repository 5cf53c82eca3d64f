// The X25519 key exchange of a handshake with the feature `tls`. Each connection has a key pair of its own on each side. Invariant: a private
// key never leaves this module, and it serves one connection only.

import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { RsError } from '@rsio/common/lib/errors';
import { SHARE_BYTES } from '../wire/limits.ts';
import type { RandomBytes } from './handshake-frames.ts';

// Node imports raw keys only inside these DER prefixes (RFC 8410).
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

export interface KeyShare {
  /** SHARE_BYTES bytes for HELLO or CHALLENGE. */
  readonly publicKey: Buffer;
  /** Returns the secret that both sides compute. Throws E_PROTOCOL if the peer's share is one of the few that yield no secret. */
  agree(peerShare: Uint8Array): Buffer;
}

export function createKeyShare(random: RandomBytes): KeyShare {
  const privateKey = createPrivateKey({ key: Buffer.concat([PRIVATE_PREFIX, random(SHARE_BYTES)]), format: 'der', type: 'pkcs8' });
  return {
    publicKey: createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(PUBLIC_PREFIX.length),
    agree: (peerShare) => {
      try {
        const publicKey = createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, peerShare]), format: 'der', type: 'spki' });
        return diffieHellman({ privateKey, publicKey });
      } catch {
        throw new RsError('E_PROTOCOL', 'The share of the peer yields no secret');
      }
    },
  };
}
