// The server's side of the handshake on one connection, as a state machine that uses neither sockets nor clocks. The state machine runs in
// the listener, which limits attempts, enforces deadlines, and rejects bytes that arrive too early. Invariants: nothing in a PROOF is
// decoded before its mac is verified. Before a client has proved itself, it cannot find out whether a node name or a session exists.

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
  /** 32 hexadecimal digits that identify this run of the listener. */
  readonly instance: string;
  readonly serverkey: string | null;
  readonly versions: readonly number[];
  readonly features: readonly string[];
}

/** Returns the key text of a node, or null if the name is unknown. */
export type NodeLookup = (node: string) => string | null;

/**
 * Returns the secret of a session between `node` and this server. Returns null if the session does not exist or belongs to another node.
 */
export type SecretLookup = (session: Uint8Array, node: string) => Buffer | null;

export interface ProofLimit {
  readonly waitMs: number;
  /** Secret of the node's current session; null if the node has none. */
  readonly livingSecret: Buffer | null;
}

/**
 * A decision to reject a client, with the reason. The caller sends `refuseFrame(refusal)` and closes the connection. `logReason` is only
 * for the server's log.
 */
export interface Refusal {
  readonly kind: 'refuse';
  readonly code: ErrorCode;
  readonly sentence: string;
  /** Mac with which the client verifies the refusal; null unless the client has sent a valid PROOF. */
  readonly mac: Buffer | null;
  readonly logReason: string;
  /** True if this refusal counts towards the attempt limit. */
  readonly isFailedProof: boolean;
}

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
  /** Hexadecimal arguments for `buildWelcome`, which another process may call. */
  readonly welcomeKey: string;
  readonly transcript: string;
  /** K, for `provedRefusal`. */
  readonly refuseKey: Buffer;
}

/**
 * A proven client either joins the session in `proof.session`, or begins a new session. The listener keeps the secret of a new session for
 * later joins.
 */
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
    assert(!this.isGreeted, 'Server handshake: a second HELLO');
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
   * Takes the frame that follows CHALLENGE. Returns a refusal if the proof is invalid; throws E_PROTOCOL if the frame is malformed. While a
   * limit applies, only a PROOF that joins the node's current session is verified. Wrong proofs from other clients never delay a join of
   * the current session, because other clients cannot guess the session's secret.
   */
  onProof(frame: Buffer, secretOf: SecretLookup, limit: ProofLimit | null = null): Proven | Refusal {
    const agreed = this.agreed;
    assert(agreed !== null, 'Server handshake: a PROOF without a CHALLENGE');
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

  /** Returns K of a node. For an unknown node, derives K from a random key, so that the steps are the same for known and unknown nodes. */
  private keyOf(nodekey: string | null): { key: Buffer; isNodeKnown: boolean } {
    const nobodysKey = this.random(NONCE_BYTES).toString('hex');
    return { key: baseKey(nodekey ?? nobodysKey, this.identity.serverkey, this.identity.namespaceid), isNodeKnown: nodekey !== null };
  }

  // A join carries two macs, under J and under K. The key J depends on the session's secret, which the server forgets when the session is
  // lost. If a join carried only the mac under J, the server could not verify a PROOF for a lost session. The server would then have to
  // send E_NO_SESSION to any peer that asks. Every PROOF therefore ends in a mac under K that covers everything before it. The server sends
  // E_NO_SESSION only to a node whose mac under K is valid. The mac under J then distinguishes the process that began the session from
  // another process with the same nodekey. A failure of either mac counts towards the attempt limit.
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

  /**
   * True if the PROOF joins the node's current session. The result reveals nothing about K, because a guess of K does not yield J. If the
   * node has no session, the check uses a random secret and takes the same steps.
   */
  private isLivingJoin({ key, transcript }: Agreed, proven: Buffer, livingSecret: Buffer | null): boolean {
    const messageBytes = Math.max(proven.length - MAC_BYTES, 0);
    const secret = livingSecret ?? this.random(NONCE_BYTES);
    return isValidMac(mac(joinKey(key, secret), 'join', transcript, proven.subarray(0, messageBytes)), proven.subarray(messageBytes));
  }

  /** The message to the client does not reveal whether the node name is known or the proof is right. */
  private refuseLimited({ hello }: Agreed, waitMs: number): Refusal {
    const { node } = hello;
    const seconds = Math.ceil(waitMs / 1000);
    const sentence = `Server ${this.identity.server} has received too many wrong proofs of node ${node} from this address: try again in ${seconds} s`;
    return refuse('E_LIMIT', sentence, `node ${node} has failed to prove itself too often, and waits ${seconds} s`);
  }

  /** The client receives the same message for an unknown name, a wrong key and a wrong secret. */
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

/** Returns the REFUSE frame that rejects a client before WELCOME. */
export function refuseFrame({ code, sentence, mac: proof = null }: RefusalText): Buffer {
  return handshakeFrame(OP.REFUSE, encodeRefuse({ code, sentence, mac: proof }));
}

/** Refuses an authenticated client, with a mac that the client can verify. */
export function provedRefusal({ refuseKey, transcript }: Proven, code: ErrorCode, sentence: string): RefusalText {
  return { code, sentence, mac: refuseMac(refuseKey, Buffer.from(transcript, 'hex'), code) };
}

/**
 * Returns the WELCOME frame. `welcomeKey` and `transcript` are the hexadecimal values from `Proven`, so that any process can build the
 * frame.
 */
export function buildWelcome(welcomeKey: string, transcript: string, welcome: Welcome): Buffer {
  const body = encodeWelcome(welcome);
  return handshakeFrame(OP.WELCOME, body, mac(Buffer.from(welcomeKey, 'hex'), 'server', Buffer.from(transcript, 'hex'), body));
}
