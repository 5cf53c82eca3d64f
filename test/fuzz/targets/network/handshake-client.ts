// The client's handshake on one connection, with arbitrary answers from a server. Oracle: the client accepts a WELCOME only if its mac,
// computed a second time (proof-oracle.ts), matches the CHALLENGE that it received, and the WELCOME names the joined session. Only RsErrors
// are thrown.

import { ClientHandshake } from '@rsio/protocol/auth/handshake-client';
import { RsError } from '@rsio/base/lib/errors';
import { HANDSHAKE_MESSAGE_MAX_BYTES } from '@rsio/protocol/auth/limits';
import { HEADER_BYTES } from '@rsio/protocol/wire/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { OP } from '@rsio/protocol/wire/frames';
import { Challenge, Farewell, Refuse, Welcome } from '@rsio/protocol/wire/messages';
import { frameBytes } from '../../makers/frame-maker.ts';
import { expectThat, type FuzzTarget, orRefused } from '../../fixtures/fuzz-target.ts';
import { aName, edge } from '../../makers/message-maker.ts';
import { mutated } from '../../makers/mutator.ts';
import { endsInMac, joinKeyOf, keyOf, refuseMacOf, transcriptOf, withMac } from '../../fixtures/proof-oracle.ts';
import { encodeScript, readScript, scriptPieces, step } from '../../makers/script.ts';

// step 0: CHALLENGE or REFUSE, argument 1: the client joins a session       step 1: WELCOME or REFUSE
const NODEKEY = '0xbig2-secret-of-the-fuzz';
const NAMESPACEID = 200;
const SESSION = Buffer.alloc(16, 7);
const SECRET = Buffer.alloc(32, 9);
const FEATURES = ['digest', 'probe'];
const VERSIONS = [1, 2];
const CODES = [
  'E_PROTOCOL',
  'E_AUTH',
  'E_VERSION',
  'E_NAMESPACE',
  'E_NO_SESSION',
  'E_LIMIT',
  'E_REPLACED',
  'E_OTHER_MACHINE',
  'E_SHUTTING_DOWN',
  'E_DRAINING',
];

function newHandshake(): ClientHandshake {
  const hello = {
    versions: VERSIONS,
    features: FEATURES,
    namespaceid: NAMESPACEID,
    node: 'big-2',
    instance: 1,
    machine: 'm',
    boot: 'b',
    process: 'p',
    interface: 'if0',
  };
  return new ClientHandshake({ nodekey: NODEKEY, serverkey: null, hello }, new SeededRandom(7).bytes);
}

const HELLO = newHandshake().start();

function keyOfWelcome(isJoin: boolean): Buffer {
  const key = keyOf(NODEKEY, null, NAMESPACEID);
  return isJoin ? joinKeyOf(key, SECRET) : key;
}

function run(input: Buffer): boolean {
  const [first, second] = readScript(input);
  if (first === undefined) return false;
  const isJoin = first.arg === 1;
  const handshake = newHandshake();
  handshake.start();
  const challenge = orRefused(CODES, () => handshake.onChallenge(Buffer.from(first.bytes)));
  if (challenge === null) return false;
  expectThat(VERSIONS.includes(challenge.version), `version ${challenge.version} was taken, which was not offered`);
  for (const feature of challenge.features) expectThat(FEATURES.includes(feature), `feature ${feature} was taken, which was not offered`);
  handshake.proof(isJoin ? { session: SESSION, secret: SECRET } : null, [1, 2]);
  if (second === undefined) return false;
  const welcome = orRefused(CODES, () => {
    try {
      return handshake.onWelcome(Buffer.from(second.bytes));
    } catch (thrown) {
      if (thrown instanceof RsError) judgeRefusal(thrown, first.bytes, second.bytes);
      throw thrown;
    }
  });
  if (welcome === null) return false;
  const body = second.bytes.subarray(HEADER_BYTES);
  const transcript = transcriptOf(HELLO, first.bytes);
  expectThat(endsInMac(keyOfWelcome(isJoin), 'server', transcript, body), 'a server was believed without the right mac');
  expectThat(!isJoin || SESSION.equals(welcome.session), 'another session was joined than asked for');
  if (!isJoin) expectThat(handshake.sessionSecret.length === 32, 'the secret is no key');
  return true;
}

function makeChallenge(random: SeededRandom): Buffer {
  const body = Challenge.encode({
    version: random.chance(0.9) ? random.pick(VERSIONS) : 3,
    features: random.chance(0.9) ? random.pick([[], ['digest'], FEATURES]) : ['later'],
    server: aName(random),
    serverid: edge(random, 0, 255),
    instance: random.bytes(16).toString('hex'),
    nonce: random.bytes(32),
  });
  return frameBytes(OP.CHALLENGE, {}, 'message', random.chance(0.9) ? body : mutated(random, body, 2));
}

function makeWelcome(random: SeededRandom, challenge: Buffer, isJoin: boolean): Buffer {
  const body = Welcome.encode({
    session: random.chance(0.9) ? SESSION : random.bytes(16),
    path: edge(random, 0, 0xffffffff),
    slots: edge(random, 9, 65_535),
    windowBytes: edge(random, 2 * 1024 * 1024, 0xffffffff),
    interfaces: [{ name: aName(random), address: '127.45.0.10', port: 5000 }],
    generation: edge(random, 0, Number.MAX_SAFE_INTEGER),
  });
  const said = random.chance(0.9) ? body : mutated(random, body, 2);
  const key = keyOfWelcome(random.chance(0.95) ? isJoin : !isJoin);
  const proven = withMac(key, random.chance(0.95) ? 'server' : 'client', transcriptOf(HELLO, challenge), said);
  return frameBytes(OP.WELCOME, {}, 'message', proven.subarray(0, HANDSHAKE_MESSAGE_MAX_BYTES));
}

function refusal(random: SeededRandom, challenge: Buffer | null): Buffer {
  const code = random.pick([...CODES, 'E_LATER', 'X']);
  const sentence = random.pick(['', 'No', 'x\u001b[2Jy']);
  if (challenge === null || random.chance(0.3)) return frameBytes(OP.REFUSE, {}, 'message', Farewell.encode({ code, sentence }));
  const macOf = random.chance(0.7) ? code : 'E_NO_SESSION';
  const mac = refuseMacOf(keyOfWelcome(random.chance(0.1)), transcriptOf(HELLO, challenge), macOf);
  return frameBytes(OP.REFUSE, {}, 'message', Refuse.encode({ code, sentence, mac: random.chance(0.9) ? mac : random.bytes(32) }));
}

/** Expects that a refusal has the right mac if the client believes that the server has sent it. */
function judgeRefusal(error: RsError, challenge: Buffer, frame: Buffer): void {
  if (error.context['proved'] !== true) return;
  const { code, mac } = Refuse.decode(frame, HEADER_BYTES, frame.length - HEADER_BYTES);
  const right = refuseMacOf(keyOfWelcome(false), transcriptOf(HELLO, challenge), code);
  expectThat(mac !== null && mac.equals(right), `a refusal ${code} was believed without the right mac`);
}

function make(random: SeededRandom): Buffer {
  const isJoin = random.chance(0.5);
  const challenge = random.chance(0.95) ? makeChallenge(random) : refusal(random, null);
  const welcome = random.chance(0.9) ? makeWelcome(random, challenge, isJoin) : refusal(random, challenge);
  const frames = [challenge, welcome].map((frame) => (random.chance(0.2) ? mutated(random, frame, 2) : frame));
  return encodeScript(frames.map((frame, index) => step(index, isJoin ? 1 : 0, frame)));
}

export const handshakeClient: FuzzTarget = {
  name: 'handshake-client',
  deep: 'the server was believed',
  fixedSeeds: 1000,
  make,
  run,
  pieces: scriptPieces,
};
