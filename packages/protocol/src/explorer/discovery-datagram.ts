// Encodes and decodes the two discovery datagrams, DISCOVER and OFFER. Pure. The module discovery-responder.ts decides which requests to
// answer, and answers.ts decides which answers to accept. Invariants: decoding any bytes yields a message or a reason to drop the bytes,
// never an exception. A request has at least DISCOVERY_REQUEST_BYTES, and an answer without padding always fits into that size.

import { discoveryMac, isValidMac } from '../auth/keys.ts';
import { assert } from '@rsio/base/lib/assert';
import { INTERFACES_MAX, NAMESPACEID_MAX, PORT_MAX, SERVERID_MAX } from '@rsio/base/lib/limits';
import { MAC_BYTES, VERSIONS_OFFERED_MAX } from '../wire/limits.ts';
import { DISCOVERY_MESSAGE_MAX_BYTES, DISCOVERY_NONCE_BYTES, DISCOVERY_REQUEST_BYTES, DATAGRAM_MAX_BYTES } from './limits.ts';
import { bytesOf, type Guard, type Guarded, integer, ipAddress, listenerInstance, listOf, name, orNull, record } from '../wire/guards.ts';
import { message, type MessageOf } from '../wire/message-codec.ts';

// The message is MessagePack. If the kind has the bit SIGNED, the datagram ends in a mac of 32 bytes.
//
//   byte 0 to 3   4      5         6, 7     8 ...
//        "RSIO"   kind   version   length   message | zeros | [mac]

/** `version`: the datagram has the format of a newer peer. */
export type DiscoveryDrop = 'foreign' | 'truncated' | 'oversized' | 'version' | 'malformed';

export type Signature = 'none' | 'right' | 'wrong';

/** A decoded datagram. `signature` is `wrong` if the mac is wrong, or if there is no key to check the mac. */
export type DiscoveryDatagram =
  | { readonly kind: 'discover'; readonly message: Discover; readonly signature: Signature }
  | { readonly kind: 'offer'; readonly message: Offer; readonly signature: Signature }
  | { readonly kind: 'drop'; readonly reason: DiscoveryDrop };

const ZEROS = Buffer.alloc(DATAGRAM_MAX_BYTES);
const MAGIC = Buffer.from('RSIO', 'latin1');
const FORM_VERSION = 1;
const PREFIX_BYTES = 8;
const KIND = { DISCOVER: 1, OFFER: 2 } as const;
const SIGNED = 0x80;
const U32_MAX = 0xffffffff;

const version = integer(1, 0xffff);
/** Bytes that are unique for every request. The answer repeats them. */
const nonce: Guard<Uint8Array> = bytesOf(DISCOVERY_NONCE_BYTES);
const namespaceid = integer(0, NAMESPACEID_MAX);

const address: Guard<string> = ipAddress;
const interfaceFields = record({
  name,
  address,
  port: integer(1, PORT_MAX),
  linkMbps: orNull(integer(1, U32_MAX)),
  mtuBytes: orNull(integer(1, U32_MAX)),
});

export type OfferedInterface = Guarded<typeof interfaceFields>;

type InterfaceItems = readonly [name: string, address: string, port: number, linkMbps: number | null, mtuBytes: number | null];

/**
 * On the wire, an interface is an array instead of a map, so that eight interfaces fit into every datagram. Items that a newer peer appends
 * to the array are ignored.
 */
const interfaceItems: Guard<InterfaceItems> = (value, field) => {
  const items: unknown[] = Array.isArray(value) ? value : [];
  const [itsName, address, port, linkMbps, mtuBytes] = items;
  const checked = interfaceFields({ name: itsName, address, port, linkMbps, mtuBytes }, field);
  return [checked.name, checked.address, checked.port, checked.linkMbps, checked.mtuBytes];
};

const Discover = message('DISCOVER', {
  versions: listOf(version, 1, VERSIONS_OFFERED_MAX, 'versions'),
  nonce,
  /** Namespaceid of the servers that should answer; null for all servers. */
  namespaceid: orNull(namespaceid),
  /** Size to which the answer is padded, at most the size of the request; 0 for no padding. */
  answerBytes: integer(0, DATAGRAM_MAX_BYTES),
});
export type Discover = MessageOf<typeof Discover>;

const OfferOnWire = message('OFFER', {
  /** Highest version that both peers support; without a common version, the highest version of the server. */
  version,
  nonce,
  namespace: name,
  namespaceid,
  server: name,
  serverid: integer(0, SERVERID_MAX),
  /** 32 hexadecimal digits that are new at every start of the listener. */
  instance: listenerInstance,
  interfaces: listOf(interfaceItems, 0, INTERFACES_MAX, 'interfaces'),
});
export type Offer = Omit<MessageOf<typeof OfferOnWire>, 'interfaces'> & { readonly interfaces: readonly OfferedInterface[] };

/**
 * Encodes a request of `sizeBytes`, which must be between DISCOVERY_REQUEST_BYTES and DATAGRAM_MAX_BYTES. If `key` is not null, the request
 * is signed; discoveryKey() in auth/keys.ts derives this key.
 */
export function encodeDiscover(discover: Discover, key: Buffer | null, sizeBytes: number): Buffer {
  assert(sizeBytes >= DISCOVERY_REQUEST_BYTES && sizeBytes <= DATAGRAM_MAX_BYTES, `A request of ${sizeBytes} bytes is out of bounds`);
  return datagram(KIND.DISCOVER, Discover.encode(discover), key, sizeBytes);
}

/** Encodes an answer, and pads it to `sizeBytes` if it is smaller. The answer is signed if `key` is not null. */
export function encodeOffer(offer: Offer, key: Buffer | null, sizeBytes: number): Buffer {
  const interfaces = offer.interfaces.map(
    (offered): InterfaceItems => [offered.name, offered.address, offered.port, offered.linkMbps, offered.mtuBytes],
  );
  return datagram(KIND.OFFER, OfferOnWire.encode({ ...offer, interfaces }), key, sizeBytes);
}

function datagram(kind: number, body: Buffer, key: Buffer | null, sizeBytes: number): Buffer {
  assert(body.length <= DISCOVERY_MESSAGE_MAX_BYTES, `A discovery datagram of ${body.length} bytes is too large`);
  const macBytes = key === null ? 0 : MAC_BYTES;
  const bytes = Buffer.alloc(Math.max(PREFIX_BYTES + body.length + macBytes, sizeBytes));
  MAGIC.copy(bytes);
  bytes[4] = key === null ? kind : kind | SIGNED;
  bytes[5] = FORM_VERSION;
  bytes.writeUInt16BE(body.length, 6);
  body.copy(bytes, PREFIX_BYTES);
  if (key !== null) discoveryMac(key, bytes.subarray(0, bytes.length - MAC_BYTES)).copy(bytes, bytes.length - MAC_BYTES);
  return bytes;
}

/** Decodes a datagram. The decoded message shares no memory with `bytes`. Never throws. */
export function decodeDiscovery(bytes: Buffer, key: Buffer | null): DiscoveryDatagram {
  const start = bytes.subarray(0, MAGIC.length);
  if (!start.equals(MAGIC.subarray(0, start.length))) return { kind: 'drop', reason: 'foreign' };
  if (bytes.length < PREFIX_BYTES) return { kind: 'drop', reason: 'truncated' };
  if (bytes[5] !== FORM_VERSION) return { kind: 'drop', reason: 'version' };
  const kind = bytes[4]! & ~SIGNED;
  if (kind !== KIND.DISCOVER && kind !== KIND.OFFER) return { kind: 'drop', reason: 'malformed' };
  const isSigned = (bytes[4]! & SIGNED) !== 0;
  const paddedEnd = bytes.length - (isSigned ? MAC_BYTES : 0);
  const bodyEnd = PREFIX_BYTES + bytes.readUInt16BE(6);
  if (bodyEnd - PREFIX_BYTES > DISCOVERY_MESSAGE_MAX_BYTES) return { kind: 'drop', reason: 'oversized' };
  if (bodyEnd > paddedEnd) return { kind: 'drop', reason: 'truncated' };
  if (kind === KIND.DISCOVER && bytes.length < DISCOVERY_REQUEST_BYTES) return { kind: 'drop', reason: 'truncated' };
  // Compare the padding in one call, because a storm of large datagrams must not monopolize the server's event loop.
  if (!bytes.subarray(bodyEnd, paddedEnd).equals(ZEROS.subarray(0, paddedEnd - bodyEnd))) return { kind: 'drop', reason: 'malformed' };
  const signature = isSigned ? signatureOf(bytes, key) : 'none';
  try {
    return read(kind, bytes, bodyEnd - PREFIX_BYTES, signature);
  } catch {
    return { kind: 'drop', reason: 'malformed' };
  }
}

function read(kind: 1 | 2, bytes: Buffer, lengthBytes: number, signature: Signature): DiscoveryDatagram {
  if (kind === KIND.DISCOVER) return { kind: 'discover', message: Discover.decode(bytes, PREFIX_BYTES, lengthBytes), signature };
  const onWire = OfferOnWire.decode(bytes, PREFIX_BYTES, lengthBytes);
  const interfaces = onWire.interfaces.map(([itsName, address, port, linkMbps, mtuBytes]) => ({
    name: itsName,
    address,
    port,
    linkMbps,
    mtuBytes,
  }));
  return { kind: 'offer', message: { ...onWire, interfaces }, signature };
}

function signatureOf(bytes: Buffer, key: Buffer | null): Signature {
  if (key === null) return 'wrong';
  const macAt = bytes.length - MAC_BYTES;
  return isValidMac(discoveryMac(key, bytes.subarray(0, macAt)), bytes.subarray(macAt)) ? 'right' : 'wrong';
}
