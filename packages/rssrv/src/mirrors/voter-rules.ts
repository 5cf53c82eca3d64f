// Decides VOTEs about a mirror (docs/PROTOCOL.md Q1 to Q4). Pure: takes a record and a VOTE, and returns the next record and the outcome.
// voters.ts makes the next record durable before it answers. Invariants: the promised term never decreases. The version of the
// configuration never decreases. A configuration never has a higher term than the promised term.

import { isDeepStrictEqual } from 'node:util';
import { assert } from '@rsio/base/lib/assert';
import { TERM_STEP_MAX } from '@rsio/protocol/wire/limits';
import { type MirrorConfig, type StoredConfig, type Term, VOTED, type Voted, type VoteFound } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';

/** The record of a voter about one mirror. */
export interface VoterRecord extends VoteFound {
  /**
   * Random id of this voter, made together with the record. A record that is founded again has another id, and the server then counts
   * as another voter.
   */
  readonly voter: string;
  /** Client that founded the record. */
  readonly founder: string;
  /** The highest term that was claimed; null if no term was claimed. */
  readonly promise: Term | null;
  /** The data process of the client that has claimed the promised term; missing for the main process. */
  readonly dataProcess?: number | undefined;
  /** The stored configuration with the highest version; null if no configuration was stored. */
  readonly stored: StoredConfig | null;
}

export interface Decision {
  readonly voted: Voted;
  readonly sentence: string;
  /** The record after the decision. If nothing must be saved, this is the same object as before the decision. */
  readonly record: VoterRecord;
}

export function newRecord(found: VoteFound, voter: string, founder: string): VoterRecord {
  const { mirror, name, universe } = found;
  return { mirror, name, universe, voter, founder, promise: null, stored: null };
}

/** Checks a change of a record. Q1, Q2: what a majority has promised and stored must not be taken back. A record never becomes that of another voter. */
export function checkNext({ mirror, voter, promise, stored }: VoterRecord, next: VoterRecord): void {
  assert(next.mirror === mirror && next.voter === voter, 'A record becomes that of another voter');
  assert(promise === null || (next.promise !== null && compareTerms(next.promise, promise) >= 0), 'The promise of a voter falls');
  assert(stored === null || next.stored !== null, 'A voter loses its configuration');
  assert(stored === null || next.stored === null || !isOlder(next.stored, stored), 'The configuration of a voter falls');
  assert(
    next.stored === null || (next.promise !== null && compareTerms(next.stored.term, next.promise) <= 0),
    'A configuration is later than the promise',
  );
}

function isOlder(one: StoredConfig, other: StoredConfig): boolean {
  const order = compareTerms(one.term, other.term);
  return order < 0 || (order === 0 && one.config.k < other.config.k);
}

/** Returns true if a client may use the record (Q3). */
export function mayUse({ stored, founder }: VoterRecord, node: string): boolean {
  if (stored === null) return node === founder;
  const { clients } = stored.config;
  return clients === null || clients.includes(node);
}

/**
 * Decides a FOUND for a mirror whose record exists. Until a term is claimed, a repeated FOUND of the founder gets the same answer as
 * the first FOUND.
 */
export function foundAgain(record: VoterRecord, found: VoteFound, node: string): Decision {
  const isSame = record.name === found.name && record.universe === found.universe && record.founder === node && record.promise === null;
  return isSame ? done(record) : refused(record, VOTED.DIFFERENT, 'The server has a record under this id already');
}

/** `dataProcess`: the data process of the client that sends the claim, here and below; 0 for the main process. */
export function claim(record: VoterRecord, term: Term, takesOver: boolean, dataProcess = 0): Decision {
  const { promise } = record;
  const order = promise === null ? 1 : compareTerms(term, promise);
  if (promise !== null && order < 0) return superseded(record, promise);
  if (order === 0) return ofProcess(record, dataProcess) ?? done(record);
  const from = promise?.number ?? 0;
  if (term.number > from + TERM_STEP_MAX)
    return refused(record, VOTED.TOO_FAR, `A term may be at most ${TERM_STEP_MAX} above the promised one, which is ${from}`);
  if (!takesOver && promise !== null && promise.node !== term.node && !hasEnded(record))
    return refused(record, VOTED.HELD, `Client ${promise.node} has the mirror, by its term ${promise.number}`);
  const { dataProcess: _former, ...others } = record;
  return done({ ...others, promise: term, ...(dataProcess === 0 ? {} : { dataProcess }) });
}

/** Returns true if the client of the promised term has detached, so that another client may claim the mirror without a take-over. */
export function hasEnded({ promise, stored }: VoterRecord): boolean {
  return promise !== null && stored !== null && stored.config.clean && compareTerms(stored.term, promise) === 0;
}

export function store(record: VoterRecord, term: Term, config: MirrorConfig, dataProcess = 0): Decision {
  const { stored } = record;
  const unpromised = checkPromise(record, term, dataProcess);
  if (unpromised !== null) return unpromised;
  if (stored === null || compareTerms(stored.term, term) < 0 || stored.config.k < config.k)
    return done({ ...record, stored: { term, config } });
  if (stored.config.k > config.k)
    return refused(record, VOTED.OLDER, `Configuration ${stored.config.k} of this term is stored, so ${config.k} comes too late`);
  if (isDeepStrictEqual(stored.config, config)) return done(record);
  return refused(record, VOTED.DIFFERENT, `Another configuration ${config.k} of this term is stored`);
}

/** Confirms that this term is still promised, or refuses. */
export function confirm(record: VoterRecord, term: Term, dataProcess = 0): Decision {
  return checkPromise(record, term, dataProcess) ?? done(record);
}

/**
 * M22: returns why the client may not make a snapshot of a replica; null if the client may. The client must hold the mirror under the term
 * `number`, and the stored configuration must be of this term and have the replica in sync.
 */
export function whyNoSnapshot(record: VoterRecord | null, identity: string, { number, node }: Omit<Term, 'instance'>): string | null {
  const { promise = null, stored = null } = record ?? {};
  if (promise === null) return 'it has no record of the mirror';
  if (promise.number !== number || promise.node !== node) return `client ${promise.node} has the mirror, by its term ${promise.number}`;
  if (stored === null || compareTerms(stored.term, promise) !== 0) return `it has no configuration of term ${number} yet`;
  if (stored.config.clean) return `client ${node} has detached the mirror`;
  return stored.config.inSync.includes(identity) ? null : 'its replica is not in sync';
}

function checkPromise(record: VoterRecord, term: Term, dataProcess: number): Decision | null {
  const { promise } = record;
  const order = promise === null ? 1 : compareTerms(term, promise);
  if (order === 0) return ofProcess(record, dataProcess);
  if (promise !== null && order < 0) return superseded(record, promise);
  return refused(record, VOTED.UNCLAIMED, 'This term must be claimed here first');
}

/** Returns the refusal if another data process has claimed the promised term; null otherwise. */
function ofProcess(record: VoterRecord, dataProcess: number): Decision | null {
  const { promise, dataProcess: owner = 0 } = record;
  if (owner === dataProcess) return null;
  const process = owner === 0 ? 'The main process' : `Data process ${owner}`;
  return refused(record, VOTED.SUPERSEDED, `${process} of this client has claimed term ${promise?.number ?? 0} of the mirror`);
}

function superseded(record: VoterRecord, { number, node }: Term): Decision {
  return refused(record, VOTED.SUPERSEDED, `Client ${node} has claimed the mirror with the higher term ${number}`);
}

function refused(record: VoterRecord, voted: Voted, sentence: string): Decision {
  return { voted, sentence, record };
}

function done(record: VoterRecord): Decision {
  return { voted: VOTED.DONE, sentence: '', record };
}
