// What an exploration or a probe noticed besides what it looked for, so that nothing is dropped silently. Who shows it is left to the
// programs. Invariant: texts hold no control characters (peers' names pass the guards of the wire), and lists of findings are bounded.

import { FINDINGS_PER_KIND_MAX } from './limits.ts';

export type FindingKind =
  // Datagrams that could not be read, that are nothing of ours, or a newer peer's.
  | 'unreadable'
  | 'newer-version'
  // Answers that were not believed.
  | 'unsigned'
  | 'wrongly-signed'
  | 'other-address'
  | 'other-namespace'
  | 'not-asked-for'
  | 'contradiction'
  | 'too-many'
  // What is wrong with servers or with this machine.
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
  /** What it is about: an address, a server, an interface, a path. */
  readonly object: string;
  /** How often; the sentence is that of the first. */
  readonly count: number;
  readonly sentence: string;
  readonly remedy: string;
}

/** Findings, one for each kind and object; past FINDINGS_PER_KIND_MAX of a kind those of further objects are only counted. */
export class Findings {
  private readonly byKey = new Map<string, Finding>();
  private readonly kinds = new Map<FindingKind, number>();

  /** False: it was only counted. */
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
