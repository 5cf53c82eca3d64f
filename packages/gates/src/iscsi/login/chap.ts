// CHAP, with which an initiator and a gate prove that they have a secret. Sans-I/O. Source: RFC 7143, 12.1.3; RFC 1994. Invariants: an
// initiator that cannot compute the response is never proven; a challenge is random and used once; the gate answers no challenge before the
// initiator is proven, and never its own challenge, so that no peer can make it compute the response to its own challenge.

import { createHash, timingSafeEqual } from 'node:crypto';
import { CHAP_CHALLENGE_BYTES, CHAP_CHALLENGE_MAX_BYTES } from '../../limits.ts';
import { parseBinary, parseNumber } from '../wire/text.ts';
import type { KeyValues } from './negotiation.ts';

interface Hash {
  readonly name: string;
  readonly bytes: number;
}

/** The hashes that gates support, by their numbers (IANA, PPP authentication algorithms). */
const HASHES: Readonly<Record<string, Hash>> = { '5': { name: 'md5', bytes: 16 }, '7': { name: 'sha256', bytes: 32 } };

/** Who proves what at an iSCSI gate. `own`: the secret of the gate; null if it has none. */
export interface ChapParties {
  readonly secret: Buffer;
  readonly targetName: string;
  readonly own: Buffer | null;
}

/**
 * `secret`: the initiator has a different secret. `own secret`: the initiator asks the gate to prove itself, but the gate has no secret, or
 * has the same secret as the initiator.
 */
export type ChapFault = 'secret' | 'own secret' | 'message' | 'hash';

export type ChapStep =
  | { readonly kind: 'answer' | 'proven'; readonly keys: KeyValues }
  | { readonly kind: 'failed'; readonly fault: ChapFault };

export class Chap {
  private readonly parties: ChapParties;
  private readonly random: (bytes: number) => Buffer;
  private hash: Hash | null = null;
  private id = 0;
  private challenge = Buffer.alloc(0);

  constructor(parties: ChapParties, random: (bytes: number) => Buffer) {
    this.parties = parties;
    this.random = random;
  }

  /** Takes the next keys of the initiator: first CHAP_A, then CHAP_N and CHAP_R. */
  step(keys: ReadonlyMap<string, string>): ChapStep {
    return this.hash === null ? this.choose(keys.get('CHAP_A')) : this.judge(this.hash, keys);
  }

  private choose(offered: string | undefined): ChapStep {
    if (offered === undefined) return { kind: 'failed', fault: 'message' };
    const chosen = offered.split(',').find((one) => Object.hasOwn(HASHES, one));
    if (chosen === undefined) return { kind: 'failed', fault: 'hash' };
    this.hash = HASHES[chosen] ?? null;
    const bytes = this.random(1 + CHAP_CHALLENGE_BYTES);
    this.id = bytes[0]!;
    this.challenge = Buffer.from(bytes.subarray(1));
    const keys: KeyValues = [
      ['CHAP_A', chosen],
      ['CHAP_I', String(this.id)],
      ['CHAP_C', `0x${this.challenge.toString('hex')}`],
    ];
    return { kind: 'answer', keys };
  }

  private judge(hash: Hash, keys: ReadonlyMap<string, string>): ChapStep {
    const { parties } = this;
    const [name, response] = [keys.get('CHAP_N'), parseBinary(keys.get('CHAP_R') ?? '', hash.bytes)];
    if (name === undefined || response === null) return { kind: 'failed', fault: 'message' };
    // Leading zeros of a hexadecimal number may be missing.
    const given = Buffer.concat([Buffer.alloc(hash.bytes - response.length), response]);
    if (!timingSafeEqual(given, respond(hash, this.id, parties.secret, this.challenge))) return { kind: 'failed', fault: 'secret' };
    const [askedId, asked] = [keys.get('CHAP_I'), keys.get('CHAP_C')];
    if (askedId === undefined && asked === undefined) return { kind: 'proven', keys: [] };
    const [id, challenge] = [parseNumber(askedId ?? '', 0, 255), parseBinary(asked ?? '', CHAP_CHALLENGE_MAX_BYTES)];
    if (id === null || challenge === null || challenge.equals(this.challenge)) return { kind: 'failed', fault: 'message' };
    const { own } = parties;
    if (own === null || own.equals(parties.secret)) return { kind: 'failed', fault: 'own secret' };
    const answer: KeyValues = [
      ['CHAP_N', parties.targetName],
      ['CHAP_R', `0x${respond(hash, id, own, challenge).toString('hex')}`],
    ];
    return { kind: 'proven', keys: answer };
  }
}

function respond({ name }: Hash, id: number, secret: Buffer, challenge: Buffer): Buffer {
  return createHash(name)
    .update(Buffer.from([id]))
    .update(secret)
    .update(challenge)
    .digest();
}
