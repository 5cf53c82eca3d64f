// What a server does with a datagram that reaches it: the bytes of an answer, or nothing and a count of why. Pure; sockets are the
// server's. Invariants: nobody gets more bytes than he sent; answers are bounded for each address and for all together, and so is what
// is remembered of addresses.

import { discoveryKey } from '../../auth/keys.ts';
import { chooseVersion, PROTOCOL_VERSIONS } from '../../wire/features.ts';
import { AnswerBudget } from './answer-budget.ts';
import { type DiscoveryDrop, decodeDiscovery, encodeOffer, type Offer } from './discovery-datagram.ts';

export interface DiscoveryIdentity {
  /** What the server says of itself. */
  readonly offered: Omit<Offer, 'version' | 'nonce'>;
  /** `signed`: only requests with a right mac are answered. With `no` there is no responder. */
  readonly explore: 'yes' | 'signed';
  /** null: answers are not signed. */
  readonly namespacekey: string | null;
}

/** Datagrams by what became of them. `signature`: asked unsigned or wrongly signed where `explore = signed`. */
export type DiscoveryOutcome = 'answered' | DiscoveryDrop | 'not-a-request' | 'signature' | 'namespace' | 'answer-too-large' | 'rate';

export class DiscoveryResponder {
  /** How many datagrams had which outcome. */
  readonly counts: Record<DiscoveryOutcome, number> = {
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
  private identity: DiscoveryIdentity;
  private key: Buffer | null;
  private readonly budget = new AnswerBudget();
  private readonly isKnown: (address: string) => boolean;

  /** `isKnown`: somebody has proved itself from this address. */
  constructor(identity: DiscoveryIdentity, isKnown: (address: string) => boolean = () => false) {
    this.isKnown = isKnown;
    this.identity = identity;
    this.key = keyOf(identity);
  }

  /** After a change of the configuration; what was counted stays. */
  change(identity: DiscoveryIdentity): void {
    this.identity = identity;
    this.key = keyOf(identity);
  }

  /** Addresses remembered. */
  get sourcesKept(): number {
    return this.budget.size;
  }

  /** The answer to a datagram that came from address `from`, or null. `nowMs`: of a clock that never goes back. */
  answerTo(datagram: Buffer, from: string, nowMs: number): Buffer | null {
    const answer = this.decide(datagram, from, nowMs);
    const outcome = typeof answer === 'string' ? answer : 'answered';
    this.counts[outcome]++;
    return typeof answer === 'string' ? null : answer;
  }

  private decide(datagram: Buffer, from: string, nowMs: number): Buffer | Exclude<DiscoveryOutcome, 'answered'> {
    const { explore, offered } = this.identity;
    const received = decodeDiscovery(datagram, this.key);
    if (received.kind === 'drop') return received.reason;
    if (received.kind === 'offer') return 'not-a-request';
    const { versions, nonce, namespaceid, answerBytes } = received.message;
    if (explore === 'signed' && received.signature !== 'right') return 'signature';
    if (namespaceid !== null && namespaceid !== offered.namespaceid) return 'namespace';
    if (answerBytes > datagram.length) return 'answer-too-large';
    // Whoever signs rightly is known by that, and as somebody else than who only has its address.
    const isSigned = received.signature === 'right';
    const source = isSigned ? `signed ${from}` : from;
    if (!this.budget.mayAnswer(source, isSigned || this.isKnown(from), nowMs)) return 'rate';
    const version = chooseVersion(versions, PROTOCOL_VERSIONS) ?? Math.max(...PROTOCOL_VERSIONS);
    const answer = encodeOffer({ version, nonce, ...offered }, this.key, answerBytes);
    return answer.length > datagram.length ? 'answer-too-large' : answer;
  }
}

function keyOf({ namespacekey }: DiscoveryIdentity): Buffer | null {
  return namespacekey === null ? null : discoveryKey(namespacekey);
}
