// Plays a whole handshake by hand, for cases that change one part of it. This file packs bodies and derives keys without the product's
// code. A step throws if the peer breaks the protocol; the cases judge everything else.

import { randomBytes } from 'node:crypto';
import { MAC_BYTES, NONCE_BYTES } from '@rsio/protocol/wire/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { Challenge, Welcome } from '@rsio/protocol/wire/messages';
import { asBytes, frameBytes, type RawClient } from '../../../support/peers/raw-peer.ts';
import { equals, holds, sameBytes } from '../../base/check.ts';
import { type Packable, pack } from '../../base/pack.ts';
import { type SpecKeys, specJoinKey, specKeys, specMac, specSecret } from '../../base/spec-keys.ts';
import type { Target } from '../../base/target.ts';

export type Fields = Readonly<Record<string, Packable>>;

export function helloFields(target: Target, changes: Fields = {}): Fields {
  const { node, namespaceid, hello } = target.identity();
  const usual = { versions: [1], features: [], namespaceid, node, instance: hello?.instance ?? 0, machine: hello?.machine ?? '' };
  return { ...usual, boot: 'boot-1', interface: 'if0', nonce: randomBytes(NONCE_BYTES), ...changes };
}

export function helloFrame(fields: Fields): Buffer {
  return frameBytes({ op: OP.HELLO, body: pack(fields) });
}

export interface Greeted {
  readonly peer: RawClient;
  readonly challenge: Challenge;
  readonly keys: SpecKeys;
}

/**
 * Sends a HELLO with these changes, and receives CHALLENGE. `pretended`: T is computed over a HELLO with these changes in place of
 * `changes`. Null: T is computed over the HELLO that was sent.
 */
export async function greet(target: Target, changes: Fields = {}, pretended: Fields | null = null): Promise<Greeted> {
  const peer = await target.connectUnproven();
  const fields = helloFields(target, changes);
  const hello = helloFrame(fields);
  peer.send(hello);
  const frame = await peer.next();
  equals('The op of what answers HELLO', frame.op, OP.CHALLENGE);
  const { nodekey, namespaceid, serverkey = null } = target.identity();
  const transcribed = pretended === null ? hello : helloFrame({ ...fields, ...pretended });
  const keys = specKeys({ nodekey, serverkey, namespaceid }, transcribed, asBytes(frame));
  return { peer, challenge: Challenge.decode(frame.body, 0, frame.body.length), keys };
}

/** Makes a PROOF: the given bytes and a correct mac over them. */
export function proofFrame(keys: SpecKeys, before: Buffer): Buffer {
  return frameBytes({ op: OP.PROOF, body: Buffer.concat([before, specMac(keys.base, 'client', keys, before)]) });
}

/** Makes a joining PROOF without its last mac. */
export function joinBody(keys: SpecKeys, secret: Buffer, map: Fields): Buffer {
  const packed = pack(map);
  return Buffer.concat([packed, specMac(specJoinKey(keys, secret), 'join', keys, packed)]);
}

export interface Welcomed {
  readonly welcome: Welcome;
  /** The secret S of the session that the handshake has begun. */
  readonly secret: Buffer;
}

/** Receives WELCOME and checks its mac. `secret`: the secret of the joined session; null: the handshake begins a session. */
export async function welcomed({ peer, keys }: Greeted, secret: Buffer | null = null): Promise<Welcomed> {
  const { op, body } = await peer.next();
  equals('The op of what answers PROOF', op, OP.WELCOME);
  holds(body.length > MAC_BYTES, 'WELCOME has no mac');
  const map = body.subarray(0, body.length - MAC_BYTES);
  const key = secret === null ? keys.base : specJoinKey(keys, secret);
  sameBytes('The mac of WELCOME', body.subarray(map.length), specMac(key, 'server', keys, map));
  return { welcome: Welcome.decode(map, 0, map.length), secret: specSecret(keys) };
}
