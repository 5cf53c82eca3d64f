// The client's side of the handshake on one connection, as a state machine that uses neither sockets nor clocks. The caller handles
// timeouts and refusals. Invariant: `onWelcome` returns only if the server has proved that it knows K and, for a join, the session's
// secret. The server's proof is valid only for the HELLO and CHALLENGE of this connection. A step that throws ends the handshake. A client
// that insists on TLS never sends a PROOF on a connection without TLS.

import { createHash } from 'node:crypto';
import { assert } from '@rsio/base/lib/assert';
import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { FEATURE } from '../wire/features.ts';
import { MAC_BYTES, NONCE_BYTES } from '../wire/limits.ts';
import { OP } from '../wire/frames.ts';
import { Challenge, Farewell, Hello, Proof, Refuse, Welcome } from '../wire/messages.ts';
import { handshakeBody, handshakeFrame, type RandomBytes } from './handshake-frames.ts';
import { KeyShare } from './key-share.ts';
import { baseKey, joinKey, mac, isValidMac, refuseMac, sessionSecret, tlsPsk } from './keys.ts';

export interface ClientIdentity {
  readonly nodekey: string;
  /** The server's key; null if none is set for this server. */
  readonly serverkey: string | null;
  /** True if a client that offers the feature `tls` also accepts a plain connection. Default: false. */
  readonly acceptsPlain?: boolean;
  readonly hello: Omit<Hello, 'nonce' | 'share'>;
}

export interface SessionToJoin {
  readonly session: Uint8Array;
  readonly secret: Buffer;
}

/** The client's variant of `TlsKey` (link/path-transport.ts). */
export interface ClientTlsKey {
  readonly side: 'client';
  readonly identity: string;
  readonly psk: Buffer;
}

type Stage = 'new' | 'greeted' | 'challenged' | 'proved' | 'securing' | 'welcome' | 'over';

/** Codes of a REFUSE that the client reports unchanged; any other code becomes E_PROTOCOL. */
const REFUSALS: readonly ErrorCode[] = [
  'E_AUTH',
  'E_VERSION',
  'E_NAMESPACE',
  'E_NO_SESSION',
  'E_LIMIT',
  'E_REPLACED',
  'E_OTHER_MACHINE',
  'E_SHUTTING_DOWN',
  'E_DRAINING',
  'E_FENCED',
  'E_TLS',
];

/** Caches K for each identity, because a path connects with the same identity repeatedly. */
const keys = new WeakMap<ClientIdentity, Buffer>();

function keyOf(identity: ClientIdentity): Buffer {
  const key = keys.get(identity) ?? baseKey(identity.nodekey, identity.serverkey, identity.hello.namespaceid);
  keys.set(identity, key);
  return key;
}

/**
 * Returns what HELLO says. A data process offers the feature `data-processes`; CHALLENGE then says whether the server supports data
 * processes.
 */
function greetingOf(hello: ClientIdentity['hello']): ClientIdentity['hello'] {
  return (hello.dataProcess ?? 0) > 0 ? { ...hello, features: [...hello.features, FEATURE.DATA_PROCESSES] } : hello;
}

export class ClientHandshake {
  private readonly identity: ClientIdentity;
  private readonly hello: ClientIdentity['hello'];
  private readonly random: RandomBytes;
  private readonly key: Buffer;
  private readonly transcriptHash = createHash('sha256');
  private stage: Stage = 'new';
  private transcript: Buffer = Buffer.alloc(0);
  private server = '';
  private joining: SessionToJoin | null = null;
  private readonly share: KeyShare | null;
  /** Secret computed from the X25519 shares of both sides; null without TLS, and before CHALLENGE has arrived. */
  private agreed: Buffer | null = null;
  /** Key of the mac in WELCOME: J if this handshake joins a session, otherwise K. */
  private welcomeKey: Buffer;

  constructor(identity: ClientIdentity, random: RandomBytes) {
    this.identity = identity;
    this.hello = greetingOf(identity.hello);
    this.random = random;
    this.key = keyOf(identity);
    this.welcomeKey = this.key;
    this.share = identity.hello.features.includes(FEATURE.TLS) ? new KeyShare(random) : null;
  }

  start(): Buffer {
    this.leave('new');
    const frame = handshakeFrame(OP.HELLO, Hello.encode({ ...this.hello, nonce: this.random(NONCE_BYTES), share: this.share?.publicKey }));
    this.transcriptHash.update(frame);
    this.stage = 'greeted';
    return frame;
  }

  /**
   * Takes the frame that answers HELLO. The client does not check the namespaceid, because a server of another namespace has a different K
   * and cannot prove itself. Throws E_VERSION if the server chose a version that was not offered. Throws E_VERSION in a data process if the
   * server does not support data processes, because a PROOF would end the session of the main process there. Throws E_TLS if the server did
   * not choose the offered TLS, and E_PROTOCOL if the frame is otherwise invalid. If the frame is a REFUSE, throws the error in the REFUSE.
   */
  onChallenge(frame: Buffer): Challenge {
    this.leave('greeted');
    this.throwIfRefused(frame, false);
    const body = handshakeBody(frame, OP.CHALLENGE);
    const challenge = Challenge.decode(body, 0, body.length);
    const { versions, features } = this.hello;
    if (!versions.includes(challenge.version)) {
      throw new RsError(
        'E_VERSION',
        `Server ${challenge.server} chose version ${challenge.version}, but the client offered ${versions.join(', ')}`,
      );
    }
    if (!challenge.features.every((feature) => features.includes(feature))) {
      throw new RsError('E_PROTOCOL', `Server ${challenge.server} chose a feature that was not offered`);
    }
    if (features.includes(FEATURE.DATA_PROCESSES) && !challenge.features.includes(FEATURE.DATA_PROCESSES)) {
      const remedy = 'update the server, or set processes = 1 in section [defaults] of /etc/rscltcfg on this client';
      throw new RsError('E_VERSION', `Server ${challenge.server} does not support data processes of a client: ${remedy}`);
    }
    const isEncrypted = challenge.features.includes(FEATURE.TLS);
    if (this.share !== null && (isEncrypted || this.identity.acceptsPlain !== true)) {
      if (!isEncrypted) {
        const remedy = `set tls = allow in section [namespace] of its rssrvcfg, update it if it is old, or set tls = off on this client`;
        throw new RsError('E_TLS', `Server ${challenge.server} does not encrypt, and this client insists on TLS: ${remedy}`);
      }
      if (challenge.share === undefined) throw new RsError('E_PROTOCOL', `Server ${challenge.server} chose TLS and sent no share`);
      this.agreed = this.share.agree(challenge.share);
    }
    this.transcript = this.transcriptHash.update(frame).digest();
    this.server = challenge.server;
    this.stage = 'challenged';
    return challenge;
  }

  /**
   * Returns the PROOF frame, which joins the session `join` or, if `join` is null, begins a new session. `dead` lists the numbers of the
   * session's paths that the client considers dead.
   */
  proof(join: SessionToJoin | null, dead: readonly number[]): Buffer {
    this.leave('challenged');
    this.joining = join;
    let body = Proof.encode({ session: join === null ? null : join.session, dead });
    if (join !== null) {
      this.welcomeKey = joinKey(this.key, join.secret);
      body = Buffer.concat([body, mac(this.welcomeKey, 'join', this.transcript, body)]);
    }
    const frame = handshakeFrame(OP.PROOF, body, mac(this.key, 'client', this.transcript, body));
    this.stage = 'proved';
    return frame;
  }

  /** True if the next frame is not WELCOME but START_TLS. */
  get awaitsTls(): boolean {
    return this.stage === 'proved' && this.agreed !== null;
  }

  /**
   * On a connection that will be encrypted, takes the frame that answers PROOF. Returns the key with which TLS must begin. WELCOME is the
   * first encrypted frame. Throws E_PROTOCOL if the frame is invalid. If the frame is a REFUSE, throws the error in the REFUSE.
   */
  onStartTls(frame: Buffer): ClientTlsKey {
    this.leave('proved');
    const { agreed } = this;
    assert(agreed !== null, 'Client handshake: START_TLS without shares');
    this.throwIfRefused(frame, true);
    if (handshakeBody(frame, OP.START_TLS).length > 0) throw new RsError('E_PROTOCOL', 'START_TLS has a body');
    this.stage = 'securing';
    return { side: 'client', identity: this.identity.hello.node, psk: tlsPsk(this.welcomeKey, this.transcript, agreed) };
  }

  /**
   * Takes the frame that answers PROOF or, with TLS, the first encrypted frame. Throws E_AUTH if the server cannot prove itself, and
   * E_PROTOCOL if the frame is invalid. If the frame is a REFUSE, throws the error in the REFUSE.
   */
  onWelcome(frame: Buffer): Welcome {
    this.leave(this.agreed === null ? 'proved' : 'securing');
    this.throwIfRefused(frame, true);
    const body = handshakeBody(frame, OP.WELCOME);
    const messageBytes = Math.max(body.length - MAC_BYTES, 0);
    const message = body.subarray(0, messageBytes);
    // Check the mac first, so that no part of a body from an unproven server is decoded.
    if (!isValidMac(mac(this.welcomeKey, 'server', this.transcript, message), body.subarray(messageBytes))) {
      throw new RsError(
        'E_AUTH',
        `Server ${this.server} could not prove that it knows the key of node ${this.identity.hello.node}: check nodekey and serverkey on both sides`,
      );
    }
    const welcome = Welcome.decode(message, 0, message.length);
    if (this.joining !== null && Buffer.compare(welcome.session, this.joining.session) !== 0) {
      throw new RsError('E_PROTOCOL', `Server ${this.server} answered the join with another session`);
    }
    this.stage = 'welcome';
    return welcome;
  }

  /** Secret of the session that this handshake has begun; later joins need the secret. Available after `onWelcome`. */
  get sessionSecret(): Buffer {
    assert(this.stage === 'welcome' && this.joining === null, 'Only a completed first handshake has a session secret');
    return sessionSecret(this.key, this.transcript, this.agreed);
  }

  /**
   * Throws if the frame is a REFUSE or a BYE. If `proved` in the error's context is false, an attacker may have sent the frame. If a
   * session accepts no further path, the server sends BYE instead of WELCOME.
   */
  private throwIfRefused(frame: Buffer, isBehindProof: boolean): void {
    const op = frame[0];
    if (op !== OP.REFUSE && op !== OP.BYE) return;
    const body = handshakeBody(frame, op);
    const refusal = op === OP.BYE ? { ...Farewell.decode(body, 0, body.length), mac: null } : Refuse.decode(body, 0, body.length);
    const { code: peerCode, sentence, mac: given } = refusal;
    const proved = isBehindProof && given !== null && isValidMac(refuseMac(this.key, this.transcript, peerCode), given);
    const known = REFUSALS.find((code) => code === peerCode);
    const reason = sentence === '' ? peerCode : sentence;
    const message =
      known === undefined ? `Server refused the connection (${peerCode}): ${reason}` : `Server refused the connection: ${reason}`;
    throw new RsError(known ?? 'E_PROTOCOL', message, { refused: true, peerCode, proved });
  }

  /**
   * Called at the beginning of each step. Marks the handshake as over until the step has succeeded, so that no step can follow a step that
   * threw.
   */
  private leave(expected: Stage): void {
    assert(this.stage === expected, `Client handshake: step of stage ${expected} in stage ${this.stage}`);
    this.stage = 'over';
  }
}
