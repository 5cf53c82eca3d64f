// Complete frames of the handshake: header and body in one Buffer, because T covers both. The content of bodies is the state machines' job.
// Invariant: before the proof a frame's body has at most HANDSHAKE_MESSAGE_MAX_BYTES. The header has exactly one form (all fields but op
// and length are zero), so that no bit can be changed unnoticed.

import { assert } from '@rsio/common/lib/assert';
import { RsError } from '@rsio/common/lib/errors';
import { HEADER_BYTES } from '../wire/limits.ts';
import { HANDSHAKE_MESSAGE_MAX_BYTES } from './limits.ts';
import { frameEntry, frameName } from '../wire/frames.ts';
import { emptyHeader, type Header, readHeader, writeMessageHeader } from '../wire/header.ts';

// Bodies. Each mac covers T and everything before the mac in the body:
//
//   HELLO, CHALLENGE             MessagePack
//   REFUSE                       MessagePack, after a valid PROOF with a field that holds the mac "refuse" of its code under K
//   PROOF                        MessagePack | [mac "join" under J: only in a join] | mac "client" under K
//   WELCOME                      MessagePack | mac "server" under K, or under J in the answer to a join

/** Source of unpredictable bytes: node:crypto's randomBytes, or a seeded one in tests and the simulator. */
export type RandomBytes = (lengthBytes: number) => Buffer;

export function handshakeFrame(op: number, ...bodyParts: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const frame = Buffer.concat([header, ...bodyParts]);
  const lengthBytes = frame.length - HEADER_BYTES;
  assert(lengthBytes <= HANDSHAKE_MESSAGE_MAX_BYTES, `${frameName(op)} of ${lengthBytes} bytes is too large for the handshake`);
  writeMessageHeader(frame, 0, op, 0, 0, 0, 0, lengthBytes, 0);
  return frame;
}

/** Returns the body of a complete frame, which must have `op`. The body is a view, not a copy. Throws E_PROTOCOL. */
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

/** Reassembles a decoded frame, byte for byte as it was received. Copies the body. Throws E_PROTOCOL if the frame is no message. */
export function wholeFrame(header: Header, body: Buffer, offset: number): Buffer {
  // In any other frame, `length` is a different field whose value has not been checked.
  if (frameEntry(header.op)?.shape !== 'message')
    throw new RsError('E_PROTOCOL', `${frameName(header.op)} does not belong to the handshake`);
  const frame = Buffer.alloc(HEADER_BYTES + header.length);
  writeMessageHeader(frame, 0, header.op, header.flags, header.handle, header.slot, header.seq, header.length, header.aux);
  body.copy(frame, HEADER_BYTES, offset, offset + header.length);
  return frame;
}
