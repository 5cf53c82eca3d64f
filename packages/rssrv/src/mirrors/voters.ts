// Keeps the records of the mirrors for which this server votes. Executes VOTEs in order of arrival, one at a time for each mirror. The
// rules are in voter-rules.ts. Invariants: a decision is on disk before its answer is sent. If a record is missing or cannot be read, the
// answer is UNKNOWN, so that clients do not count this voter. A slow or failing save of one record delays no other mirror.

// Design.
// A voter must never forget an answer about a mirror. voter-rules.ts decides, and is pure. The class Voters makes the decisions durable:
// there is one file for each mirror, VOTEs about a mirror are executed one at a time, and a decision is saved before it is answered. A
// slow save or a damaged file therefore affects only one mirror.
//
//   VOTE --> the entry of its mirror        none: UNKNOWN, but FOUND makes one, or is REFUSED by rights and bounds (Q5)
//     | waits for the VOTEs before it, VOTES_WAITING_MAX at most
//     v
//   may the client use the record (Q3)? --no--> UNKNOWN
//     |-- record                     --------------------------------------------> answer
//     |-- confirm, place, unplace    is the term the promised one? --------------> answer, without the disk (Q4)
//     |-- claim, config              voter-rules.ts: the next record --saved-----> answer (Q2, Q4)
//     '-- found, dismiss             the file is made or removed, durably -------> answer (Q1)
//
//   absent --FOUND--> record without a promise --CLAIM of T--> promise T --CLAIM of T' above T--> promise T' ...      it never falls (Q2)
//     ^                    |                                      | CONFIG of T: stored; its version never falls
//     '-- DISMISS (needs the promised term), or the administrator -'
//   unreadable at the start: UNKNOWN to all clients, until the administrator removes it
//
// Rules of docs/PROTOCOL.md: M1, and Q1 to Q5. A record that is founded again has another random id. A voter that has lost its record
// therefore counts as another voter (M18), and not as the same voter without a promise.
//
// Never done here:
// - This class does not end holds of a replica or wait for storage of volumes: mirrors/mirror-votes.ts does that after the vote (Q7, Q8).
// - This class does not ask other servers or count a majority. Clients compare the answers of voters.
// - This class does not expire or write records because time has passed.

import { assert, counted } from '@rsio/base/lib/assert';
import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { StateFile } from '@rsio/base/files/state-file';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { type Term, type VoteAnswer, VOTED, type Voted } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { VOTER_RECORDS_MAX, VOTER_RECORDS_PER_CLIENT_MAX, VOTES_WAITING_MAX } from './limits.ts';
import type { VoteReply, VoteRequest } from './session-votes.ts';
import { mirrorOf, voterFile, voterFileName } from './voter-file.ts';
import { checkNext, claim, confirm, type Decision, foundAgain, mayUse, newRecord, store, type VoterRecord } from './voter-rules.ts';

/** Facts about replicas on this server that affect its votes. */
export interface VoterReplicas {
  /** Returns true if a volume of this server is a replica of the mirror. */
  has(mirror: string): boolean;
  /** Returns true if this server has a replica of the mirror, but does not offer the replica to the client. */
  isHidden(mirror: string, node: string): boolean;
  /** Returns why the client may not take this server's replica of the mirror from another client; null if the client may. */
  whyNoTakeOver(mirror: string, node: string, holder: string): string | null;
}

export interface VotersPorts {
  readonly replicas: VoterReplicas;
  readonly folder: string;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /**
   * Returns true if this client may found records: if the server is a witness, or if the client may put replicas on the server. Every
   * server with a replica votes. A record that already exists is used for votes even if the client may not found records.
   */
  mayFound(node: string): boolean;
}

/** The client that sends a VOTE. The handshake has proved the client's identity. */
export interface VotingClient {
  readonly node: string;
  readonly instance: number;
  /** The data process of the client that has the session; missing for the main process. */
  readonly dataProcess?: number;
}

/** A record as shown to the administrator. */
export interface VoterView {
  readonly mirror: string;
  /** The record; null if the record cannot be read, for the reason in `trouble`. */
  readonly record: VoterRecord | null;
  readonly trouble: string | null;
}

interface Entry {
  readonly mirror: string;
  /** Client whose FOUND made this entry; null if the entry was loaded from disk. */
  readonly placedFor: string | null;
  /** The record on disk; null if it is missing or unreadable. */
  record: VoterRecord | null;
  /** The record that is being saved; null if no save is running. */
  saving: VoterRecord | null;
  trouble: string | null;
  readonly file: StateFile<VoterRecord>;
  last: Promise<unknown>;
  waiting: number;
}

export class Voters {
  private readonly ports: VotersPorts;
  private readonly entries = new Map<string, Entry>();

  constructor(ports: VotersPorts) {
    this.ports = ports;
  }

  /**
   * Reads the records of all mirrors. Logs each record that cannot be read; VOTEs about the mirror of such a record are answered with
   * UNKNOWN. Throws E_SYSTEM if the folder cannot be read.
   */
  async load(): Promise<void> {
    for (const mirror of await this.mirrorsOnDisk()) {
      const entry = this.newEntry(mirror);
      this.entries.set(mirror, entry);
      try {
        entry.record = await entry.file.load();
      } catch (thrown) {
        entry.trouble = toRsError(thrown).message;
        this.ports.log.error(`This server does not vote for mirror ${mirror}: ${entry.trouble}`);
      }
    }
  }

  /** Answers a VOTE of a client. If `isWanted` returns false, the client's session is ending, and the VOTE fails. Never rejects. */
  async answer(client: VotingClient, request: VoteRequest, isWanted: () => boolean): Promise<VoteReply> {
    const entry = this.entries.get(request.mirror) ?? (request.vote === 'found' ? this.place(client, request.mirror) : 'unknown');
    if (entry === 'unknown') return answer(VOTED.UNKNOWN, UNKNOWN);
    if (typeof entry === 'string') return answer(VOTED.REFUSED, entry);
    if (entry.waiting >= VOTES_WAITING_MAX)
      return answer(VOTED.REFUSED, `More than ${VOTES_WAITING_MAX} requests about this mirror are waiting: try again`);
    return this.inTurn(entry, async () => {
      try {
        if (!isWanted()) return { voteStatus: STATUS.SHUTTING_DOWN, sentence: 'The session ended before the VOTE was executed' };
        return await this.execute(entry, client, request);
      } catch (thrown) {
        const { message } = toRsError(thrown);
        this.ports.log.error(`The record of mirror ${request.mirror} was not changed: ${message}`);
        return { voteStatus: STATUS.IO_ERROR, sentence: 'The server could not save its record of the mirror: see its log' };
      }
    });
  }

  /** Returns the record on disk; null if it is missing or unreadable. */
  recordOf(mirror: string): VoterRecord | null {
    return this.entries.get(mirror)?.record ?? null;
  }

  get views(): readonly VoterView[] {
    const kept = [...this.entries.values()].filter(({ record, trouble }) => record !== null || trouble !== null);
    return kept.map(({ mirror, record, trouble }) => ({ mirror, record, trouble })).sort((a, b) => (a.mirror < b.mirror ? -1 : 1));
  }

  /**
   * Removes a record by order of an administrator, even if the record is unreadable. Returns false if the mirror has no record here.
   * Throws E_SYSTEM.
   */
  async remove(mirror: string): Promise<boolean> {
    const entry = this.entries.get(mirror);
    if (entry === undefined) return false;
    return this.inTurn(entry, async () => {
      if (entry.record === null && entry.trouble === null) return false;
      await this.forget(entry);
      return true;
    });
  }

  private async mirrorsOnDisk(): Promise<string[]> {
    try {
      const names = await readdir(this.ports.folder);
      return names.flatMap((name) => mirrorOf(name) ?? []);
    } catch (thrown) {
      if (errnoName(thrown) === 'ENOENT') return [];
      throw new RsError('E_SYSTEM', `Folder ${this.ports.folder} with the records of mirrors cannot be read: ${toRsError(thrown).message}`);
    }
  }

  private newEntry(mirror: string, placedFor: string | null = null): Entry {
    const file = path.join(this.ports.folder, voterFileName(mirror));
    const entry: Entry = {
      mirror,
      placedFor,
      record: null,
      saving: null,
      trouble: null,
      last: Promise.resolve(),
      waiting: 0,
      file: new StateFile<VoterRecord>(file, voterFile(mirror), () => {
        if (entry.saving === null) throw new RsError('E_INTERNAL', `There is no record of mirror ${mirror} to save`);
        return entry.saving;
      }),
    };
    return entry;
  }

  /**
   * Adds an entry for a record that is being founded. If the client has no right to found the record, or a bound is reached, returns the
   * reason.
   */
  private place({ node }: VotingClient, mirror: string): Entry | string {
    if (!this.ports.mayFound(node))
      return `This server is no witness, and client ${node} may not create volumes on it: set witness = yes in section [server] of rssrvcfg, or rsadm client rights ${node} manage`;
    if (this.entries.size >= VOTER_RECORDS_MAX) return `This server votes for ${VOTER_RECORDS_MAX} mirrors already`;
    let own = 0;
    for (const { record, placedFor } of this.entries.values()) if ((record?.founder ?? placedFor) === node) own++;
    if (own >= VOTER_RECORDS_PER_CLIENT_MAX) return `Client ${node} has founded ${VOTER_RECORDS_PER_CLIENT_MAX} records already`;
    const entry = this.newEntry(mirror, node);
    this.entries.set(mirror, entry);
    return entry;
  }

  private async execute(entry: Entry, client: VotingClient, request: VoteRequest): Promise<VoteAnswer> {
    const { node, dataProcess } = client;
    const { record, trouble } = entry;
    if (trouble !== null) return answer(VOTED.UNKNOWN, 'The record of this mirror cannot be read: see the log of the server');
    if (record === null) return request.vote === 'found' ? this.found(entry, client, request) : answer(VOTED.UNKNOWN, UNKNOWN);
    if (request.vote === 'found') return answerOf(foundAgain(record, request, node));
    if (!mayUse(record, node)) return answer(VOTED.UNKNOWN, UNKNOWN);
    if (request.vote === 'record') return answer(VOTED.DONE, '', record);
    const term: Term = { number: request.number, node, instance: client.instance };
    switch (request.vote) {
      case 'claim':
        return this.change(entry, this.claimed(record, term, request.takesOver, dataProcess));
      case 'config':
        return this.change(entry, store(record, term, request.config, dataProcess));
      case 'confirm':
        return { ...answerOf(confirm(record, term, dataProcess)), stored: null };
      // mirror-votes.ts changes the replica after the vote. The record must not wait for the storage of the replica, which may not
      // answer.
      case 'place':
      case 'unplace':
        return answerOf(confirm(record, term, dataProcess));
      case 'dismiss': {
        const decision = confirm(record, term, dataProcess);
        if (decision.voted === VOTED.DONE && this.ports.replicas.has(record.mirror))
          return answer(VOTED.REFUSED, 'This server has a replica of the mirror, which must be removed first', record);
        if (decision.voted === VOTED.DONE) await this.forget(entry);
        return answerOf(decision);
      }
    }
  }

  private async found(entry: Entry, { node }: VotingClient, request: Extract<VoteRequest, { vote: 'found' }>): Promise<VoteAnswer> {
    const record = newRecord(request, randomBytes(16).toString('hex'), node);
    await this.save(entry, record);
    this.ports.log.info(`This server votes for mirror ${record.name} (${record.mirror}), which client ${node} has founded`);
    return answer(VOTED.DONE, '', record);
  }

  private claimed(record: VoterRecord, term: Term, takesOver: boolean, dataProcess: number | undefined): Decision {
    // If the client cannot use the replica of this server, the client must not get the server's vote. With this vote, the client could take
    // the mirror from another client.
    if (this.ports.replicas.isHidden(record.mirror, term.node))
      return { voted: VOTED.REFUSED, sentence: `This server does not offer its replica to client ${term.node}`, record };
    const bar = takesOver ? this.ports.replicas.whyNoTakeOver(record.mirror, term.node, record.promise?.node ?? '?') : null;
    const decision = claim(record, term, takesOver && bar === null, dataProcess);
    return decision.voted === VOTED.HELD && bar !== null ? { ...decision, sentence: `${decision.sentence}: ${bar}` } : decision;
  }

  private async change(entry: Entry, decision: Decision): Promise<VoteAnswer> {
    if (decision.record !== entry.record) await this.save(entry, decision.record);
    return answerOf(decision);
  }

  /**
   * Saves the record, and resolves when it is durable. If the save fails, the file may have the old or the new record. Either record
   * is correct then, because the client learns only that the save has failed. The next successful save replaces either record.
   */
  private async save(entry: Entry, record: VoterRecord): Promise<void> {
    if (entry.record !== null) checkNext(entry.record, record);
    assert(entry.saving === null, 'Two records of a mirror are saved at once');
    entry.saving = record;
    try {
      await entry.file.save();
      entry.record = record;
    } finally {
      entry.saving = null;
    }
  }

  /** Removes the file of a record durably. If the removal fails, the record still counts. */
  private async forget(entry: Entry): Promise<void> {
    const { folder, log } = this.ports;
    try {
      await rm(path.join(folder, voterFileName(entry.mirror)), { force: true });
      await syncDirectory(folder);
    } catch (thrown) {
      throw new RsError('E_SYSTEM', `The record of mirror ${entry.mirror} cannot be removed: ${toRsError(thrown).message}`);
    }
    assert(entry.saving === null, 'A record is removed while it is saved');
    log.info(`This server does not vote for mirror ${entry.record?.name ?? ''} (${entry.mirror}) any more`);
    entry.record = null;
    entry.trouble = null;
  }

  private async inTurn<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
    entry.waiting++;
    const result = entry.last.then(work);
    entry.last = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      entry.waiting = counted(entry.waiting - 1, 'VOTEs of a mirror');
      assert(this.entries.get(entry.mirror) === entry, 'A VOTE waits at a record that has left its list');
      if (entry.waiting === 0 && entry.record === null && entry.trouble === null) this.entries.delete(entry.mirror);
    }
  }
}

const UNKNOWN = 'The server has no record of this mirror for this client';

function answer(voted: Voted, sentence: string, record: VoterRecord | null = null): VoteAnswer {
  const { voter = null, promise = null, stored = null } = record ?? {};
  return { voted, sentence, voter, promise, stored, replica: null, keepsNotes: true };
}

function answerOf({ voted, sentence, record }: Decision): VoteAnswer {
  return answer(voted, sentence, record);
}
