// The keys and macs of the handshake as docs/PROTOCOL.md tells them, written a second time: so that a proof is judged by something else
// than the code under test. HKDF is done by hand out of HMAC.

import { createHash, createHmac } from 'node:crypto';

const MAC_BYTES = 32;

function hmac(key: Buffer, ...parts: readonly (Buffer | string)[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

function hkdf(material: Buffer, salt: Buffer, info: string): Buffer {
  return hmac(hmac(salt, material), info, Buffer.from([1]));
}

function prefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([0, 0, bytes.length >>> 8, bytes.length]), bytes]);
}

export function keyOf(nodekey: string, serverkey: string | null, namespaceid: number): Buffer {
  const texts = serverkey === null ? [nodekey] : [nodekey, serverkey];
  return hkdf(Buffer.concat(texts.map(prefixed)), Buffer.from([namespaceid >>> 8, namespaceid]), 'rsio key 1');
}

export function joinKeyOf(key: Buffer, secret: Buffer): Buffer {
  return hkdf(key, secret, 'rsio join 1');
}

export function beaconKeyOf(namespacekey: string): Buffer {
  return hkdf(prefixed(namespacekey), Buffer.alloc(32), 'rsio beacon 1');
}

export function transcriptOf(hello: Buffer, challenge: Buffer): Buffer {
  return createHash('sha256').update(hello).update(challenge).digest();
}

/** The mac over everything of `body` before its last 32 bytes, and whether these are it. */
export function endsInMac(key: Buffer, label: string, transcript: Buffer, body: Buffer): boolean {
  const at = body.length - MAC_BYTES;
  return at >= 0 && hmac(key, label, transcript, body.subarray(0, at)).equals(body.subarray(at));
}

export function withMac(key: Buffer, label: string, transcript: Buffer, body: Buffer): Buffer {
  return Buffer.concat([body, hmac(key, label, transcript, body)]);
}

export function refuseMacOf(key: Buffer, transcript: Buffer, code: string): Buffer {
  return hmac(key, 'refuse', transcript, code);
}

/** HMAC over a whole datagram but its end. */
export function isBeaconSigned(key: Buffer, datagram: Buffer): boolean {
  const at = datagram.length - MAC_BYTES;
  return at >= 0 && hmac(key, datagram.subarray(0, at)).equals(datagram.subarray(at));
}
