// Keys and macs of the handshake and of discovery: derives 32-byte keys from the key texts of the configuration. Which frame carries which
// mac is the handshake's job. Invariant: no key serves two purposes (info and label differ), and macs are compared in constant time.

import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { MAC_BYTES } from '../wire/limits.ts';

// All keys use HKDF-SHA-256. Numbers are big-endian:
//
//   K = HKDF(ikm: length | nodekey [length | serverkey], salt: namespaceid u16, info: "rsio key 1")     length: u32, bytes of UTF-8
//   S = HKDF(ikm: K, salt: T of the session's first handshake, info: "rsio session 1")                  never sent
//   J = HKDF(ikm: K, salt: S, info: "rsio join 1")
//   B = HKDF(ikm: length | namespacekey, salt: none, info: "rsio beacon 1")

const KEY_BYTES = 32;

/** `client`: PROOF. `join`: PROOF that joins a session. `server`: WELCOME. `refuse`: REFUSE after a valid PROOF. */
export type MacLabel = 'client' | 'join' | 'server' | 'refuse';

function derive(material: Buffer, salt: Buffer, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', material, salt, info, KEY_BYTES));
}

/** Puts the length first, so that no two pairs of keys yield the same bytes. */
function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** K: shared by a node and a server. `serverkey` is null if none is set. It must be set on both sides or on neither. */
export function baseKey(nodekey: string, serverkey: string | null, namespaceid: number): Buffer {
  const salt = Buffer.alloc(2);
  salt.writeUInt16BE(namespaceid);
  const parts = serverkey === null ? [nodekey] : [nodekey, serverkey];
  return derive(Buffer.concat(parts.map(lengthPrefixed)), salt, 'rsio key 1');
}

/** S: known only to the two sides of the session's first handshake with K. */
export function sessionSecret(key: Buffer, firstTranscript: Buffer): Buffer {
  return derive(key, firstTranscript, 'rsio session 1');
}

/** J: authenticates a join of the session. */
export function joinKey(key: Buffer, secret: Buffer): Buffer {
  return derive(key, secret, 'rsio join 1');
}

/** B: signs discovery datagrams. It does not depend on the namespaceid, because a client may ask before it knows one. */
export function discoveryKey(namespacekey: string): Buffer {
  return derive(lengthPrefixed(namespacekey), Buffer.alloc(0), 'rsio beacon 1');
}

/** HMAC-SHA-256(B, everything in the datagram before the mac). It covers the kind and therefore the direction. */
export function discoveryMac(key: Buffer, datagramBefore: Buffer): Buffer {
  return createHmac('sha256', key).update(datagramBefore).digest();
}

/** HMAC-SHA-256(key, label | T | everything in the body before the mac). */
export function mac(key: Buffer, label: MacLabel, transcript: Buffer, bodyBefore: Buffer): Buffer {
  return createHmac('sha256', key).update(label).update(transcript).update(bodyBefore).digest();
}

/** Mac of a REFUSE. It covers only the code, because the client acts on nothing else; the sentence is for people. */
export function refuseMac(key: Buffer, transcript: Buffer, code: string): Buffer {
  return mac(key, 'refuse', transcript, Buffer.from(code, 'utf8'));
}

export function isValidMac(expected: Buffer, given: Buffer): boolean {
  return given.length === MAC_BYTES && timingSafeEqual(expected, given);
}
