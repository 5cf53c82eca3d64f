// The client's side of the handshake on one connection, as a state machine that uses neither sockets nor clocks. The path handles timeouts
// and reacts to refusals. Invariant: `onWelcome` returns only if the server has proved that it knows K and, for a join, the session's
// secret. The proof is valid only for the HELLO and CHALLENGE of this connection. A step that throws ends the handshake.

import { createHash } from 'node:crypto';
import { assert } from '@rsio/common/lib/assert';
import { type ErrorCode, RsError } from '@rsio/common/lib/errors';
import { MAC_BYTES, NONCE_BYTES } from '../wire/limits.ts';
import { OP } from '../wire/frames.ts';
import { decodeChallenge, decodeFarewell, decodeRefuse, decodeWelcome, encodeHello, encodeProof } from '../wire/message-codec.ts';
import type { Challenge, Hello, Welcome } from '../wire/messages.ts';
import { handshakeBody, handshakeFrame, type RandomBytes } from './handshake-frames.ts';
import { baseKey, joinKey, mac, isValidMac, refuseMac, sessionSecret } from './keys.ts';

export interface ClientIdentity {
  readonly nodekey: string;
  /** The server's key; null if none is set for this server. */
  readonly serverkey: string | null;
  readonly hello: Omit<Hello, 'nonce'>;
}

export interface SessionToJoin {
  readonly session: Uint8Array;
  readonly secret: Buffer;
}

type Stage = 'new' | 'greeted' | 'challenged' | 'proved' | 'welcome' | 'over';

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
];

/** Caches K for each identity, because a path connects with the same identity repeatedly. */
const keys = new WeakMap<ClientIdentity, Buffer>();

function keyOf(identity: ClientIdentity): Buffer {
  const key = keys.get(identity) ?? baseKey(identity.nodekey, identity.serverkey, identity.hello.namespaceid);
  keys.set(identity, key);
  return key;
}

export class ClientHandshake {
  private readonly identity: ClientIdentity;
  private readonly random: RandomBytes;
  private readonly key: Buffer;
  private readonly transcriptHash = createHash('sha256');
  private stage: Stage = 'new';
  private transcript: Buffer = Buffer.alloc(0);
  private server = '';
  private joining: SessionToJoin | null = null;
  /** Key of the mac in WELCOME: J if this handshake joins a session, otherwise K. */
  private welcomeKey: Buffer;

  constructor(identity: ClientIdentity, random: RandomBytes) {
    this.identity = identity;
    this.random = random;
    this.key = keyOf(identity);
    this.welcomeKey = this.key;
  }

  /** The HELLO frame. */
  start(): Buffer {
    this.leave('new');
    const frame = handshakeFrame(OP.HELLO, encodeHello({ ...this.identity.hello, nonce: this.random(NONCE_BYTES) }));
    this.transcriptHash.update(frame);
    this.stage = 'greeted';
    return frame;
  }

  /**
   * Takes the frame that answers HELLO. The client does not check the namespaceid, because a server of another namespace has a different K
   * and cannot prove itself. Throws E_VERSION if the server chose a version that was not offered, and E_PROTOCOL if the frame is otherwise
   * invalid. If the frame is a REFUSE, throws the error in the REFUSE.
   */
  onChallenge(frame: Buffer): Challenge {
    this.leave('greeted');
    this.throwIfRefused(frame, false);
    const body = handshakeBody(frame, OP.CHALLENGE);
    const challenge = decodeChallenge(body, 0, body.length);
    const { versions, features } = this.identity.hello;
    if (!versions.includes(challenge.version)) {
      throw new RsError(
        'E_VERSION',
        `Server ${challenge.server} chose version ${challenge.version}, but the client offered ${versions.join(', ')}`,
      );
    }
    if (!challenge.features.every((feature) => features.includes(feature))) {
      throw new RsError('E_PROTOCOL', `Server ${challenge.server} chose a feature that was not offered`);
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
    let body = encodeProof({ session: join === null ? null : join.session, dead });
    if (join !== null) {
      this.welcomeKey = joinKey(this.key, join.secret);
      body = Buffer.concat([body, mac(this.welcomeKey, 'join', this.transcript, body)]);
    }
    const frame = handshakeFrame(OP.PROOF, body, mac(this.key, 'client', this.transcript, body));
    this.stage = 'proved';
    return frame;
  }

  /**
   * Takes the frame that answers PROOF. Throws E_AUTH if the server cannot prove itself, and E_PROTOCOL if the frame is invalid. If the
   * frame is a REFUSE, throws the error in the REFUSE.
   */
  onWelcome(frame: Buffer): Welcome {
    this.leave('proved');
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
    const welcome = decodeWelcome(message, 0, message.length);
    if (this.joining !== null && Buffer.compare(welcome.session, this.joining.session) !== 0) {
      throw new RsError('E_PROTOCOL', `Server ${this.server} answered the join with another session`);
    }
    this.stage = 'welcome';
    return welcome;
  }

  /** Secret of the session that this handshake has begun; later joins need the secret. Available after `onWelcome`. */
  get sessionSecret(): Buffer {
    assert(this.stage === 'welcome' && this.joining === null, 'Only a completed first handshake has a session secret');
    return sessionSecret(this.key, this.transcript);
  }

  /**
   * Throws if the frame is a REFUSE or a BYE. If `proved` in the error's context is false, an attacker may have sent the frame. If a
   * session accepts no further path, the server sends BYE instead of WELCOME.
   */
  private throwIfRefused(frame: Buffer, isBehindProof: boolean): void {
    const op = frame[0];
    if (op !== OP.REFUSE && op !== OP.BYE) return;
    const body = handshakeBody(frame, op);
    const refusal = op === OP.BYE ? { ...decodeFarewell(body, 0, body.length), mac: null } : decodeRefuse(body, 0, body.length);
    const { code: peerCode, sentence, mac: given } = refusal;
    const proved = isBehindProof && given !== null && isValidMac(refuseMac(this.key, this.transcript, peerCode), given);
    const known = REFUSALS.find((code) => code === peerCode);
    const reason = sentence === '' ? peerCode : sentence;
    const message =
      known === undefined ? `Server refused the connection (${peerCode}): ${reason}` : `Server refused the connection: ${reason}`;
    throw new RsError(known ?? 'E_PROTOCOL', message, { refused: true, peerCode, proved });
  }

  /** Each step first marks the handshake as over, so that no step can follow a step that threw. */
  private leave(expected: Stage): void {
    assert(this.stage === expected, `Client handshake: step of stage ${expected} in stage ${this.stage}`);
    this.stage = 'over';
  }
}
