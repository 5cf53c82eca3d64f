// The messages of DH-HMAC-CHAP: reads those of hosts and builds those of gates. Pure. Source: NVMe Base 2.0, 8.13.5. Invariant: in a
// message that this file has accepted, no length points beyond the end of the message.

import { AUTH_FAILURE, AUTH_MESSAGE, type AuthFailure } from '../wire/constants.ts';

//   0 type | 1 id | 4-5 transaction | 6 ...            all; then:
//   6 secure channel | 7 descriptors | 8 ...            Negotiate; each descriptor has 64 bytes: 0 protocol | 2 hashes | 3 groups | 4, 34 ids
//   6 hash length | 8 hash | 9 group | 10-11 length of the public value | 12-15 sequence | 16 challenge, public value         Challenge
//   6 hash length | 8 has challenge | 10-11 length of the public value | 12-15 sequence | 16 response, challenge, public value    Reply
//   6 hash length | 8 has response | 16 response        Success1; Success2 has nothing more
//   6 reason | 7 explanation                            Failure1, Failure2

const HEAD_BYTES = 16;
const FAILURE_BYTES = 8;
const NEGOTIATE_BYTES = 8;
const DESCRIPTOR_BYTES = 64;
const IDS_MAX = 30;
const DH_HMAC_CHAP = 1;
const FAILED = 1;

/** Returns type and id of a message, as one number, and its transaction; null if the message is too short. */
export function readHead(message: Buffer): { readonly kind: number; readonly transaction: number } | null {
  if (message.length < FAILURE_BYTES) return null;
  const kind = message.readUInt16BE(0);
  const isLong = message.length >= HEAD_BYTES || kind === AUTH_MESSAGE.FAILURE_2;
  return isLong ? { kind, transaction: message.readUInt16LE(4) } : null;
}

/** Returns the hashes and groups that the host offers, in the host's order, or a failure if there are none. */
export function readNegotiate(message: Buffer): { readonly hashes: Buffer; readonly groups: Buffer } | AuthFailure {
  if (message[6] !== 0) return AUTH_FAILURE.SECURE_CHANNEL;
  const count = message[7]!;
  if (message.length < NEGOTIATE_BYTES + count * DESCRIPTOR_BYTES) return AUTH_FAILURE.PAYLOAD;
  for (let at = NEGOTIATE_BYTES; at < NEGOTIATE_BYTES + count * DESCRIPTOR_BYTES; at += DESCRIPTOR_BYTES) {
    if (message[at] !== DH_HMAC_CHAP) continue;
    const [hashes, groups] = [message[at + 2]!, message[at + 3]!];
    if (hashes > IDS_MAX || groups > IDS_MAX) return AUTH_FAILURE.PAYLOAD;
    const ids = message.subarray(at + 4, at + DESCRIPTOR_BYTES);
    return { hashes: ids.subarray(0, hashes), groups: ids.subarray(IDS_MAX, IDS_MAX + groups) };
  }
  return AUTH_FAILURE.PROTOCOL;
}

export interface Challenge {
  readonly transaction: number;
  readonly hash: number;
  readonly group: number;
  readonly sequence: number;
  readonly challenge: Buffer;
  readonly publicValue: Buffer;
}

export function challengeMessage({ transaction, hash, group, sequence, challenge, publicValue }: Challenge): Buffer {
  const head = headOf(AUTH_MESSAGE.CHALLENGE, transaction, HEAD_BYTES);
  head[6] = challenge.length;
  head[8] = hash;
  head[9] = group;
  head.writeUInt16LE(publicValue.length, 10);
  head.writeUInt32LE(sequence, 12);
  return Buffer.concat([head, challenge, publicValue]);
}

export interface Reply {
  readonly response: Buffer;
  /** The host's challenge to the gate; null if the host does not ask the gate to prove itself. */
  readonly challenge: Buffer | null;
  readonly sequence: number;
  readonly publicValue: Buffer;
}

/** Reads a reply to a challenge with these lengths; null if it does not have them. */
export function readReply(message: Buffer, hashBytes: number, publicBytes: number): Reply | null {
  const publicAt = HEAD_BYTES + 2 * hashBytes;
  if (message[6] !== hashBytes || message.readUInt16LE(10) !== publicBytes || message.length < publicAt + publicBytes) return null;
  const sequence = message.readUInt32LE(12);
  const hasChallenge = (message[8]! & 1) !== 0;
  // The number 0 means that the challenge derives a key for TLS, which gates do not support.
  if (hasChallenge && sequence === 0) return null;
  return {
    response: message.subarray(HEAD_BYTES, HEAD_BYTES + hashBytes),
    challenge: hasChallenge ? message.subarray(HEAD_BYTES + hashBytes, publicAt) : null,
    sequence,
    publicValue: message.subarray(publicAt, publicAt + publicBytes),
  };
}

export function successMessage(transaction: number, hashBytes: number, response: Buffer | null): Buffer {
  const head = headOf(AUTH_MESSAGE.SUCCESS_1, transaction, HEAD_BYTES);
  head[6] = hashBytes;
  head[8] = response === null ? 0 : 1;
  return Buffer.concat([head, response ?? Buffer.alloc(0)]);
}

export function failureMessage(transaction: number, failure: AuthFailure): Buffer {
  const message = headOf(AUTH_MESSAGE.FAILURE_1, transaction, FAILURE_BYTES);
  message[6] = FAILED;
  message[7] = failure;
  return message;
}

function headOf(kind: number, transaction: number, bytes: number): Buffer {
  const head = Buffer.alloc(bytes);
  head.writeUInt16BE(kind, 0);
  head.writeUInt16LE(transaction, 4);
  return head;
}
