// Builds and reads complete frames of the handshake, with header and body in one Buffer, because the transcript hash T covers both.
// handshake-client.ts and handshake-server.ts define the content of the bodies. Invariants: the body of a handshake frame has at most
// HANDSHAKE_MESSAGE_MAX_BYTES. All header fields except op and length are zero, so that no bit of a header can be changed unnoticed.

import { assert } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';
import { HEADER_BYTES } from '../wire/limits.ts';
import { HANDSHAKE_MESSAGE_MAX_BYTES } from './limits.ts';
import { frameEntry, frameName } from '../wire/frames.ts';
import { emptyHeader, type Header, readHeader, writeMessageHeader } from '../wire/header.ts';

// After a valid PROOF, the field `mac` of REFUSE is the mac "refuse" under K. The mac "refuse" covers T and the code. The macs in all other
// frames cover T and everything before the mac in the body.
//
//   HELLO, CHALLENGE, REFUSE   MessagePack
//   PROOF                      MessagePack | [mac "join" under J, only in a join] | mac "client" under K
//   WELCOME                    MessagePack | mac "server" under K, or under J in the answer to a join

/** Source of random bytes: randomBytes of node:crypto in production, a seeded generator in tests and the simulator. */
export type RandomBytes = (lengthBytes: number) => Buffer;

export function handshakeFrame(op: number, ...bodyParts: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const frame = Buffer.concat([header, ...bodyParts]);
  const lengthBytes = frame.length - HEADER_BYTES;
  assert(lengthBytes <= HANDSHAKE_MESSAGE_MAX_BYTES, `${frameName(op)} of ${lengthBytes} bytes is too large for the handshake`);
  writeMessageHeader(frame, 0, op, 0, 0, 0, 0, lengthBytes, 0);
  return frame;
}

/** Returns the body of a complete frame whose op must be `op`. The body is a view of the frame, not a copy. Throws E_PROTOCOL. */
export function handshakeBody(frame: Buffer, op: number): Buffer {
  const expected = frameName(op);
  if (frame.length < HEADER_BYTES) throw new RsError('E_PROTOCOL', `${expected} expected, got ${frame.length} bytes without a header`);
  const header = emptyHeader();
  readHeader(frame, 0, header);
  if (header.op !== op) throw new RsError('E_PROTOCOL', `${expected} expected, got ${frameName(header.op)}`);
  const lengthBytes = frame.length - HEADER_BYTES;
  if (lengthBytes > HANDSHAKE_MESSAGE_MAX_BYTES) {
    throw new RsError('E_PROTOCOL', `${expected}: body of ${lengthBytes} bytes, at most ${HANDSHAKE_MESSAGE_MAX_BYTES} before the proof`);
  }
  if (header.length !== lengthBytes || (header.flags | header.handle | header.slot | header.seq | header.aux) !== 0) {
    throw new RsError('E_PROTOCOL', `${expected}: header must hold the body's length and otherwise zeros`);
  }
  return frame.subarray(HEADER_BYTES);
}

/**
 * Reassembles a decoded frame, byte for byte as it was received. Copies the body. Throws E_PROTOCOL if the frame is not a message frame.
 */
export function wholeFrame(header: Header, body: Buffer, offset: number): Buffer {
  // The decoder has not checked the field `length` of an I/O frame, because this field holds part of the lba.
  if (frameEntry(header.op)?.shape !== 'message')
    throw new RsError('E_PROTOCOL', `${frameName(header.op)} does not belong to the handshake`);
  const frame = Buffer.alloc(HEADER_BYTES + header.length);
  writeMessageHeader(frame, 0, header.op, header.flags, header.handle, header.slot, header.seq, header.length, header.aux);
  body.copy(frame, HEADER_BYTES, offset, offset + header.length);
  return frame;
}
