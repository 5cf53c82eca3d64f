// Tests how the server reacts to a PROOF that the test composes, with a mac under the right key or a wrong key. handshake.test.ts tests the
// whole exchange, and frames that are changed in transit. Rules: G9.

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { OP } from '../wire/frames.ts';
import { Hello, Proof } from '../wire/messages.ts';
import { handshakeFrame } from './handshake-frames.ts';
import { type ProofLimit, type Proven, type Refusal, ServerHandshake } from './handshake-server.ts';
import { baseKey, joinKey, mac } from './keys.ts';

const SESSION = Buffer.alloc(16, 0x5e);
const SECRET = Buffer.alloc(32, 9);
const HELLO = handshakeFrame(
  OP.HELLO,
  Hello.encode({
    versions: [1],
    features: [],
    namespaceid: 200,
    node: 'big-2',
    instance: 1,
    machine: 'machine-1',
    boot: 'boot-1',
    process: 'process-1',
    interface: 'if0',
    nonce: Buffer.alloc(32, 1),
  }),
);
const IDENTITY = {
  namespaceid: 200,
  server: 'big-9',
  serverid: 1,
  instance: '0123456789abcdef0123456789abcdef',
  serverkey: null,
  versions: [1],
  features: [],
};

/**
 * Composes a PROOF with the body `compose(transcript)` and a mac under `nodekey`, and gives the PROOF to the server. Returns the kind of
 * proof if the server accepts the PROOF, otherwise the code of the refusal or error.
 */
function judged(known: string | readonly string[] | null, nodekey: string, compose: (transcript: Buffer) => Buffer): string {
  // The server's nonce and its random key for an unknown node name both consist of 32 bytes with the value 7.
  const server = new ServerHandshake(IDENTITY, (lengthBytes) => Buffer.alloc(lengthBytes, 7));
  const challenge = server.onHello(HELLO, () => known);
  if (challenge.kind !== 'challenge') throw new Error(challenge.logReason);
  const transcript = createHash('sha256').update(HELLO).update(challenge.frame).digest();
  const body = compose(transcript);
  const frame = handshakeFrame(OP.PROOF, body, mac(baseKey(nodekey, null, 200), 'client', transcript, body));
  try {
    const result = server.onProof(frame, (session, node) => (SESSION.equals(session) && node === 'big-2' ? SECRET : null), null);
    return result.kind === 'refuse' ? result.code : result.kind;
  } catch (thrown) {
    if (thrown instanceof RsError) return thrown.code;
    throw thrown;
  }
}

/** Returns the server's reaction to a PROOF whose mac is under `nodekey`. */
function exchange(
  known: string | readonly string[],
  nodekey: string,
  compose: (transcript: Buffer) => Buffer = () => begins,
  limit: ProofLimit | null = null,
): { readonly proven: Proven | Refusal } {
  const server = new ServerHandshake(IDENTITY, (lengthBytes) => Buffer.alloc(lengthBytes, 7));
  const challenge = server.onHello(HELLO, () => known);
  if (challenge.kind !== 'challenge') throw new Error(challenge.logReason);
  const transcript = createHash('sha256').update(HELLO).update(challenge.frame).digest();
  const body = compose(transcript);
  const frame = handshakeFrame(OP.PROOF, body, mac(baseKey(nodekey, null, 200), 'client', transcript, body));
  return { proven: server.onProof(frame, () => SECRET, limit) };
}

const begins = Proof.encode({ session: null, dead: [] });
const joins = Proof.encode({ session: SESSION, dead: [1] });
const key = baseKey('0xbig2', null, 200);

test('a well-formed PROOF is accepted', () => {
  expect(judged('0xbig2', '0xbig2', () => begins)).toBe('new');
  const joinMac = (transcript: Buffer): Buffer => mac(joinKey(key, SECRET), 'join', transcript, joins);
  expect(judged('0xbig2', '0xbig2', (transcript) => Buffer.concat([joins, joinMac(transcript)]))).toBe('join');
});

test('a mac for joining without a session to join is E_PROTOCOL', () => {
  expect(judged('0xbig2', '0xbig2', () => Buffer.concat([begins, Buffer.alloc(32)]))).toBe('E_PROTOCOL');
});

test('a join needs the mac for joining: complete, valid, and not the one under the node key', () => {
  const withMac = (make: (transcript: Buffer) => Buffer): string =>
    judged('0xbig2', '0xbig2', (transcript) => Buffer.concat([joins, make(transcript)]));
  expect(withMac(() => Buffer.alloc(0))).toBe('E_AUTH');
  expect(withMac(() => Buffer.alloc(32))).toBe('E_AUTH');
  expect(withMac((transcript) => mac(key, 'join', transcript, joins))).toBe('E_AUTH');
  expect(withMac((transcript) => mac(joinKey(key, SECRET), 'join', transcript, joins).subarray(1))).toBe('E_AUTH');
  expect(withMac((transcript) => mac(joinKey(key, SECRET), 'join', transcript, begins))).toBe('E_AUTH');
});

test('a session of another node, or one that never existed, is E_NO_SESSION', () => {
  const other = Proof.encode({ session: Buffer.alloc(16), dead: [] });
  expect(judged('0xbig2', '0xbig2', () => Buffer.concat([other, Buffer.alloc(32)]))).toBe('E_NO_SESSION');
});

test('a body that is no message is E_PROTOCOL, even under the right key', () => {
  expect(judged('0xbig2', '0xbig2', () => Buffer.alloc(0))).toBe('E_PROTOCOL');
  expect(judged('0xbig2', '0xbig2', () => Buffer.from([0xc7, 0x01, 0x72, 0x00]))).toBe('E_PROTOCOL');
});

test('an unknown name is refused even if the client guesses its random key', () => {
  expect(judged(null, Buffer.alloc(32, 7).toString('hex'), () => begins)).toBe('E_AUTH');
});

test('a PROOF without room for a mac is a failed proof', () => {
  const server = new ServerHandshake(IDENTITY, (lengthBytes) => Buffer.alloc(lengthBytes, 7));
  server.onHello(HELLO, () => '0xbig2');
  const refusal = server.onProof(handshakeFrame(OP.PROOF, Buffer.alloc(31)), () => null, null);
  expect(refusal).toMatchObject({ kind: 'refuse', code: 'E_AUTH', isFailedProof: true });
});

describe('a node with two keys', () => {
  const KEYS = ['0xbig2-old', '0xbig2-new'] as const;
  const joinUnder = (nodekey: string, joinedBy = nodekey): string =>
    judged(KEYS, nodekey, (transcript) =>
      Buffer.concat([joins, mac(joinKey(baseKey(joinedBy, null, 200), SECRET), 'join', transcript, joins)]),
    );

  test('proves itself with either, and the server says which', () => {
    for (const [index, nodekey] of KEYS.entries()) {
      expect(judged(KEYS, nodekey, () => begins)).toBe('new');
      const { proven } = exchange(KEYS, nodekey);
      expect(proven).toMatchObject({ kind: 'new', keyIndex: index, refuseKey: baseKey(nodekey, null, 200) });
      expect(joinUnder(nodekey)).toBe('join');
    }
    expect(exchange('0xbig2', '0xbig2').proven).toMatchObject({ keyIndex: 0 });
  });

  test('is refused with a third one, with both macs of a join under different keys, and with the random key in the place of a missing one', () => {
    expect(judged(KEYS, '0xbig2', () => begins)).toBe('E_AUTH');
    expect(joinUnder(KEYS[0], KEYS[1])).toBe('E_AUTH');
    expect(joinUnder(KEYS[1], KEYS[0])).toBe('E_AUTH');
    expect(judged(['0xbig2'], Buffer.alloc(32, 7).toString('hex'), () => begins)).toBe('E_AUTH');
  });

  test('WELCOME is under the key that the client has proved, never under the other one', () => {
    for (const nodekey of KEYS) {
      const { proven } = exchange(KEYS, nodekey);
      expect(proven.kind === 'refuse' ? '' : proven.welcomeKey).toBe(baseKey(nodekey, null, 200).toString('hex'));
    }
  });

  test('while proofs wait, a join of the living session passes under either key, and nothing else does', () => {
    const limit = { waitMs: 1_000, livingSecret: SECRET };
    for (const nodekey of KEYS) {
      expect(exchange(KEYS, nodekey, joinBody(nodekey), limit).proven).toMatchObject({ kind: 'join' });
      expect(exchange(KEYS, nodekey, () => begins, limit).proven).toMatchObject({ code: 'E_LIMIT' });
    }
  });

  // If the work or the message depended on the number of keys, an attacker could find out when the key of a node is being changed.
  test.each([[null], ['0xbig2'], [KEYS]])('refusing a wrong key costs the same and says the same with the keys %j', (known) => {
    let drawn = 0;
    const server = new ServerHandshake(IDENTITY, (lengthBytes) => {
      drawn++;
      return Buffer.alloc(lengthBytes, 7);
    });
    server.onHello(HELLO, () => known);
    const refusal = server.onProof(handshakeFrame(OP.PROOF, Buffer.concat([begins, Buffer.alloc(32)])), () => null, null);
    expect(drawn).toBe(2);
    expect(refusal).toMatchObject({ code: 'E_AUTH', isFailedProof: true, mac: null });
    expect(refusal.kind === 'refuse' && refusal.sentence).toBe(
      "Server big-9 does not accept this node's proof: check nodename, nodekey and serverkey on both sides",
    );
  });

  function joinBody(nodekey: string): (transcript: Buffer) => Buffer {
    return (transcript) => Buffer.concat([joins, mac(joinKey(baseKey(nodekey, null, 200), SECRET), 'join', transcript, joins)]);
  }
});
