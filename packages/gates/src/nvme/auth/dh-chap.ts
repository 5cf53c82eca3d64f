// The gate's side of DH-HMAC-CHAP on one connection: a host proves that it has its secret, and the gate proves that it has its own if the host
// asks for it. Sans-I/O; random bytes and the scheduling of long computations are ports. Source: NVMe Base 2.0, 8.13.5. Invariants: a
// challenge is used for one reply; after a failure, nothing proves the host any more; no message and no log shows a secret.
//
//   host: Negotiate    gate: Challenge    host: Reply    gate: Success1    host, if the gate had to prove itself: Success2
//   Each message may instead be a failure: Failure1 of the gate, Failure2 of the host. A host that is proven may negotiate again.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { assert } from '@rsio/base/lib/assert';
import type { GateSecret } from '@rsio/common/config/schema/types';
import { AUTH_FAILURE, AUTH_MESSAGE, type AuthFailure } from '../wire/constants.ts';
import { challengeMessage, failureMessage, readHead, readNegotiate, readReply, type Reply, successMessage } from './auth-messages.ts';
import { type DhPair, dhBytes, newDhPair } from './dh-groups.ts';

/** The two sides, and the secrets with which they prove themselves. */
export interface AuthParties {
  readonly hostNqn: string;
  readonly host: GateSecret;
  readonly nqn: string;
  /** The gate's own secret; null if it cannot prove itself. */
  readonly own: GateSecret | null;
}

export interface AuthPorts {
  random(lengthBytes: number): Buffer;
  /** The number of the next challenge, which is never 0. */
  sequence(): number;
  /** Calls `work`, a computation in this group, in a later turn of the event loop, unless the connection ends earlier. */
  compute(group: number, work: () => void): void;
}

/** Why a host has failed: its secret is wrong, it expects another secret of the gate, or its messages are wrong. */
export type AuthFault = 'secret' | 'own secret' | 'message';

export interface AuthEvents {
  /** The host has proven itself, perhaps again. */
  proven(): void;
  /** The host has failed to prove itself, and cannot try again. */
  failed(fault: AuthFault): void;
}

interface Hash {
  readonly name: string;
  readonly bytes: number;
}

const HASHES: readonly (Hash | null)[] = [
  null,
  { name: 'sha256', bytes: 32 },
  { name: 'sha384', bytes: 48 },
  { name: 'sha512', bytes: 64 },
];
/** Groups in order of cost; the null group comes last, because it does not hide the challenges. */
const GROUP_ORDER = [1, 2, 3, 4, 5, 0] as const;
const PURPOSE = 'NVMe-over-Fabrics';
const NO_BYTES = Buffer.alloc(0);

interface Transaction {
  readonly id: number;
  readonly hashId: number;
  readonly hash: Hash;
  readonly group: number;
  readonly sequence: number;
  readonly challenge: Buffer;
  /** Null for the null group. */
  readonly pair: DhPair | null;
}

type Step = 'negotiate' | 'computing' | 'challenge' | 'reply' | 'success 1' | 'success 2' | 'failure 1' | 'failed';

export class DhChap {
  /** The message that the host can fetch; null if it is the host's turn to send one. */
  due: Buffer | null = null;
  private readonly parties: AuthParties;
  private readonly ports: AuthPorts;
  private readonly events: AuthEvents;
  private step: Step = 'negotiate';
  private transactionId = 0;
  private current: Transaction | null = null;
  /** True if the host checks the gate's response, and confirms it with Success2. */
  private hasOwnResponse = false;

  constructor(parties: AuthParties, ports: AuthPorts, events: AuthEvents) {
    this.parties = parties;
    this.ports = ports;
    this.events = events;
  }

  /** True while the host has to wait for a computation. */
  get isComputing(): boolean {
    return this.step === 'computing';
  }

  get hasFailed(): boolean {
    return this.step === 'failure 1' || this.step === 'failed';
  }

  /** A host may start the negotiation again until it has replied. */
  private get mayNegotiate(): boolean {
    return this.step === 'negotiate' || this.step === 'challenge' || this.step === 'reply';
  }

  /**
   * Takes a message of the host, and keeps it. Calls `done` when the host may send or fetch the next message. Must not be called during a
   * computation or after a failure.
   */
  take(message: Buffer, done: () => void): void {
    assert(!this.isComputing && !this.hasFailed, 'A message at the wrong time');
    const head = readHead(message);
    if (head === null) this.fail(AUTH_FAILURE.PAYLOAD);
    else if (head.kind === AUTH_MESSAGE.FAILURE_2) this.end();
    else if (head.kind === AUTH_MESSAGE.NEGOTIATE && this.mayNegotiate) return this.negotiate(head.transaction, message, done);
    else if (head.transaction !== this.transactionId) this.fail(AUTH_FAILURE.PAYLOAD);
    else if (head.kind === AUTH_MESSAGE.REPLY && this.step === 'reply') return this.reply(message, done);
    else if (head.kind === AUTH_MESSAGE.SUCCESS_2 && this.step === 'success 2') this.prove();
    else this.fail(AUTH_FAILURE.MESSAGE);
    done();
  }

  /** The host has fetched `due`. */
  fetched(): void {
    this.due = null;
    if (this.step === 'challenge') this.step = 'reply';
    else if (this.step === 'failure 1') this.step = 'failed';
    else if (this.step === 'success 1' && this.hasOwnResponse) this.step = 'success 2';
    else if (this.step === 'success 1') this.prove();
  }

  private negotiate(id: number, message: Buffer, done: () => void): void {
    this.transactionId = id;
    this.due = null;
    const offered = readNegotiate(message);
    if (typeof offered === 'number') return this.fail(offered, done);
    const hashId = offered.hashes.find((one) => HASHES[one] !== undefined && HASHES[one] !== null);
    const hash = HASHES[hashId ?? 0];
    const group = GROUP_ORDER.find((one) => offered.groups.includes(one));
    if (hashId === undefined || hash === undefined || hash === null) return this.fail(AUTH_FAILURE.HASH, done);
    if (group === undefined) return this.fail(AUTH_FAILURE.GROUP, done);
    this.step = 'computing';
    this.compute(group, () => {
      const pair = newDhPair(group);
      const [sequence, challenge] = [this.ports.sequence(), this.ports.random(hash.bytes)];
      this.current = { id, hashId, hash, group, sequence, challenge, pair };
      this.due = challengeMessage({
        transaction: id,
        hash: hashId,
        group,
        sequence,
        challenge,
        publicValue: pair?.publicValue ?? NO_BYTES,
      });
      this.step = 'challenge';
      done();
    });
  }

  private reply(message: Buffer, done: () => void): void {
    const { current } = this;
    const reply = current === null ? null : readReply(message, current.hash.bytes, dhBytes(current.group) ?? 0);
    if (current === null || reply === null) return this.fail(AUTH_FAILURE.PAYLOAD, done);
    this.step = 'computing';
    this.current = null;
    this.compute(current.group, () => {
      const shared = current.pair === null ? NO_BYTES : current.pair.secretWith(reply.publicValue);
      if (shared === null) this.fail(AUTH_FAILURE.GROUP);
      else this.judge(current, reply, shared);
      done();
    });
  }

  /** With the null group, there is nothing to compute. */
  private compute(group: number, work: () => void): void {
    if (group === 0) work();
    else this.ports.compute(group, work);
  }

  private judge(transaction: Transaction, reply: Reply, shared: Buffer): void {
    const { hostNqn, host, nqn, own } = this.parties;
    const { id, hash, sequence, challenge } = transaction;
    const sessionKey = shared.length === 0 ? null : createHash(hash.name).update(shared).digest();
    const responseOf = (secret: GateSecret, by: 'HostHost' | 'Controller', of: number, given: Buffer): Buffer => {
      const [prover, other] = by === 'HostHost' ? [hostNqn, nqn] : [nqn, hostNqn];
      const numbers = Buffer.alloc(7);
      numbers.writeUInt32LE(of, 0);
      numbers.writeUInt16LE(id, 4);
      const augmented = sessionKey === null ? given : createHmac(hash.name, sessionKey).update(given).digest();
      const hmac = createHmac(hash.name, transformed(secret, prover)).update(augmented).update(numbers);
      return hmac.update(`${by}${prover}\0${other}`).digest();
    };
    if (!timingSafeEqual(responseOf(host, 'HostHost', sequence, challenge), reply.response))
      return this.fail(AUTH_FAILURE.FAILED, undefined, 'secret');
    if (reply.challenge !== null && own === null) return this.fail(AUTH_FAILURE.FAILED, undefined, 'own secret');
    const response = reply.challenge === null || own === null ? null : responseOf(own, 'Controller', reply.sequence, reply.challenge);
    this.due = successMessage(id, hash.bytes, response);
    this.step = 'success 1';
    this.hasOwnResponse = response !== null;
  }

  private prove(): void {
    this.step = 'negotiate';
    this.events.proven();
  }

  private fail(failure: AuthFailure, done?: () => void, fault: AuthFault = 'message'): void {
    this.step = 'failure 1';
    this.current = null;
    this.due = failureMessage(this.transactionId, failure);
    this.events.failed(fault);
    done?.();
  }

  /** The host has ended the authentication. */
  private end(): void {
    const fault = this.step === 'success 2' ? 'own secret' : 'message';
    this.step = 'failed';
    this.current = null;
    this.due = null;
    this.events.failed(fault);
  }
}

/** The key with which a party answers challenges. */
function transformed({ hash, key }: GateSecret, nqn: string): Buffer {
  const found = HASHES[hash];
  return found === undefined || found === null ? key : createHmac(found.name, key).update(`${nqn}${PURPOSE}`).digest();
}
