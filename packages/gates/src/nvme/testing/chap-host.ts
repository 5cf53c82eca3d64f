// The host's side of DH-HMAC-CHAP for tests: builds its messages by hand and reads those of the gate. Invariant: it shares no code with the
// gate except the primes, which OpenSSL has checked, so that gate and host cannot share a mistake.

import { createDiffieHellman, createHash, createHmac, randomBytes } from 'node:crypto';
import { primeOf } from '../auth/dh-groups.ts';
import { HOST_NQN, type Sqe } from './nvme-host.ts';

const HASH_NAMES = ['', 'sha256', 'sha384', 'sha512'];

export interface ReplyOptions {
  /** Secret that the host expects of the gate, if the gate has to prove itself. */
  readonly gateKey?: Buffer;
  readonly hostNqn?: string;
  readonly patch?: (reply: Buffer) => void;
}

/** `key`: the key as it is used, after its transformation. */
export class ChapHost {
  readonly transaction = 0x1234;
  private readonly key: Buffer;
  private readonly nqn: string;
  private expected: Buffer | null = null;

  constructor(key: Buffer, nqn: string) {
    this.key = key;
    this.nqn = nqn;
  }

  negotiate(
    hashes: readonly number[] = [1, 2, 3],
    groups: readonly number[] = [0, 1, 2, 3, 4, 5],
    patch?: (message: Buffer) => void,
  ): Buffer {
    const message = Buffer.alloc(72);
    message.writeUInt16LE(this.transaction, 4);
    message[7] = 1;
    message[8] = 1;
    message[10] = hashes.length;
    message[11] = groups.length;
    message.set(hashes, 12);
    message.set(groups, 42);
    patch?.(message);
    return message;
  }

  reply(challenge: Buffer, { gateKey, hostNqn = HOST_NQN, patch }: ReplyOptions = {}): Buffer {
    const [hashBytes, hash, group] = [challenge[6]!, HASH_NAMES[challenge[8]!]!, challenge[9]!];
    const publicBytes = challenge.readUInt16LE(10);
    const given = challenge.subarray(16, 16 + hashBytes);
    let [own, session] = [Buffer.alloc(0), Buffer.alloc(0)];
    const prime = primeOf(group);
    if (prime !== null) {
      const pair = createDiffieHellman(prime, 2);
      own = pair.generateKeys();
      own = Buffer.concat([Buffer.alloc(publicBytes - own.length), own]);
      session = createHash(hash)
        .update(pair.computeSecret(challenge.subarray(16 + hashBytes, 16 + hashBytes + publicBytes)))
        .digest();
    }
    const augment = (value: Buffer): Buffer => (session.length === 0 ? value : createHmac(hash, session).update(value).digest());
    const response = (key: Buffer, value: Buffer, sequence: Buffer, text: string): Buffer =>
      createHmac(hash, key)
        .update(Buffer.concat([augment(value), sequence, Buffer.from([0x34, 0x12, 0]), Buffer.from(text)]))
        .digest();
    const [asked, sequence] = [randomBytes(hashBytes), Buffer.from([9, 0, 0, 0])];
    this.expected = gateKey === undefined ? null : response(gateKey, asked, sequence, `Controller${this.nqn}\0${hostNqn}`);
    const head = Buffer.from([1, 2, 0, 0, 0x34, 0x12, hashBytes, 0, gateKey === undefined ? 0 : 1, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt16LE(own.length, 10);
    if (gateKey !== undefined) sequence.copy(head, 12);
    const proof = response(this.key, given, challenge.subarray(12, 16), `HostHost${hostNqn}\0${this.nqn}`);
    const message = Buffer.concat([head, proof, asked, own]);
    patch?.(message);
    return message;
  }

  /** True if the gate has accepted the host, and has proven itself if it had to. */
  isSuccess(message: Buffer): boolean {
    const isAccepted = message.readUInt16BE(0) === 0x0103 && message.readUInt16LE(4) === this.transaction;
    const { expected } = this;
    if (expected === null) return isAccepted && message[8] === 0;
    return isAccepted && message[8] === 1 && message.subarray(16, 16 + expected.length).equals(expected);
  }

  success2(): Buffer {
    return Buffer.from([1, 4, 0, 0, 0x34, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  }

  failure2(): Buffer {
    return Buffer.from([0, 0xf0, 0, 0, 0x34, 0x12, 1, 1]);
  }
}

export function authSend(cid: number, message: Buffer, patch?: (sqe: Buffer) => void): Sqe {
  return authCommand(cid, 5, { data: message }, message.length, patch);
}

export function authReceive(cid: number, bytes = 4096, patch?: (sqe: Buffer) => void): Sqe {
  return authCommand(cid, 6, { transferBytes: bytes }, bytes, patch);
}

/** An Authentication Send whose data the gate has to ask for. */
export function authSendLater(cid: number, bytes: number): Sqe {
  return authCommand(cid, 5, { transferBytes: bytes }, bytes);
}

function authCommand(cid: number, fabricsType: number, data: Partial<Sqe>, bytes: number, patch?: (sqe: Buffer) => void): Sqe {
  return {
    opcode: 0x7f,
    fabricsType,
    cid,
    ...data,
    patch: (sqe) => {
      sqe.set([1, 1, 0xe9], 41);
      sqe.writeUInt32LE(bytes, 44);
      patch?.(sqe);
    },
  };
}
