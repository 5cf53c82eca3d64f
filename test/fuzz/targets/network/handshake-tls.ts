// The handshake that agrees on TLS, at both ends: shares of every kind, offers that a middleman removes, START_TLS at any moment. Oracle:
// TLS begins if and only if both ends have agreed on it, and its key is the key that proof-oracle.ts computes a second time. A client that
// requires TLS sends no PROOF without TLS. Only refusals are thrown.

import { ClientHandshake } from '@rsio/protocol/auth/handshake-client';
import { ServerHandshake } from '@rsio/protocol/auth/handshake-server';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { OP } from '@rsio/protocol/wire/frames';
import { HEADER_BYTES, SHARE_BYTES } from '@rsio/protocol/wire/limits';
import { Challenge, Farewell, Hello, Proof, Welcome } from '@rsio/protocol/wire/messages';
import { expectThat, type FuzzTarget, orRefused } from '../../fixtures/fuzz-target.ts';
import { endsInMac, joinKeyOf, keyOf, sessionSecretOf, tlsPskOf, transcriptOf, withMac, x25519 } from '../../fixtures/proof-oracle.ts';
import { frameBytes } from '../../makers/frame-maker.ts';
import { mutated } from '../../makers/mutator.ts';
import { encodeScript, readScript, scriptPieces, step } from '../../makers/script.ts';

const NODE = 'big-2';
const NODEKEY = '0xbig2-secret-of-the-fuzz';
const NAMESPACEID = 200;
const SESSION = Buffer.alloc(16, 7);
const SECRET = Buffer.alloc(32, 9);
const KEY = keyOf(NODEKEY, null, NAMESPACEID);
const NOTHING = Buffer.alloc(0);
/** Private key of the peer that the target plays. */
const PRIVATE = Buffer.alloc(SHARE_BYTES, 0x77);
const BASE_POINT = Buffer.concat([Buffer.from([9]), Buffer.alloc(SHARE_BYTES - 1)]);
const SHARE = x25519(PRIVATE, BASE_POINT);
/** Shares that yield no secret, or the same secret as another share. */
const BAD_SHARES = [
  Buffer.alloc(SHARE_BYTES),
  Buffer.concat([Buffer.from([1]), Buffer.alloc(SHARE_BYTES - 1)]),
  Buffer.alloc(SHARE_BYTES, 0xff),
];
const CODES = ['E_PROTOCOL', 'E_TLS', 'E_AUTH', 'E_VERSION', 'E_LIMIT', 'E_NO_SESSION'];
const CLIENT_ORIGIN = { instance: 1, machine: 'm', boot: 'b', process: 'p', interface: 'if0' };

function shareOf(random: SeededRandom): Buffer | undefined {
  if (random.chance(0.8)) return SHARE;
  return random.pick([undefined, ...BAD_SHARES, random.bytes(SHARE_BYTES)]);
}

/** Whether the share belongs to the private key of the target, so that the target can compute the secret. */
function isOurs(share: Uint8Array | undefined): boolean {
  return share !== undefined && SHARE.equals(share);
}

function bodyOf<T>(frame: Buffer, decode: (bytes: Buffer, at: number, length: number) => T): T {
  return decode(frame, HEADER_BYTES, frame.length - HEADER_BYTES);
}

// --- the server: step 0: HELLO, argument 1: the server requires TLS; step 1: PROOF, argument 1: the proof joins a session

function newServer(requiresTls: boolean): ServerHandshake {
  const features = ['digest', 'probe', 'tls'];
  const identity = {
    namespaceid: NAMESPACEID,
    server: 'big-9',
    serverid: 1,
    instance: '9'.repeat(32),
    serverkey: null,
    versions: [1, 2],
    features,
  };
  return new ServerHandshake({ ...identity, requiresTls }, new SeededRandom(7).bytes);
}

const keyLookup = (node: string): string | null => (node === NODE ? NODEKEY : null);

function runServer(input: Buffer): boolean {
  const [first, second] = readScript(input);
  if (first === undefined || second === undefined) return false;
  const requiresTls = first.arg === 1;
  const handshake = newServer(requiresTls);
  const answer = orRefused(CODES, () => handshake.onHello(Buffer.from(first.bytes), keyLookup));
  if (answer === null || answer.kind === 'refuse') return false;
  const hello = bodyOf(first.bytes, Hello.decode);
  const challenge = bodyOf(answer.frame, Challenge.decode);
  const isAgreed = challenge.features.includes('tls');
  expectThat(isAgreed === hello.features.includes('tls'), 'the server chose TLS otherwise than the client offered it');
  expectThat(isAgreed || !requiresTls, 'a server that requires TLS went on without it');
  expectThat(isAgreed === (challenge.share !== undefined), 'a share was sent without TLS, or none with it');
  const verdict = orRefused(CODES, () => handshake.onProof(Buffer.from(second.bytes), () => SECRET, null));
  if (verdict === null || verdict.kind === 'refuse') return false;
  expectThat((verdict.tlsPsk !== null) === isAgreed, 'a proven connection has TLS otherwise than agreed');
  if (!isAgreed || !isOurs(hello.share)) return false;
  const agreed = x25519(PRIVATE, Buffer.from(challenge.share ?? []));
  const transcript = transcriptOf(first.bytes, answer.frame);
  const key = verdict.kind === 'join' ? joinKeyOf(KEY, SECRET) : KEY;
  expectThat(verdict.tlsPsk === tlsPskOf(key, transcript, agreed).toString('hex'), 'TLS would begin under another key');
  if (verdict.kind === 'new') {
    expectThat(verdict.sessionSecret.equals(sessionSecretOf(KEY, transcript, agreed)), 'the session has another secret');
  }
  return true;
}

function makeHello(random: SeededRandom): Buffer {
  const features = random.chance(0.9) ? ['tls', ...random.pick([[], ['digest'], ['probe']])] : ['digest'];
  const hello: Hello = {
    versions: [1, 2],
    features,
    namespaceid: NAMESPACEID,
    node: NODE,
    ...CLIENT_ORIGIN,
    nonce: random.bytes(32),
    share: shareOf(random),
  };
  const body = Hello.encode(hello);
  return frameBytes(OP.HELLO, {}, 'message', random.chance(0.9) ? body : mutated(random, body, 2));
}

function makeServerInput(random: SeededRandom): Buffer {
  const requiresTls = random.chance(0.3);
  const hello = makeHello(random);
  const answer = orRefused(CODES, () => newServer(requiresTls).onHello(Buffer.from(hello), keyLookup));
  const transcript = transcriptOf(hello, answer?.kind === 'challenge' ? answer.frame : NOTHING);
  const isJoin = random.chance(0.5);
  let body: Buffer = Proof.encode({ session: isJoin ? SESSION : null, dead: [] });
  if (isJoin) body = withMac(joinKeyOf(KEY, SECRET), 'join', transcript, body);
  const proof = frameBytes(OP.PROOF, {}, 'message', withMac(KEY, 'client', transcript, body));
  return encodeScript([step(0, requiresTls ? 1 : 0, hello), step(1, 0, random.chance(0.9) ? proof : mutated(random, proof, 2))]);
}

// --- the client: step 0: CHALLENGE, argument 1: the client joins a session; then any frames

function newClient(): ClientHandshake {
  const hello = { versions: [1, 2], features: ['tls', 'digest'], namespaceid: NAMESPACEID, node: NODE, ...CLIENT_ORIGIN };
  return new ClientHandshake({ nodekey: NODEKEY, serverkey: null, hello }, new SeededRandom(7).bytes);
}

const HELLO = newClient().start();
const CLIENT_SHARE = Buffer.from(bodyOf(HELLO, Hello.decode).share ?? []);
const START_TLS = frameBytes(OP.START_TLS, {}, 'message', NOTHING);

function runClient(input: Buffer): boolean {
  const [first, second, third] = readScript(input);
  if (first === undefined) return false;
  const isJoin = first.arg === 1;
  const handshake = newClient();
  handshake.start();
  const challenge = orRefused(CODES, () => handshake.onChallenge(Buffer.from(first.bytes)));
  if (challenge === null) return false;
  expectThat(
    challenge.features.includes('tls') && challenge.share?.length === SHARE_BYTES,
    'a client that insists on TLS went on without it',
  );
  handshake.proof(isJoin ? { session: SESSION, secret: SECRET } : null, []);
  expectThat(handshake.awaitsTls, 'the client does not wait for TLS');
  if (second === undefined) return false;
  const begun = orRefused(CODES, () => handshake.onStartTls(Buffer.from(second.bytes)));
  if (begun === null) return false;
  expectThat(START_TLS.equals(second.bytes), 'TLS began with something else than START_TLS');
  const transcript = transcriptOf(HELLO, first.bytes);
  const key = isJoin ? joinKeyOf(KEY, SECRET) : KEY;
  const agreed = isOurs(challenge.share) ? x25519(PRIVATE, CLIENT_SHARE) : null;
  expectThat(agreed === null || begun.psk.equals(tlsPskOf(key, transcript, agreed)), 'TLS would begin under another key');
  if (third === undefined) return false;
  if (orRefused(CODES, () => handshake.onWelcome(Buffer.from(third.bytes))) === null) return false;
  expectThat(endsInMac(key, 'server', transcript, third.bytes.subarray(HEADER_BYTES)), 'a server was believed without the right mac');
  if (!isJoin && agreed !== null) {
    expectThat(handshake.sessionSecret.equals(sessionSecretOf(KEY, transcript, agreed)), 'the session has another secret');
  }
  return true;
}

function makeChallenge(random: SeededRandom): Buffer {
  const challenge: Challenge = {
    version: 1,
    features: random.chance(0.9) ? ['tls'] : random.pick([[], ['digest'], ['tls', 'digest']]),
    server: 'big-9',
    serverid: 1,
    instance: '9'.repeat(32),
    nonce: random.bytes(32),
    share: shareOf(random),
  };
  const body = Challenge.encode(challenge);
  return frameBytes(OP.CHALLENGE, {}, 'message', random.chance(0.9) ? body : mutated(random, body, 2));
}

function makeClientInput(random: SeededRandom): Buffer {
  const isJoin = random.chance(0.5);
  const challenge = makeChallenge(random);
  const body = Welcome.encode({
    session: SESSION,
    path: 0,
    slots: 256,
    windowBytes: 32 << 20,
    interfaces: [{ name: 'if1', address: '127.45.0.10', port: 5000 }],
    generation: 1,
  });
  const key = isJoin ? joinKeyOf(KEY, SECRET) : KEY;
  const welcome = frameBytes(OP.WELCOME, {}, 'message', withMac(key, 'server', transcriptOf(HELLO, challenge), body));
  const refusal = frameBytes(
    random.pick([OP.REFUSE, OP.BYE]),
    {},
    'message',
    Farewell.encode({ code: random.pick(CODES), sentence: 'No' }),
  );
  const other = (): Buffer =>
    random.pick([refusal, welcome, START_TLS, frameBytes(OP.START_TLS, {}, 'message', Buffer.from([1])), mutated(random, START_TLS, 2)]);
  const frames = [random.chance(0.9) ? START_TLS : other(), random.chance(0.9) ? welcome : other()];
  return encodeScript([challenge, ...frames].map((frame, index) => step(index, isJoin ? 1 : 0, frame)));
}

export const handshakeTlsServer: FuzzTarget = {
  name: 'handshake-tls-server',
  deep: 'the proof was accepted, and TLS begins',
  fixedSeeds: 60,
  make: makeServerInput,
  run: runServer,
  pieces: scriptPieces,
};

export const handshakeTlsClient: FuzzTarget = {
  name: 'handshake-tls-client',
  deep: 'the server was believed inside TLS',
  fixedSeeds: 60,
  make: makeClientInput,
  run: runClient,
  pieces: scriptPieces,
};
