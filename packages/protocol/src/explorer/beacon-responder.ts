// What a server does with a datagram that reaches it: the bytes of an answer, or nothing and a count of why. Pure; sockets are the
// server's. Invariants: nobody gets more bytes than he sent; answers are bounded for each address and for all together, and so is what
// is remembered of addresses.

import { beaconKey } from '../auth/keys.ts';
import { BEACON_BURST, BEACON_BURST_PER_SOURCE, BEACON_RATE, BEACON_RATE_PER_SOURCE, BEACON_SOURCES_MAX } from '../limits.ts';
import { chooseVersion, PROTOCOL_VERSIONS } from '../wire/features.ts';
import { type BeaconDrop, decodeBeacon, encodeOffer, type Offer } from './beacon.ts';

export interface BeaconIdentity {
  /** What the server says of itself. */
  readonly offered: Omit<Offer, 'version' | 'nonce'>;
  /** `signed`: only requests with a right mac are answered. With `no` there is no responder. */
  readonly explore: 'yes' | 'signed';
  /** null: answers are not signed. */
  readonly namespacekey: string | null;
}

/** Datagrams by what became of them. `signature`: asked unsigned or wrongly signed where `explore = signed`. */
export type BeaconOutcome = 'answered' | BeaconDrop | 'not-a-request' | 'signature' | 'namespace' | 'answer-too-large' | 'rate';

interface Bucket {
  tokens: number;
  atMs: number;
}

export class BeaconResponder {
  /** How many datagrams had which outcome. */
  readonly counts: Record<BeaconOutcome, number> = {
    answered: 0,
    foreign: 0,
    truncated: 0,
    oversized: 0,
    version: 0,
    malformed: 0,
    'not-a-request': 0,
    signature: 0,
    namespace: 0,
    'answer-too-large': 0,
    rate: 0,
  };
  private identity: BeaconIdentity;
  private key: Buffer | null;
  private readonly all: Bucket = { tokens: BEACON_BURST, atMs: 0 };
  /** In order of their last request, oldest first. */
  private readonly sources = new Map<string, Bucket>();

  constructor(identity: BeaconIdentity) {
    this.identity = identity;
    this.key = keyOf(identity);
  }

  /** After a change of the configuration; what was counted stays. */
  change(identity: BeaconIdentity): void {
    this.identity = identity;
    this.key = keyOf(identity);
  }

  /** Addresses remembered. */
  get sourcesKept(): number {
    return this.sources.size;
  }

  /** The answer to a datagram that came from address `from`, or null. `nowMs`: of a clock that never goes back. */
  answerTo(datagram: Buffer, from: string, nowMs: number): Buffer | null {
    const answer = this.decide(datagram, from, nowMs);
    const outcome = typeof answer === 'string' ? answer : 'answered';
    this.counts[outcome]++;
    return typeof answer === 'string' ? null : answer;
  }

  private decide(datagram: Buffer, from: string, nowMs: number): Buffer | Exclude<BeaconOutcome, 'answered'> {
    const { explore, offered } = this.identity;
    const beacon = decodeBeacon(datagram, this.key);
    if (beacon.kind === 'drop') return beacon.reason;
    if (beacon.kind === 'offer') return 'not-a-request';
    const { versions, nonce, namespaceid, answerBytes } = beacon.message;
    if (explore === 'signed' && beacon.signature !== 'right') return 'signature';
    if (namespaceid !== null && namespaceid !== offered.namespaceid) return 'namespace';
    if (answerBytes > datagram.length) return 'answer-too-large';
    if (!this.mayAnswer(from, nowMs)) return 'rate';
    const version = chooseVersion(versions, PROTOCOL_VERSIONS) ?? Math.max(...PROTOCOL_VERSIONS);
    const answer = encodeOffer({ version, nonce, ...offered }, this.key, answerBytes);
    return answer.length > datagram.length ? 'answer-too-large' : answer;
  }

  private mayAnswer(from: string, nowMs: number): boolean {
    const source = this.sources.get(from) ?? { tokens: BEACON_BURST_PER_SOURCE, atMs: nowMs };
    this.sources.delete(from);
    this.sources.set(from, source);
    if (this.sources.size > BEACON_SOURCES_MAX) this.sources.delete(this.sources.keys().next().value ?? from);
    refill(source, nowMs, BEACON_RATE_PER_SOURCE, BEACON_BURST_PER_SOURCE);
    refill(this.all, nowMs, BEACON_RATE, BEACON_BURST);
    if (source.tokens < 1 || this.all.tokens < 1) return false;
    source.tokens--;
    this.all.tokens--;
    return true;
  }
}

function keyOf({ namespacekey }: BeaconIdentity): Buffer | null {
  return namespacekey === null ? null : beaconKey(namespacekey);
}

function refill(bucket: Bucket, nowMs: number, perSecond: number, most: number): void {
  bucket.tokens = Math.min(most, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSecond);
  bucket.atMs = nowMs;
}
