// The server's side of the handshake on one connection, in the listener: frames in, frames out, no socket, no time. Limits of attempts,
// deadlines and early bytes are left to the listener. Invariants: nothing of a PROOF is decoded before its mac is right; until then
// a stranger learns neither whether a name nor whether a session exists.

import { createHash } from 'node:crypto';
import { assert } from '@rsio/common/lib/assert';
import { type ErrorCode, RsError } from '@rsio/common/lib/errors';
import { MAC_BYTES, NONCE_BYTES } from '../wire/limits.ts';
import { chooseFeatures, chooseVersion } from '../wire/features.ts';
import { OP } from '../wire/frames.ts';
import { decodeHello, decodeProof, encodeChallenge, encodeRefuse, encodeWelcome } from '../wire/message-codec.ts';
import { scanValue } from '../wire/message-scan.ts';
import type { Hello, Proof, Welcome } from '../wire/messages.ts';
import { handshakeBody, handshakeFrame, type RandomBytes } from './handshake-frames.ts';
import { baseKey, joinKey, mac, isValidMac, refuseMac, sessionSecret } from './keys.ts';

export interface ServerIdentity {
  readonly namespaceid: number;
  readonly server: string;
  readonly serverid: number;
  /** Of this life of the listener: 32 hex digits. */
  readonly instance: string;
  readonly serverkey: string | null;
  readonly versions: readonly number[];
  readonly features: readonly string[];
}

/** Key text of a node, or null when the name is unknown. */
export type NodeLookup = (node: string) => string | null;

/** Secret of a session that `node` has with this server, or null: no such session, or another node's. */
export type SecretLookup = (session: Uint8Array, node: string) => Buffer | null;

/** What is asked of a PROOF of a node of which too many were wrong. */
export interface ProofLimit {
  readonly waitMs: number;
  /** Secret of the session that the node has, or null. */
  readonly livingSecret: Buffer | null;
}

/** The frame to send before closing is `refuseFrame(refusal)`; `logReason` is for the server's log only. */
export interface Refusal {
  readonly kind: 'refuse';
  readonly code: ErrorCode;
  readonly sentence: string;
  /** Behind a right PROOF: shows the client who says it. */
  readonly mac: Buffer | null;
  readonly logReason: string;
  /** To be counted by the attempt limit. */
  readonly isFailedProof: boolean;
}

/** What REFUSE tells of it. */
export type RefusalText = Pick<Refusal, 'code' | 'sentence'> & Partial<Pick<Refusal, 'mac'>>;

export interface Challenged {
  readonly kind: 'challenge';
  readonly frame: Buffer;
  readonly hello: Hello;
}

interface ProvenBase {
  readonly hello: Hello;
  readonly proof: Proof;
  readonly version: number;
  readonly features: readonly string[];
  /** For `buildWelcome`, maybe in another process: hex. */
  readonly welcomeKey: string;
  readonly transcript: string;
  /** For `provedRefusal`: K. */
  readonly refuseKey: Buffer;
}

/** A proven client: begins a session whose secret the listener keeps for later joins, or joins the one in `proof.session`. */
export type Proven =
  | (ProvenBase & { readonly kind: 'new'; readonly sessionSecret: Buffer })
  | (ProvenBase & { readonly kind: 'join'; readonly session: Uint8Array });

interface Agreed {
  readonly hello: Hello;
  readonly version: number;
  readonly features: readonly string[];
  readonly key: Buffer;
  readonly isNodeKnown: boolean;
  readonly transcript: Buffer;
}

function refuse(code: ErrorCode, sentence: string, logReason: string, isFailedProof = false): Refusal {
  return { kind: 'refuse', code, sentence, mac: null, logReason, isFailedProof };
}

export class ServerHandshake {
  private readonly identity: ServerIdentity;
  private readonly random: RandomBytes;
  private isGreeted = false;
  private agreed: Agreed | null = null;

  constructor(identity: ServerIdentity, random: RandomBytes) {
    this.identity = identity;
    this.random = random;
  }

  /** Takes the first frame of a connection. Throws E_PROTOCOL for anything but a well-formed HELLO. */
  onHello(frame: Buffer, lookup: NodeLookup): Challenged | Refusal {
    assert(!this.isGreeted, 'Server handshake: a second HELLO was given');
    this.isGreeted = true;
    const body = handshakeBody(frame, OP.HELLO);
    const hello = decodeHello(body, 0, body.length);
    const { server, serverid, instance, namespaceid } = this.identity;
    if (hello.namespaceid !== namespaceid) {
      const sentence = `Server ${server} serves namespaceid ${namespaceid}, not ${hello.namespaceid}: correct namespaceid or the server's address`;
      return refuse('E_NAMESPACE', sentence, `node ${hello.node} asked for namespaceid ${hello.namespaceid}`);
    }
    const version = chooseVersion(hello.versions, this.identity.versions);
    if (version === null) {
      const [own, offered] = [this.identity.versions.join(', '), hello.versions.join(', ')];
      const sentence = `Server ${server} speaks protocol version ${own}, the client ${offered}: update the older of the two`;
      return refuse('E_VERSION', sentence, `node ${hello.node} speaks version ${offered} only`);
    }
    const features = chooseFeatures(hello.features, this.identity.features);
    const nonce = this.random(NONCE_BYTES);
    const challenge = handshakeFrame(OP.CHALLENGE, encodeChallenge({ version, features, server, serverid, instance, nonce }));
    const transcript = createHash('sha256').update(frame).update(challenge).digest();
    this.agreed = { hello, version, features, ...this.keyOf(lookup(hello.node)), transcript };
    return { kind: 'challenge', frame: challenge, hello };
  }

  /**
   * Takes the frame that follows CHALLENGE. Throws E_PROTOCOL; a proof that is not right is a refusal. Under a limit only a join of the session
   * that lives is looked at: nobody can guess its secret, so the wrong proofs of others need not keep it waiting.
   */
  onProof(frame: Buffer, secretOf: SecretLookup, limit: ProofLimit | null = null): Proven | Refusal {
    const agreed = this.agreed;
    assert(agreed !== null, 'Server handshake: a PROOF was given where none was asked for');
    this.agreed = null;
    const body = handshakeBody(frame, OP.PROOF);
    const macAt = Math.max(body.length - MAC_BYTES, 0);
    const proven = body.subarray(0, macAt);
    if (limit !== null && !this.isLivingJoin(agreed, proven, limit.livingSecret)) return this.refuseLimited(agreed, limit.waitMs);
    const isMacRight = isValidMac(mac(agreed.key, 'client', agreed.transcript, proven), body.subarray(macAt));
    if (!isMacRight || !agreed.isNodeKnown) {
      return this.refuseProof(agreed.isNodeKnown ? `wrong key for node ${agreed.hello.node}` : `unknown node ${agreed.hello.node}`);
    }
    const messageBytes = Math.max(scanValue(proven, 0, proven.length), 0);
    const proof = decodeProof(proven, 0, messageBytes);
    const joinMac = proven.subarray(messageBytes);
    return proof.session === null
      ? beginSession(agreed, proof, joinMac)
      : this.joinSession(agreed, proof, proof.session, joinMac, proven, secretOf);
  }

  /** K of a node; of an unknown one a key that nobody has, so that the same is done for both. */
  private keyOf(nodekey: string | null): { key: Buffer; isNodeKnown: boolean } {
    const nobodysKey = this.random(NONCE_BYTES).toString('hex');
    return { key: baseKey(nodekey ?? nobodysKey, this.identity.serverkey, this.identity.namespaceid), isNodeKnown: nodekey !== null };
  }

  // Why a join carries two macs. Its own key J needs the session's secret, which is gone with the session, so a PROOF with that mac alone
  // could not be checked any more, and E_NO_SESSION would have to be told to anybody who asks. So every PROOF ends in a mac under K, which
  // covers all before it: it is what the attempt limit counts, and after it E_NO_SESSION is said to the node itself. The mac under J then
  // tells the process that began the session from another one that has the same nodekey.
  private joinSession(
    agreed: Agreed,
    proof: Proof,
    session: Uint8Array,
    joinMac: Buffer,
    proven: Buffer,
    secretOf: SecretLookup,
  ): Proven | Refusal {
    const { node } = agreed.hello;
    const secret = secretOf(session, node);
    if (secret === null) {
      const code = 'E_NO_SESSION';
      const sentence = `Server ${this.identity.server} has no such session: begin a new one`;
      return {
        ...refuse(code, sentence, `node ${node} asked for a session that is gone`),
        mac: refuseMac(agreed.key, agreed.transcript, code),
      };
    }
    const key = joinKey(agreed.key, secret);
    const message = proven.subarray(0, proven.length - joinMac.length);
    if (!isValidMac(mac(key, 'join', agreed.transcript, message), joinMac)) {
      return this.refuseProof(`node ${node} does not know the secret of the session it wants to join`);
    }
    return { kind: 'join', session, ...provenBase(agreed, proof, key) };
  }

  /** Says nothing about K: J cannot be right by a guess of K. Without a session the same is done as with one. */
  private isLivingJoin({ key, transcript }: Agreed, proven: Buffer, livingSecret: Buffer | null): boolean {
    const messageBytes = Math.max(proven.length - MAC_BYTES, 0);
    const secret = livingSecret ?? this.random(NONCE_BYTES);
    return isValidMac(mac(joinKey(key, secret), 'join', transcript, proven.subarray(0, messageBytes)), proven.subarray(messageBytes));
  }

  /** The same words whether the name is known or not, and whatever the proof. */
  private refuseLimited({ hello }: Agreed, waitMs: number): Refusal {
    const { node } = hello;
    const seconds = Math.ceil(waitMs / 1000);
    const sentence = `Server ${this.identity.server} has had too many wrong proofs of node ${node} from this address: try again in ${seconds} s`;
    return refuse('E_LIMIT', sentence, `node ${node} has failed to prove itself too often, and waits ${seconds} s`);
  }

  /** The same words for an unknown name, a wrong key and a wrong secret. */
  private refuseProof(logReason: string): Refusal {
    const sentence = `Server ${this.identity.server} does not accept this node's proof: check nodename, nodekey and serverkey on both sides`;
    return refuse('E_AUTH', sentence, logReason, true);
  }
}

function beginSession(agreed: Agreed, proof: Proof, joinMac: Buffer): Proven {
  if (joinMac.length !== 0) throw new RsError('E_PROTOCOL', 'PROOF: a mac for joining without a session to join');
  const secret = sessionSecret(agreed.key, agreed.transcript);
  return { kind: 'new', sessionSecret: secret, ...provenBase(agreed, proof, agreed.key) };
}

function provenBase(agreed: Agreed, proof: Proof, welcomeKey: Buffer): ProvenBase {
  const { hello, version, features, transcript, key } = agreed;
  const hex = { welcomeKey: welcomeKey.toString('hex'), transcript: transcript.toString('hex') };
  return { hello, proof, version, features, ...hex, refuseKey: key };
}

/** The REFUSE frame for a refusal, or for any other reason to send a client away before WELCOME. */
export function refuseFrame({ code, sentence, mac: proof = null }: RefusalText): Buffer {
  return handshakeFrame(OP.REFUSE, encodeRefuse({ code, sentence, mac: proof }));
}

/** Of a client that has proved itself, so that it can believe it. */
export function provedRefusal({ refuseKey, transcript }: Proven, code: ErrorCode, sentence: string): RefusalText {
  return { code, sentence, mac: refuseMac(refuseKey, Buffer.from(transcript, 'hex'), code) };
}

/** The WELCOME frame. `welcomeKey` and `transcript` are those of `Proven`, as hex: any process can build it. */
export function buildWelcome(welcomeKey: string, transcript: string, welcome: Welcome): Buffer {
  const body = encodeWelcome(welcome);
  return handshakeFrame(OP.WELCOME, body, mac(Buffer.from(welcomeKey, 'hex'), 'server', Buffer.from(transcript, 'hex'), body));
}
