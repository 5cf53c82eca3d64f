// Answers discovery datagrams: returns the bytes of an answer, or counts the reason for returning none. Invariants: an answer is never
// larger than its request. The rate of answers is limited for each address and in total. The memory for addresses is bounded.

import { discoveryKey } from '../auth/keys.ts';
import { chooseVersion, PROTOCOL_VERSIONS } from '../wire/features.ts';
import { AnswerBudget } from './answer-budget.ts';
import { type DiscoveryDrop, decodeDiscovery, encodeOffer, type Offer } from './discovery-datagram.ts';

export interface DiscoveryIdentity {
  /** The server's own description. */
  readonly offered: Omit<Offer, 'version' | 'nonce'>;
  /**
   * If `explore` is `signed`, only requests with a valid mac are answered. A server whose configuration has `explore = no` has no
   * responder.
   */
  readonly explore: 'yes' | 'signed';
  /** Key that signs the answers; null if answers are unsigned. */
  readonly namespacekey: string | null;
}

/** Outcomes of datagrams. `signature`: the server requires signed requests, and the request has no valid mac. */
export type DiscoveryOutcome = 'answered' | DiscoveryDrop | 'not-a-request' | 'signature' | 'namespace' | 'answer-too-large' | 'rate';

export class DiscoveryResponder {
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

  /** `isKnown` returns true if a client has authenticated from the given address. */
  constructor(identity: DiscoveryIdentity, isKnown: (address: string) => boolean) {
    this.isKnown = isKnown;
    this.identity = identity;
    this.key = keyOf(identity);
  }

  /** Applies a changed configuration. The counters continue. */
  change(identity: DiscoveryIdentity): void {
    this.identity = identity;
    this.key = keyOf(identity);
  }

  get sourcesKept(): number {
    return this.budget.size;
  }

  /** Returns the answer to a datagram from address `from`, or null if the datagram gets no answer. `nowMs` comes from a monotonic clock. */
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
    // A correct signature makes a source known. Unsigned requests from the same address cannot use up the budget for signed requests.
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
