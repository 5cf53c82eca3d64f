// The server's side of the handshake on one connection, as a state machine that uses neither sockets nor clocks. The state machine runs in
// the listener, which limits attempts, enforces deadlines, and rejects bytes that arrive too early. Invariants: nothing in a PROOF is
// decoded before the mac of the PROOF is verified. Before a client has proved itself, it cannot find out whether a node name or a session
// exists. The client cannot find out the number of a node's keys, because the server always tries the same number of keys.

import { createHash } from 'node:crypto';
import { assert } from '@rsio/base/lib/assert';
import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { MAC_BYTES, NONCE_BYTES } from '../wire/limits.ts';
import { chooseFeatures, chooseVersion, FEATURE } from '../wire/features.ts';
import { OP } from '../wire/frames.ts';
import { Challenge, Hello, Proof, Refuse, Welcome } from '../wire/messages.ts';
import { scanValue } from '../wire/message-scan.ts';
import { handshakeBody, handshakeFrame, type RandomBytes } from './handshake-frames.ts';
import { KeyShare } from './key-share.ts';
import { baseKey, joinKey, mac, isValidMac, refuseMac, sessionSecret, tlsPsk } from './keys.ts';
import { NODE_KEYS_MAX } from './limits.ts';

export interface ServerIdentity {
  readonly namespaceid: number;
  readonly server: string;
  readonly serverid: number;
  /** 32 hexadecimal digits that identify this run of the listener. */
  readonly instance: string;
  readonly serverkey: string | null;
  readonly versions: readonly number[];
  readonly features: readonly string[];
  /** True if the server refuses clients that do not offer the feature `tls`. Default: false. */
  readonly requiresTls?: boolean;
}

/**
 * Returns the key text of a node, or null if the name is unknown. While the node's key is being changed, returns the texts of both keys, at
 * most NODE_KEYS_MAX.
 */
export type NodeLookup = (node: string) => string | readonly string[] | null;

/**
 * Returns the secret of a session between `node` and this server. Returns null if the session does not exist or belongs to another node.
 */
export type SecretLookup = (session: Uint8Array, node: string) => Buffer | null;

export interface ProofLimit {
  readonly waitMs: number;
  /** Secret of the current session of the data process that sent HELLO; null if the process has no session. */
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
  /** Hexadecimal pre-shared key of TLS; null if the connection stays plain. */
  readonly tlsPsk: string | null;
  /** K, for `provedRefusal`. */
  readonly refuseKey: Buffer;
  /** Index of the key that the client has proved, in the list that `NodeLookup` returned. */
  readonly keyIndex: number;
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
  readonly transcript: Buffer;
  readonly share: KeyShare | null;
  /** Always NODE_KEYS_MAX keys; random keys follow the keys of the node. */
  readonly keys: readonly Buffer[];
  /** Number of keys that the node has; 0 for an unknown node. */
  readonly ownKeys: number;
}

/** What both sides have agreed on after PROOF, with the key that the client has proved. */
interface AgreedKey extends Agreed {
  readonly key: Buffer;
  readonly keyIndex: number;
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
    const message = handshakeBody(frame, OP.HELLO);
    const hello = Hello.decode(message, 0, message.length);
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
    const isEncrypted = features.includes(FEATURE.TLS);
    if (this.identity.requiresTls === true && !isEncrypted) {
      const sentence = `Server ${server} accepts encrypted connections only: set tls = on in section [namespace] of rscltcfg on the client`;
      return refuse('E_TLS', sentence, `node ${hello.node} does not offer TLS`);
    }
    if (hello.dataProcess !== undefined && !hello.features.includes(FEATURE.DATA_PROCESSES))
      throw new RsError('E_PROTOCOL', 'HELLO is of a data process and does not offer data-processes');
    if (isEncrypted && hello.share === undefined) throw new RsError('E_PROTOCOL', 'HELLO offers TLS without a share');
    const nonce = this.random(NONCE_BYTES);
    const share = isEncrypted ? new KeyShare(this.random) : null;
    const body = Challenge.encode({ version, features, server, serverid, instance, nonce, share: share?.publicKey });
    const challenge = handshakeFrame(OP.CHALLENGE, body);
    const transcript = createHash('sha256').update(frame).update(challenge).digest();
    this.agreed = { hello, version, features, ...this.keysOf(lookup(hello.node)), transcript, share };
    return { kind: 'challenge', frame: challenge, hello };
  }

  /**
   * Takes the frame that follows CHALLENGE. Returns a refusal if the proof is invalid; throws E_PROTOCOL if the frame is malformed. While a
   * limit applies, the server verifies only a PROOF that joins the current session of its sender. Wrong proofs from other clients never
   * delay a join of the current session, because other clients cannot guess the session's secret.
   */
  onProof(frame: Buffer, secretOf: SecretLookup, limit: ProofLimit | null): Proven | Refusal {
    const agreed = this.agreed;
    assert(agreed !== null, 'Server handshake: a PROOF without a CHALLENGE');
    this.agreed = null;
    const body = handshakeBody(frame, OP.PROOF);
    const macAt = Math.max(body.length - MAC_BYTES, 0);
    const proven = body.subarray(0, macAt);
    if (limit !== null && !this.isLivingJoin(agreed, proven, limit.livingSecret)) return this.refuseLimited(agreed, limit.waitMs);
    const { hello, ownKeys } = agreed;
    const keyIndex = indexOfKey(agreed, proven, body.subarray(macAt));
    const key = agreed.keys[keyIndex];
    if (key === undefined || keyIndex >= ownKeys)
      return this.refuseProof(ownKeys > 0 ? `wrong key for node ${hello.node}` : `unknown node ${hello.node}`);
    const messageBytes = Math.max(scanValue(proven, 0, proven.length), 0);
    const proof = Proof.decode(proven, 0, messageBytes);
    const joinMac = proven.subarray(messageBytes);
    return proof.session === null
      ? beginSession({ ...agreed, key, keyIndex }, proof, joinMac)
      : this.joinSession({ ...agreed, key, keyIndex }, proof, proof.session, joinMac, proven, secretOf);
  }

  /** Returns K for each key of a node, padded with random keys, so that the steps do not depend on the number of keys. */
  private keysOf(nodekeys: string | readonly string[] | null): Pick<Agreed, 'keys' | 'ownKeys'> {
    const own = nodekeys === null ? [] : typeof nodekeys === 'string' ? [nodekeys] : nodekeys;
    assert(own.length <= NODE_KEYS_MAX, `Server handshake: ${own.length} keys of one node`);
    const { serverkey, namespaceid } = this.identity;
    const nobodysKey = this.random(NONCE_BYTES).toString('hex');
    const keys = Array.from({ length: NODE_KEYS_MAX }, (_, index) =>
      baseKey(own[index] ?? `${nobodysKey}${index}`, serverkey, namespaceid),
    );
    return { keys, ownKeys: own.length };
  }

  // A join carries two macs, under J and under K. The key J depends on the session's secret, which the server forgets when the session is
  // lost. If a join carried only the mac under J, the server could not verify a PROOF for a lost session, and would have to send
  // E_NO_SESSION to any peer that asks. Every PROOF therefore ends in a mac under K that covers everything before it. The server sends
  // E_NO_SESSION only to a node whose mac under K is valid. The mac under J distinguishes the process that began the session from another
  // process with the same nodekey. A failure of either mac counts towards the attempt limit.
  private joinSession(
    agreed: AgreedKey,
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
    return { kind: 'join', session, ...provenBase(agreed, proof, key, agreedSecret(agreed)) };
  }

  /**
   * True if the PROOF joins the current session of its data process. The result reveals nothing about K, because a guess of K does not yield J. If the
   * process has no session, the check uses a random secret and takes the same steps.
   */
  private isLivingJoin({ keys, transcript }: Agreed, proven: Buffer, livingSecret: Buffer | null): boolean {
    const messageBytes = Math.max(proven.length - MAC_BYTES, 0);
    const [message, given] = [proven.subarray(0, messageBytes), proven.subarray(messageBytes)];
    const secret = livingSecret ?? this.random(NONCE_BYTES);
    return keys.map((key) => isValidMac(mac(joinKey(key, secret), 'join', transcript, message), given)).includes(true);
  }

  /** Refuses a proof because of a limit. The message to the client does not reveal whether the node name is known or the proof is right. */
  private refuseLimited({ hello }: Agreed, waitMs: number): Refusal {
    const { node } = hello;
    const seconds = Math.ceil(waitMs / 1000);
    const sentence = `Server ${this.identity.server} has received too many wrong proofs of node ${node} from this address: try again in ${seconds} s`;
    return refuse('E_LIMIT', sentence, `node ${node} has failed to prove itself too often, and waits ${seconds} s`);
  }

  /** Refuses an invalid proof. The client receives the same message for an unknown name, a wrong key and a wrong secret. */
  private refuseProof(logReason: string): Refusal {
    const sentence = `Server ${this.identity.server} does not accept this node's proof: check nodename, nodekey and serverkey on both sides`;
    return refuse('E_AUTH', sentence, logReason, true);
  }
}

/**
 * Returns the index of the key under which the mac `given` is valid, or NODE_KEYS_MAX if it is valid under no key. Tries all keys, so that
 * the time does not depend on the index.
 */
function indexOfKey({ keys, transcript }: Agreed, proven: Buffer, given: Buffer): number {
  const found = keys.map((key) => isValidMac(mac(key, 'client', transcript, proven), given)).indexOf(true);
  return found < 0 ? NODE_KEYS_MAX : found;
}

function beginSession(agreed: AgreedKey, proof: Proof, joinMac: Buffer): Proven {
  if (joinMac.length !== 0) throw new RsError('E_PROTOCOL', 'PROOF: a mac for joining without a session to join');
  const shared = agreedSecret(agreed);
  const secret = sessionSecret(agreed.key, agreed.transcript, shared);
  return { kind: 'new', sessionSecret: secret, ...provenBase(agreed, proof, agreed.key, shared) };
}

/** Returns the secret computed from both shares; null without TLS. Throws E_PROTOCOL if the client's share yields no secret. */
function agreedSecret({ share, hello }: Agreed): Buffer | null {
  return share === null || hello.share === undefined ? null : share.agree(hello.share);
}

function provenBase(agreed: AgreedKey, proof: Proof, welcomeKey: Buffer, shared: Buffer | null): ProvenBase {
  const { hello, version, features, transcript, key, keyIndex } = agreed;
  const psk = shared === null ? null : tlsPsk(welcomeKey, transcript, shared);
  const hex = { welcomeKey: welcomeKey.toString('hex'), transcript: transcript.toString('hex'), tlsPsk: psk?.toString('hex') ?? null };
  return { hello, proof, version, features, ...hex, refuseKey: key, keyIndex };
}

/** Returns the REFUSE frame that rejects a client before WELCOME. */
export function refuseFrame({ code, sentence, mac: proof = null }: RefusalText): Buffer {
  return handshakeFrame(OP.REFUSE, Refuse.encode({ code, sentence, mac: proof }));
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
  const body = Welcome.encode(welcome);
  return handshakeFrame(OP.WELCOME, body, mac(Buffer.from(welcomeKey, 'hex'), 'server', Buffer.from(transcript, 'hex'), body));
}
