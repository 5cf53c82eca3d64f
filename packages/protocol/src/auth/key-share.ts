// The X25519 key exchange of a handshake with the feature `tls`. Each side makes a key pair for each connection. Invariant: a private key
// never leaves this module, and serves only one connection. See docs/PROTOCOL.md, Encrypted paths.

import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { RsError } from '@rsio/base/lib/errors';
import { SHARE_BYTES } from '../wire/limits.ts';
import type { RandomBytes } from './handshake-frames.ts';

// Node imports raw private keys only with this DER prefix (RFC 8410). Public keys are read and written as JWK, because OpenSSL looks up a
// codec for each key in DER, which takes longer than the key exchange itself.
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const PUBLIC_KIND = { kty: 'OKP', crv: 'X25519' } as const;

export class KeyShare {
  /** SHARE_BYTES bytes for HELLO or CHALLENGE. */
  readonly publicKey: Buffer;
  private readonly privateKey: KeyObject;

  constructor(random: RandomBytes) {
    this.privateKey = this.keyOf(random(SHARE_BYTES));
    this.publicKey = Buffer.from(createPublicKey(this.privateKey).export({ format: 'jwk' }).x!, 'base64url');
  }

  /** Returns the secret that both sides compute. Throws E_PROTOCOL if the peer's share is one of the few shares that yield no secret. */
  agree(peerShare: Uint8Array): Buffer {
    try {
      const x = Buffer.from(peerShare).toString('base64url');
      const publicKey = createPublicKey({ key: { ...PUBLIC_KIND, x }, format: 'jwk' });
      return diffieHellman({ privateKey: this.privateKey, publicKey });
    } catch {
      throw new RsError('E_PROTOCOL', 'The share of the peer yields no secret');
    }
  }

  private keyOf(bytes: Buffer): KeyObject {
    return createPrivateKey({ key: Buffer.concat([PRIVATE_PREFIX, bytes]), format: 'der', type: 'pkcs8' });
  }
}
