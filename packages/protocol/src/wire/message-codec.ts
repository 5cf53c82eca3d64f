// Encodes and decodes the body of a message frame. messages.ts and mirror-messages.ts declare the messages. Invariants: encoding and decoding
// use the same guards, so that a peer never refuses a message that was sent. Received values have the required form. An error names the
// field and never repeats its content.

import { Packr } from 'msgpackr';
import { RsError } from '@rsio/base/lib/errors';
import { type FieldsOf, type Guard, record, type Schema } from './guards.ts';
import { scanValue } from './message-scan.ts';

// MessagePack maps are decoded to Map objects, in which no key has a special meaning. Numbers above 2^32 may arrive as float64 or as
// uint64.
const msgpack = new Packr({ useRecords: false, mapsAsObjects: false, variableMapSize: true, int64AsType: 'number' });

export interface Message<T> {
  /** Throws E_INTERNAL if the message does not have the required form. */
  readonly encode: (message: T) => Buffer;
  /** Reads a body of `length` bytes at `offset`. The message shares no memory with `bytes`. Throws E_PROTOCOL. */
  readonly decode: (bytes: Buffer, offset: number, length: number) => T;
  /** Checks a message that arrived in another encoding, such as JSON between processes. */
  readonly guard: Guard<T>;
}

export type MessageOf<M> = M extends Message<infer T> ? T : never;

/** Declares a message: the order of the fields is their order on the wire. `label` names it in errors. */
export function message<const S extends Schema>(label: string, schema: S): Message<FieldsOf<S>> {
  return messageWith(label, record(schema, ': field '));
}

/** A message whose fields belong together in a way that the guards of single fields cannot check. */
export function messageWith<T>(label: string, guard: Guard<T>): Message<T> {
  return {
    encode: (given) => pack(guard, label, given),
    decode: (bytes, offset, length) => guard(unpack(label, bytes, offset, length), label),
    guard,
  };
}

function unpack(label: string, bytes: Buffer, offset: number, length: number): unknown {
  try {
    if (scanValue(bytes, offset, offset + length) === offset + length) return msgpack.unpack(bytes.subarray(offset, offset + length));
  } catch {
    // Drop the decoder's own error, because it would repeat received data.
  }
  throw new RsError('E_PROTOCOL', `${label}: body of ${length} bytes must be one MessagePack map without extension types`);
}

function pack<T>(guard: Guard<T>, label: string, message: T): Buffer {
  try {
    return msgpack.pack(guard(message, label));
  } catch (thrown) {
    throw thrown instanceof RsError ? new RsError('E_INTERNAL', thrown.message, {}, thrown) : thrown;
  }
}
