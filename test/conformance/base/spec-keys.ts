// A second implementation of keys and macs, written from docs/PROTOCOL.md ("Keys and macs") without the product's code. With this
// implementation, a case can send frames that no correct client sends. The implementation also tests whether the document is right.

import { createHash, createHmac, hkdfSync } from 'node:crypto';

const OUTPUT_BYTES = 32;

export interface SpecIdentity {
  readonly nodekey: string;
  readonly serverkey: string | null;
  readonly namespaceid: number;
}

export interface SpecKeys {
  readonly transcript: Buffer;
  readonly base: Buffer;
}

/** Computes T and K of a connection. `hello` and `challenge` are the frames with their headers. */
export function specKeys(identity: SpecIdentity, hello: Buffer, challenge: Buffer): SpecKeys {
  const { nodekey, serverkey, namespaceid } = identity;
  const salt = Buffer.alloc(2);
  salt.writeUInt16BE(namespaceid);
  const ikm = Buffer.concat([lengthAnd(nodekey), ...(serverkey === null ? [] : [lengthAnd(serverkey)])]);
  return { transcript: createHash('sha256').update(hello).update(challenge).digest(), base: hkdf(ikm, salt, 'rsio key 1') };
}

/** Computes S of a session from the keys of its first handshake. */
export function specSecret({ base, transcript }: SpecKeys): Buffer {
  return hkdf(base, transcript, 'rsio session 1');
}

/** Computes P of an encrypted connection that begins a session. `agreed`: the X25519 secret of both shares. */
export function specPsk({ base, transcript }: SpecKeys, agreed: Buffer): Buffer {
  return hkdf(Buffer.concat([base, agreed]), transcript, 'rsio tls 1');
}

/** Computes J for a further handshake of the session that has this secret. */
export function specJoinKey({ base }: SpecKeys, secret: Buffer): Buffer {
  return hkdf(base, secret, 'rsio join 1');
}

export function specMac(key: Buffer, label: 'client' | 'join' | 'server' | 'refuse', { transcript }: SpecKeys, before: Buffer): Buffer {
  return createHmac('sha256', key).update(label).update(transcript).update(before).digest();
}

/** Computes the mac of a signed discovery datagram. `before`: all bytes before the mac. */
export function specDiscoveryMac(namespacekey: string, before: Buffer): Buffer {
  const key = hkdf(lengthAnd(namespacekey), Buffer.alloc(0), 'rsio beacon 1');
  return createHmac('sha256', key).update(before).digest();
}

function hkdf(ikm: Buffer, salt: Buffer, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', ikm, salt, info, OUTPUT_BYTES));
}

function lengthAnd(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
