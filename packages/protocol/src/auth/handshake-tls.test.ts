// Tests the handshake with the feature `tls`: the secrets that both sides derive, the secrets that an eavesdropper can and cannot derive,
// and attempts to get a connection without TLS. handshake.test.ts tests the handshake without TLS, and link/tls-transport.test.ts tests TLS
// itself. Rules: G22. docs/PROTOCOL.md, Encrypted paths.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { OP } from '../wire/frames.ts';
import { FEATURE } from '../wire/features.ts';
import { Challenge, Hello } from '../wire/messages.ts';
import { ClientHandshake, type ClientIdentity, type SessionToJoin } from './handshake-client.ts';
import { handshakeBody, handshakeFrame, type RandomBytes } from './handshake-frames.ts';
import { buildWelcome, type Proven, refuseFrame, ServerHandshake, type ServerIdentity } from './handshake-server.ts';
import { baseKey, joinKey, sessionSecret, tlsPsk } from './keys.ts';

const NODEKEY = 'a nodekey of more than sixteen characters';
const SESSION = Buffer.alloc(16, 0x5e);
const START_TLS = handshakeFrame(OP.START_TLS);
const CLIENT: ClientIdentity = {
  nodekey: NODEKEY,
  serverkey: null,
  hello: {
    versions: [1],
    features: [FEATURE.DIGEST, FEATURE.TLS],
    namespaceid: 200,
    node: 'big-2',
    instance: 1,
    machine: 'machine-1',
    boot: 'boot-1',
    process: 'process-1',
    interface: 'if0',
  },
};
const SERVER: ServerIdentity = {
  namespaceid: 200,
  server: 'big-9',
  serverid: 1,
  instance: '0123456789abcdef0123456789abcdef',
  serverkey: null,
  versions: [1],
  features: [FEATURE.DIGEST, FEATURE.TLS],
};

function seededRandom(seed: string): RandomBytes {
  let count = 0;
  return (lengthBytes) => createHash('sha256').update(`${seed} ${count++}`).digest().subarray(0, lengthBytes);
}

interface Setup {
  readonly client?: Partial<ClientIdentity>;
  readonly features?: readonly string[];
  readonly server?: Partial<ServerIdentity>;
  readonly join?: SessionToJoin;
  readonly secret?: Buffer;
  /** Changes HELLO or CHALLENGE in transit. */
  readonly hello?: (frame: Buffer) => Buffer;
  readonly challenge?: (frame: Buffer) => Buffer;
}

interface Greeted {
  readonly client: ClientHandshake;
  readonly server: ServerHandshake;
  readonly hello: Buffer;
  readonly challenge: Buffer;
}

function greet({ client, features, server, hello: meddle = same, challenge: meddleBack = same }: Setup): Greeted {
  const identity = { ...CLIENT, ...client, hello: { ...CLIENT.hello, ...(features === undefined ? {} : { features }) } };
  const clientSide = new ClientHandshake(identity, seededRandom('client'));
  const serverSide = new ServerHandshake({ ...SERVER, ...server }, seededRandom('server'));
  const hello = meddle(clientSide.start());
  const answer = serverSide.onHello(hello, () => NODEKEY);
  const challenge = meddleBack(answer.kind === 'challenge' ? answer.frame : refuseFrame(answer));
  clientSide.onChallenge(challenge);
  return { client: clientSide, server: serverSide, hello, challenge };
}

function prove(setup: Setup): Greeted & { readonly proven: Proven } {
  const greeted = greet(setup);
  const { join = null, secret = null } = setup;
  const proven = greeted.server.onProof(greeted.client.proof(join, []), () => secret, null);
  if (proven.kind === 'refuse') throw new Error(proven.logReason);
  return { ...greeted, proven };
}

function codeOfThrown(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof RsError ? error.code : String(error);
  }
  return 'nothing was thrown';
}

function same(frame: Buffer): Buffer {
  return frame;
}

function changedHello(change: Partial<Hello>): (frame: Buffer) => Buffer {
  return (frame) => {
    const body = handshakeBody(frame, OP.HELLO);
    return handshakeFrame(OP.HELLO, Hello.encode({ ...Hello.decode(body, 0, body.length), ...change }));
  };
}

function changedChallenge(change: Partial<Challenge>): (frame: Buffer) => Buffer {
  return (frame) => {
    const body = handshakeBody(frame, OP.CHALLENGE);
    return handshakeFrame(OP.CHALLENGE, Challenge.encode({ ...Challenge.decode(body, 0, body.length), ...change }));
  };
}

function transcriptOf({ hello, challenge }: Greeted): Buffer {
  return createHash('sha256').update(hello).update(challenge).digest();
}

test('both sides derive the same key for TLS, and the same session secret, which later joins use', () => {
  const first = prove({});
  expect(first.client.awaitsTls).toBe(true);
  const key = first.client.onStartTls(START_TLS);
  expect(key).toEqual({ side: 'client', identity: 'big-2', psk: Buffer.from(first.proven.tlsPsk!, 'hex') });
  if (first.proven.kind !== 'new') throw new Error('It begins a session');
  first.client.onWelcome(
    buildWelcome(first.proven.welcomeKey, first.proven.transcript, {
      session: SESSION,
      path: 0,
      slots: 256,
      windowBytes: 32 * 1024 * 1024,
      interfaces: [],
      generation: 1,
    }),
  );
  const secret = first.client.sessionSecret;
  expect(secret).toEqual(first.proven.sessionSecret);
  const second = prove({ join: { session: SESSION, secret }, secret });
  expect(second.client.onStartTls(START_TLS).psk).toEqual(Buffer.from(second.proven.tlsPsk!, 'hex'));
});

test('one who knows the nodekey and records everything can compute neither the secret nor the key for TLS', () => {
  const recorded = prove({});
  if (recorded.proven.kind !== 'new') throw new Error('It begins a session');
  const [key, transcript] = [baseKey(NODEKEY, null, 200), transcriptOf(recorded)];
  const publicValues = [recorded.hello, recorded.challenge].map((frame, index) => {
    const body = handshakeBody(frame, index === 0 ? OP.HELLO : OP.CHALLENGE);
    return Buffer.from((index === 0 ? Hello.decode(body, 0, body.length) : Challenge.decode(body, 0, body.length)).share!);
  });
  const guesses = [null, Buffer.alloc(0), Buffer.alloc(32), ...publicValues];
  const secrets = guesses.map((guess) => sessionSecret(key, transcript, guess).toString('hex'));
  expect(secrets).not.toContain(recorded.proven.sessionSecret.toString('hex'));
  const psks = guesses.flatMap((guess) => {
    const secret = sessionSecret(key, transcript, guess);
    return [key, joinKey(key, secret)].map((base) => tlsPsk(base, transcript, guess ?? Buffer.alloc(0)).toString('hex'));
  });
  expect(psks).not.toContain(recorded.proven.tlsPsk);
});

test('the same handshake with other shares gives other keys', () => {
  const other = new ServerHandshake(SERVER, seededRandom('another server'));
  const client = new ClientHandshake(CLIENT, seededRandom('client'));
  const answer = other.onHello(client.start(), () => NODEKEY);
  if (answer.kind !== 'challenge') throw new Error('It is refused');
  client.onChallenge(answer.frame);
  const proven = other.onProof(client.proof(null, []), () => null, null);
  if (proven.kind !== 'new') throw new Error('It is refused');
  expect(proven.tlsPsk).not.toBe(prove({}).proven.tlsPsk);
});

test('with TLS, frames have no digest', () => {
  const body = handshakeBody(prove({}).challenge, OP.CHALLENGE);
  expect(Challenge.decode(body, 0, body.length).features).toEqual([FEATURE.TLS]);
});

test('without TLS, there is no share and no START_TLS', () => {
  const plain = prove({ features: [FEATURE.DIGEST] });
  expect(plain.client.awaitsTls).toBe(false);
  expect(plain.proven.tlsPsk).toBe(null);
  const body = handshakeBody(plain.hello, OP.HELLO);
  expect(Hello.decode(body, 0, body.length).share).toBe(undefined);
});

test('a client that insists on TLS says which line to change if the server does not encrypt', () => {
  expect(codeOfThrown(() => greet({ server: { features: [FEATURE.DIGEST] } }))).toBe('E_TLS');
  expect(() => greet({ server: { features: [] } })).toThrow(/Server big-9 does not encrypt.*tls = allow/);
});

test('a client that accepts plain connections continues without TLS, and uses it where the server has it', () => {
  const client = { acceptsPlain: true };
  expect(prove({ client, server: { features: [] } }).proven.tlsPsk).toBe(null);
  expect(prove({ client }).proven.tlsPsk).not.toBe(null);
});

test('a server that requires TLS refuses a client without it, and says which line to change', () => {
  const setup = { features: [FEATURE.DIGEST], server: { requiresTls: true } };
  expect(codeOfThrown(() => greet(setup))).toBe('E_TLS');
  expect(() => greet(setup)).toThrow(/tls = on in section \[namespace\] of rscltcfg/);
});

test('the feature cannot be stripped on the way: neither side continues without TLS', () => {
  const stripped = { features: [FEATURE.DIGEST], share: undefined };
  expect(codeOfThrown(() => greet({ hello: changedHello(stripped) }))).toBe('E_TLS');
  expect(codeOfThrown(() => greet({ challenge: changedChallenge(stripped) }))).toBe('E_TLS');
  // Even a client that accepts plain connections notices the change, because every mac covers the offer.
  expect(() => prove({ client: { acceptsPlain: true }, hello: changedHello(stripped) })).toThrow(/wrong key/);
  expect(() => prove({ client: { acceptsPlain: true }, challenge: changedChallenge(stripped) })).toThrow(/wrong key/);
});

test('a share that was exchanged on the way makes the proof invalid', () => {
  const share = Buffer.alloc(32, 9);
  expect(() => prove({ hello: changedHello({ share }) })).toThrow(/wrong key/);
  expect(() => prove({ challenge: changedChallenge({ share }) })).toThrow(/wrong key/);
});

test('a share that yields no secret, or none at all, is a protocol error', () => {
  const share = Buffer.alloc(32);
  expect(codeOfThrown(() => greet({ challenge: changedChallenge({ share }) }))).toBe('E_PROTOCOL');
  expect(codeOfThrown(() => greet({ challenge: changedChallenge({ share: undefined }) }))).toBe('E_PROTOCOL');
  expect(codeOfThrown(() => greet({ hello: changedHello({ share: undefined }) }))).toBe('E_PROTOCOL');
});

test('WELCOME outside TLS is a protocol error, and so is a START_TLS with a body', () => {
  const welcome = { session: SESSION, path: 0, slots: 256, windowBytes: 32 * 1024 * 1024, interfaces: [], generation: 1 };
  const early = prove({});
  expect(codeOfThrown(() => early.client.onStartTls(buildWelcome(early.proven.welcomeKey, early.proven.transcript, welcome)))).toBe(
    'E_PROTOCOL',
  );
  expect(codeOfThrown(() => prove({}).client.onStartTls(handshakeFrame(OP.START_TLS, Buffer.of(0x80))))).toBe('E_PROTOCOL');
});

test('a START_TLS that was not agreed is a protocol error', () => {
  expect(codeOfThrown(() => prove({ features: [] }).client.onWelcome(START_TLS))).toBe('E_PROTOCOL');
});

test('a REFUSE instead of START_TLS is reported', () => {
  expect(codeOfThrown(() => prove({}).client.onStartTls(refuseFrame({ code: 'E_LIMIT', sentence: 'Too many' })))).toBe('E_LIMIT');
});
