// Derives the 32-byte keys of the handshake and of discovery from the key texts in the configuration, and computes macs with these keys.
// handshake-frames.ts says which frame carries which mac. Invariants: macs are compared in constant time. A key or mac for one purpose
// cannot serve another purpose, because each key has its own HKDF info, and each mac has its own label.
// See docs/PROTOCOL.md, Encrypted paths.

import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { MAC_BYTES } from '../wire/limits.ts';

// All keys are derived with HKDF-SHA-256. docs/PROTOCOL.md has the formulas: for K, S and J in "Keys and macs", and for B in "Exploration".

const KEY_BYTES = 32;

/**
 * Frame that has the mac: `client` is for every PROOF, `join` for a PROOF that joins a session, `server` for WELCOME, and `refuse` for a
 * REFUSE after a valid PROOF.
 */
export type MacLabel = 'client' | 'join' | 'server' | 'refuse';

function derive(material: Buffer, salt: Buffer, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', material, salt, info, KEY_BYTES));
}

/** Puts the length of a text before the text, so that different pairs of texts never yield the same bytes. */
function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Derives K, which a node and a server share. `serverkey` is null if none is set; it must be set on both sides or on neither. */
export function baseKey(nodekey: string, serverkey: string | null, namespaceid: number): Buffer {
  const salt = Buffer.alloc(2);
  salt.writeUInt16BE(namespaceid);
  const parts = serverkey === null ? [nodekey] : [nodekey, serverkey];
  return derive(Buffer.concat(parts.map(lengthPrefixed)), salt, 'rsio key 1');
}

/**
 * Derives S, the session's secret. `agreed`: the secret of the X25519 shares, or null without TLS. With TLS, only the two sides of the
 * session's first handshake can compute S. Without TLS, an eavesdropper that has the nodekey can also compute S.
 */
export function sessionSecret(key: Buffer, firstTranscript: Buffer, agreed: Buffer | null): Buffer {
  if (agreed === null) return derive(key, firstTranscript, 'rsio session 1');
  return derive(Buffer.concat([key, agreed]), firstTranscript, 'rsio session 2');
}

/** Derives the pre-shared key of TLS on one connection. `key`: J if the connection joins a session, otherwise K. */
export function tlsPsk(key: Buffer, transcript: Buffer, agreed: Buffer): Buffer {
  return derive(Buffer.concat([key, agreed]), transcript, 'rsio tls 1');
}

/** Derives J, with which a client proves that it may join the session. */
export function joinKey(key: Buffer, secret: Buffer): Buffer {
  return derive(key, secret, 'rsio join 1');
}

/**
 * Derives B, which signs discovery datagrams. B does not depend on the namespaceid, because a client may explore before it knows a
 * namespaceid.
 */
export function discoveryKey(namespacekey: string): Buffer {
  return derive(lengthPrefixed(namespacekey), Buffer.alloc(0), 'rsio beacon 1');
}

/**
 * Computes HMAC-SHA-256 with key B over everything before the mac in the datagram. The mac covers the datagram's kind, so that a request
 * cannot be turned into an answer.
 */
export function discoveryMac(key: Buffer, datagramBefore: Buffer): Buffer {
  return createHmac('sha256', key).update(datagramBefore).digest();
}

/** Computes HMAC-SHA-256 with `key` over the label, T, and everything in the body before the mac. */
export function mac(key: Buffer, label: MacLabel, transcript: Buffer, bodyBefore: Buffer): Buffer {
  return createHmac('sha256', key).update(label).update(transcript).update(bodyBefore).digest();
}

/** Computes the mac of a REFUSE. The mac covers only the code, because the client acts on the code alone. */
export function refuseMac(key: Buffer, transcript: Buffer, code: string): Buffer {
  return mac(key, 'refuse', transcript, Buffer.from(code, 'utf8'));
}

export function isValidMac(expected: Buffer, given: Buffer): boolean {
  return given.length === MAC_BYTES && timingSafeEqual(expected, given);
}
