// Text requests: SendTargets, which lists the targets that this initiator may have. Pure. Source: RFC 7143, appendix C. Invariant: an answer
// fits into the PDUs that the initiator takes; the rest of an answer is kept until the initiator asks for it or sends another text request.

import { parseText, printText } from './wire/text.ts';
import type { KeyValues } from './login/negotiation.ts';

export interface TargetEntry {
  readonly name: string;
  /** Such as 192.168.1.5:3260,1. */
  readonly addresses: readonly string[];
}

export interface TextAnswer {
  readonly bytes: Buffer;
  /** True if there is more; the initiator asks for the rest with the tag of this answer. */
  readonly hasMore: boolean;
}

export class TargetTexts {
  private rest: Buffer = Buffer.alloc(0);

  /** Answers a request. Returns null if the request is to be rejected. `own`: the target of the session; null if it has none. */
  answer(text: Buffer, isContinuation: boolean, targets: readonly TargetEntry[], own: string | null, maxBytes: number): TextAnswer | null {
    if (!isContinuation) {
      const keys = parseText(text);
      if (typeof keys === 'string') return null;
      this.rest = printText(answersTo(keys, targets, own));
    }
    const bytes = this.rest.subarray(0, maxBytes);
    this.rest = this.rest.subarray(bytes.length);
    return { bytes, hasMore: this.rest.length > 0 };
  }
}

function answersTo(keys: ReadonlyMap<string, string>, targets: readonly TargetEntry[], own: string | null): KeyValues {
  const answers: KeyValues = [];
  for (const [key, value] of keys) {
    if (key !== 'SendTargets') {
      answers.push([key, 'NotUnderstood']);
      continue;
    }
    // Only discovery sessions may ask for All; an empty value means the session's own target.
    const isWanted = ({ name }: TargetEntry): boolean =>
      value === 'All' ? own === null : name === (value === '' ? own : value.toLowerCase());
    if (value === 'All' && own !== null) answers.push([key, 'Reject']);
    for (const target of targets.filter(isWanted)) {
      answers.push(['TargetName', target.name]);
      for (const address of target.addresses) answers.push(['TargetAddress', address]);
    }
  }
  return answers;
}
