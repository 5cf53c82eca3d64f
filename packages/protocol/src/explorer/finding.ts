// A finding is an observation that an exploration or a probe reports besides its result, so that nothing is dropped silently. Invariants:
// lists of findings are bounded. Texts contain no control characters, because wire/guards.ts checks the names from peers.

import { FINDINGS_PER_KIND_MAX } from './limits.ts';

export type FindingKind =
  // Datagrams that could not be read: damaged, foreign, or in a newer peer's format.
  | 'unreadable'
  | 'newer-version'
  // Answers that were rejected.
  | 'unsigned'
  | 'wrongly-signed'
  | 'other-address'
  | 'other-namespace'
  | 'not-asked-for'
  | 'contradiction'
  | 'too-many'
  // Problems of servers or of this machine.
  | 'same-id'
  | 'no-common-version'
  | 'no-answer'
  | 'no-broadcast'
  | 'cannot-ask'
  | 'wrong-device'
  | 'not-measured'
  | 'mtu';

export interface Finding {
  readonly kind: FindingKind;
  /** Subject of the finding: an address, a server, an interface or a path. */
  readonly object: string;
  /** Number of occurrences. `sentence` describes the first. */
  readonly count: number;
  readonly sentence: string;
  readonly remedy: string;
}

/**
 * Collects findings, one for each kind and object. After FINDINGS_PER_KIND_MAX findings of a kind, findings of this kind about further
 * objects are only counted.
 */
export class Findings {
  private readonly byKey = new Map<string, Finding>();
  private readonly kinds = new Map<FindingKind, number>();

  /** Returns false if the finding was only counted. */
  add(kind: FindingKind, object: string, sentence: string, remedy: string): boolean {
    const known = this.byKey.get(`${kind} ${object}`);
    const isNew = known === undefined;
    const kept = this.kinds.get(kind) ?? 0;
    if (isNew && kept >= FINDINGS_PER_KIND_MAX) {
      this.put({ kind, object: '', count: 0, sentence: `Further findings of this kind (${kind})`, remedy });
      return false;
    }
    if (isNew) this.kinds.set(kind, kept + 1);
    this.put(known ?? { kind, object, count: 0, sentence, remedy });
    return isNew;
  }

  get list(): Finding[] {
    return [...this.byKey.values()];
  }

  private put(finding: Finding): void {
    const key = `${finding.kind} ${finding.object}`;
    this.byKey.set(key, { ...finding, count: (this.byKey.get(key)?.count ?? 0) + 1 });
  }
}
