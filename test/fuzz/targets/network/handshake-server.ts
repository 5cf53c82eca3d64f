// The server's handshake on one connection, with arbitrary content in the two frames of a client. Oracle: a proof is accepted if and only
// if the macs, computed a second time (proof-oracle.ts), are right. Wrong names and wrong keys get the same refusal. Only E_PROTOCOL is
// thrown.

import { HANDSHAKE_MESSAGE_MAX_BYTES } from '@rsio/protocol/auth/limits';
import { DATA_PROCESSES_MAX, HEADER_BYTES, INSTANCE_MAX } from '@rsio/protocol/wire/limits';
import { type Proven, refuseFrame, type Refusal, ServerHandshake } from '@rsio/protocol/auth/handshake-server';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { OP } from '@rsio/protocol/wire/frames';
import { Farewell, Hello, Proof } from '@rsio/protocol/wire/messages';
import { frameBytes } from '../../makers/frame-maker.ts';
import { expectThat, type FuzzTarget, orRefused } from '../../fixtures/fuzz-target.ts';
import { aName, some } from '../../makers/message-maker.ts';
import { mutated } from '../../makers/mutator.ts';
import { endsInMac, joinKeyOf, keyOf, transcriptOf, withMac } from '../../fixtures/proof-oracle.ts';
import { encodeScript, readScript, scriptPieces, step } from '../../makers/script.ts';

// step 0: HELLO, argument 1: the server has a serverkey       step 1: PROOF
const NODE = 'big-2';
const NODEKEY = '0xbig2-secret-of-the-fuzz';
const SERVERKEY = '0xserver-secret-of-the-fuzz';
const NAMESPACEID = 200;
const SESSION = Buffer.alloc(16, 7);
const SECRET = Buffer.alloc(32, 9);
const MAC_BYTES = 32;

function identity(hasServerkey: boolean) {
  return {
    namespaceid: NAMESPACEID,
    server: 'big-9',
    serverid: 1,
    instance: '9'.repeat(32),
    serverkey: hasServerkey ? SERVERKEY : null,
    versions: [1, 2],
    features: ['digest', 'probe', 'data-processes'],
  };
}

/** Argument of a PROOF whose node has already failed too many proofs. */
const LIMITED = 1;

/** Uses the same nonces each time, so that valid proofs can be made in advance. */
function newHandshake(hasServerkey: boolean): ServerHandshake {
  return new ServerHandshake(identity(hasServerkey), new SeededRandom(7).bytes);
}

const lookup = (node: string): string | null => (node === NODE ? NODEKEY : null);
const secretOf = (session: Uint8Array, node: string): Buffer | null => (node === NODE && SESSION.equals(session) ? SECRET : null);

function judge(verdict: Proven | Refusal | null, proof: Buffer, node: string, transcript: Buffer, hasServerkey: boolean): void {
  const body = proof.subarray(HEADER_BYTES);
  const key = keyOf(NODEKEY, hasServerkey ? SERVERKEY : null, NAMESPACEID);
  const isRight = node === NODE && endsInMac(key, 'client', transcript, body);
  if (verdict === null) return;
  if (verdict.kind === 'refuse') {
    judgeRefusal(verdict);
    expectThat(verdict.isFailedProof || isRight || verdict.code === 'E_LIMIT', 'a wrong proof is not counted');
    return;
  }
  expectThat(isRight, 'a proof without the right mac was accepted');
  if (verdict.kind === 'new') {
    expectThat(verdict.proof.session === null, 'a join began a session');
    return;
  }
  const joined = body.subarray(0, body.length - MAC_BYTES);
  expectThat(SESSION.equals(verdict.session), 'a session was joined that is not there');
  expectThat(endsInMac(joinKeyOf(key, SECRET), 'join', transcript, joined), 'a session was joined without its secret');
}

function judgeRefusal(refusal: Refusal): void {
  const frame = refuseFrame(refusal);
  Farewell.decode(frame, HEADER_BYTES, frame.length - HEADER_BYTES);
  if (refusal.code !== 'E_AUTH') return;
  const usual = "Server big-9 does not accept this node's proof: check nodename, nodekey and serverkey on both sides";
  expectThat(refusal.sentence === usual, `a refused proof is told more: ${refusal.sentence}`);
}

function run(input: Buffer): boolean {
  const [first, second] = readScript(input);
  if (first === undefined) return false;
  const hasServerkey = first.arg === 1;
  const handshake = newHandshake(hasServerkey);
  const answer = orRefused(['E_PROTOCOL'], () => handshake.onHello(Buffer.from(first.bytes), lookup));
  if (answer === null) return false;
  if (answer.kind === 'refuse') {
    judgeRefusal(answer);
    return false;
  }
  if (second === undefined) return false;
  const transcript = transcriptOf(first.bytes, answer.frame);
  const limit = second.arg === LIMITED ? { waitMs: 1_000, livingSecret: SECRET } : null;
  const verdict = orRefused(['E_PROTOCOL'], () => handshake.onProof(Buffer.from(second.bytes), secretOf, limit));
  if (limit !== null) expectThat(verdict?.kind !== 'new', 'a guess was looked at while it waits');
  judge(verdict, second.bytes, answer.hello.node, transcript, hasServerkey);
  return verdict !== null && verdict.kind !== 'refuse';
}

function makeHello(random: SeededRandom): Buffer {
  const body = Hello.encode({
    versions: some(random, 16, () => random.int(1, 3), 1),
    features: random.pick([[], ['digest'], ['probe', 'digest'], ['later'], ['data-processes']]),
    namespaceid: random.chance(0.95) ? NAMESPACEID : 1,
    node: random.chance(0.85) ? NODE : aName(random),
    instance: random.chance(0.9) ? random.int(0, 9) : INSTANCE_MAX,
    machine: 'machine',
    boot: 'boot',
    process: random.pick([null, 'process']),
    dataProcess: random.chance(0.8) ? 0 : random.int(1, DATA_PROCESSES_MAX),
    interface: 'if0',
    nonce: random.bytes(32),
  });
  return frameBytes(OP.HELLO, {}, 'message', random.chance(0.9) ? body : mutated(random, body, 2));
}

/** Makes a proof for the CHALLENGE that the server will send. The body may be damaged before the macs are computed. */
function makeProof(random: SeededRandom, hello: Buffer, hasServerkey: boolean): Buffer {
  const handshake = newHandshake(hasServerkey);
  const answer = orRefused(['E_PROTOCOL'], () => handshake.onHello(hello, lookup));
  const challenge = answer?.kind === 'challenge' ? answer.frame : Buffer.alloc(0);
  const transcript = transcriptOf(hello, challenge);
  const isJoin = random.chance(0.5);
  const session = isJoin ? (random.chance(0.8) ? SESSION : random.bytes(16)) : null;
  let body: Buffer = Proof.encode({ session, dead: some(random, 128, () => random.int(0, 9)) });
  if (random.chance(0.1)) body = mutated(random, body, 2);
  const nodekey = random.chance(0.9) ? NODEKEY : `${NODEKEY}.`;
  const key = keyOf(nodekey, hasServerkey ? SERVERKEY : null, NAMESPACEID);
  if (isJoin ? random.chance(0.95) : random.chance(0.05)) {
    const secret = random.chance(0.9) ? SECRET : random.bytes(32);
    body = withMac(joinKeyOf(key, secret), random.chance(0.95) ? 'join' : 'client', transcript, body);
  }
  body = withMac(key, random.chance(0.95) ? 'client' : 'server', transcript, body);
  return frameBytes(OP.PROOF, {}, 'message', body.subarray(0, HANDSHAKE_MESSAGE_MAX_BYTES));
}

function make(random: SeededRandom): Buffer {
  const hasServerkey = random.chance(0.3);
  const hello = makeHello(random);
  const proof = makeProof(random, hello, hasServerkey);
  const frames = [hello, proof].map((frame) => (random.chance(0.2) ? mutated(random, frame, 2) : frame));
  const limited = random.chance(0.2) ? LIMITED : 0;
  return encodeScript(frames.map((frame, index) => step(index, index === 0 ? Number(hasServerkey) : limited, frame)));
}

export const handshakeServer: FuzzTarget = {
  name: 'handshake-server',
  deep: 'the proof was accepted',
  fixedSeeds: 600,
  make,
  run,
  pieces: scriptPieces,
};
