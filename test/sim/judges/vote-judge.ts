// Judges the answers of the voters of one mirror (docs/PROTOCOL.md Q1 to Q4): the values in a voter's answers never fall, even over
// restarts and crashes. If a majority has stored a config, every later claim learns of it. Once a majority has promised a term, no lower
// term is confirmed. The clients report their requests and the answers. Invariant: the judge observes and changes nothing.

import type { MirrorConfig, Term, VoteAnswer } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';

/** The judge's knowledge at the time of a client's request. */
export interface VoteTicket {
  readonly promises: ReadonlyMap<string, Term>;
  readonly configs: ReadonlyMap<string, Version>;
  readonly claimed: Term | null;
  readonly configured: Version | null;
}

interface Version {
  readonly term: Term;
  readonly k: number;
}

const BREACHES_MAX = 20;

export class VoteJudge {
  readonly breaches: string[] = [];
  private readonly name: string;
  private readonly nowMs: () => number;
  /** By voter: the highest promise that it has answered. */
  private promises = new Map<string, Term>();
  private configs = new Map<string, Version>();
  /** The highest term at a majority. */
  private highest: Term | null = null;
  private configured: Version | null = null;

  constructor(name: string, nowMs: () => number) {
    this.name = name;
    this.nowMs = nowMs;
  }

  asks(): VoteTicket {
    return {
      promises: new Map(this.promises),
      configs: new Map(this.configs),
      claimed: this.highest,
      configured: this.configured,
    };
  }

  /** A voter has answered a request that was made with this ticket. */
  answered(ticket: VoteTicket, { voter, promise, stored }: Pick<VoteAnswer, 'voter' | 'promise' | 'stored'>, hasStored: boolean): void {
    if (voter === null) return;
    const before = ticket.promises.get(voter);
    if (before !== undefined && (promise === null || compareTerms(promise, before) < 0))
      this.breach(`Q2: voter ${voter} has promised ${say(before)}, and says ${say(promise)}`);
    const known = this.promises.get(voter);
    if (promise !== null && (known === undefined || compareTerms(promise, known) > 0)) this.promises.set(voter, promise);
    if (!hasStored) return;
    const version = versionOf(stored);
    const was = ticket.configs.get(voter);
    if (was !== undefined && isLower(version, was))
      this.breach(`Q4: voter ${voter} has stored ${sayVersion(was)}, and says ${sayVersion(version)}`);
    if (version !== null && isLower(this.configs.get(voter) ?? null, version)) this.configs.set(voter, version);
  }

  /** A majority has promised the term. `configs`: the versions of the config that these voters have answered. */
  claimed(ticket: VoteTicket, term: Term, configs: readonly (Version | null)[]): void {
    if (this.highest === null || compareTerms(this.highest, term) < 0) this.highest = term;
    const { configured } = ticket;
    if (configured !== null && compareTerms(configured.term, term) < 0 && configs.every((version) => isLower(version, configured)))
      this.breach(`Q4: ${say(term)} is claimed at a majority, and nobody there knows ${sayVersion(configured)}`);
    if (ticket.claimed !== null && compareTerms(ticket.claimed, term) > 0)
      this.breach(`Q2: ${say(term)} is claimed at a majority after ${say(ticket.claimed)} was`);
  }

  /** A majority has stored the config of this version. */
  stored(ticket: VoteTicket, version: Version): void {
    if (isLower(this.configured, version)) this.configured = version;
    this.isStill(ticket, version.term, `stores ${version.k}`);
  }

  confirmed(ticket: VoteTicket, term: Term): void {
    this.isStill(ticket, term, 'is confirmed');
  }

  private isStill({ claimed }: VoteTicket, term: Term, what: string): void {
    if (claimed !== null && compareTerms(claimed, term) > 0)
      this.breach(`Q2: ${say(term)} ${what} by a majority after ${say(claimed)} was claimed at a majority`);
  }

  private breach(sentence: string): void {
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(`${this.name} at ${this.nowMs().toFixed(1)} ms: ${sentence}`);
  }
}

export function versionOf(stored: { readonly term: Term; readonly config: MirrorConfig } | null): Version | null {
  return stored === null ? null : { term: stored.term, k: stored.config.k };
}

function isLower(version: Version | null, than: Version): boolean {
  return version === null || (compareTerms(version.term, than.term) || version.k - than.k) < 0;
}

function say(term: Term | null): string {
  return term === null ? 'nothing' : `term ${term.number} of ${term.node}.${term.instance}`;
}

function sayVersion(version: Version | null): string {
  return version === null ? 'no config' : `config ${version.k} of ${say(version.term)}`;
}
