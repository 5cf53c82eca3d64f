// Servers of the explorer: each has the record of a voter, to which production rules apply, and may have a replica with one or two blocks.
// A value is the number of a write. Records, maps and sizes are durable. After a crash of the machine, a block may have any value that it
// has had since its last flush.

import { type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import type { VoteRequest } from '@rsio/protocol/mirror/membership/interface';
import { claim, confirm, type Decision, newRecord, store, type VoterRecord } from '@rsio/rssrv/mirrors/voter-rules';

/** Content of a new or emptied replica, which equals no written value. */
export const GARBAGE = 30;
export const MIRROR = 'f'.repeat(32);
const FOUND = { mirror: MIRROR, name: 'db', universe: 0 };

export interface Replica {
  identity: string;
  /** Number of the incarnation. The number grows when unflushed values may be lost. */
  life: number;
  sizeBytes: number;
  map: boolean;
  readonly cache: number[];
  readonly disk: number[];
  /** For each block: a mask of the values that it may have after a crash of the machine. */
  readonly dirty: number[];
}

export class Server {
  readonly serverid: number;
  readonly blocks: number;
  /** Client that may not take the mirror over. A server with a replica refuses the claim of this client. */
  barred: string | null = null;
  record: VoterRecord | null = null;
  replica: Replica | null = null;
  #records = 0;
  #identities = 0;

  constructor(serverid: number, blocks: number) {
    this.serverid = serverid;
    this.blocks = blocks;
  }

  found(founder: string): VoterRecord {
    this.#records += 1;
    this.record = newRecord(FOUND, `${this.serverid}${this.#records}`.padStart(32, 'a'), founder);
    return this.record;
  }

  place(value: number): Replica {
    this.#identities += 1;
    const fill = (): number[] => Array.from({ length: this.blocks }, () => value);
    const life = (this.replica?.life ?? 0) + 1;
    const identity = `${this.serverid}${this.#identities}`.padStart(32, 'd');
    this.replica = { identity, life, sizeBytes: 1, map: value === GARBAGE, cache: fill(), disk: fill(), dirty: fill().map(() => 0) };
    return this.replica;
  }

  vote(node: string, instance: number, request: VoteRequest): VoteAnswer {
    if (this.record === null && request.kind === 'found') this.found(node);
    const { record } = this;
    if (record === null) return { voted: VOTED.UNKNOWN, sentence: 'No record', voter: null, promise: null, stored: null, replica: null };
    const isBarred = request.kind === 'claim' && node === this.barred && this.replica !== null && record.promise?.node !== node;
    const decision = isBarred ? { voted: VOTED.HELD, sentence: 'Barred', record } : decide(record, node, instance, request);
    this.record = decision.record;
    if (decision.voted === VOTED.DONE && request.kind === 'place') this.place(GARBAGE);
    if (decision.voted === VOTED.DONE && request.kind === 'unplace') this.replica = null;
    const { voter, promise, stored } = decision.record;
    const shows = request.kind === 'record' || (decision.voted === VOTED.DONE && (request.kind === 'claim' || request.kind === 'place'));
    const replica = this.replica === null || !shows ? null : { ...this.replica, incarnation: '', volume: 'db', universe: 0 };
    return { voted: decision.voted, sentence: decision.sentence, voter, promise, stored, replica };
  }

  write(block: number, value: number): void {
    const { replica } = this;
    if (replica === null) return;
    replica.cache[block] = value;
    replica.dirty[block] = (replica.dirty[block] ?? 0) | (1 << value);
    replica.map = true;
  }

  flush(): void {
    const { replica } = this;
    if (replica === null) return;
    for (const [block, value] of replica.cache.entries()) {
      replica.disk[block] = value;
      replica.dirty[block] = 0;
    }
  }
}

function decide(record: VoterRecord, node: string, instance: number, request: VoteRequest): Decision {
  const term = { number: 'number' in request ? request.number : 0, node, instance };
  if (request.kind === 'claim') return claim(record, term, request.takesOver);
  if (request.kind === 'config') return store(record, term, request.config);
  if (request.kind === 'place' || request.kind === 'unplace') return confirm(record, term);
  return { voted: VOTED.DONE, sentence: '', record };
}

/**
 * The name of a vote in traces. A configuration is named by the numbers of its servers: the voters, the second set of voters, the replicas
 * in sync, and all members.
 */
export function nameOfVote(request: VoteRequest): string {
  if (request.kind !== 'config') return request.kind;
  const { voters, nextVoters, inSync, members, clean } = request.config;
  const of = (all: readonly { readonly serverid: number }[]): string => all.map(({ serverid }) => serverid).join('');
  const next = nextVoters === null ? '' : `>${of(nextVoters)}`;
  const those = of(members.filter(({ identity }) => inSync.includes(identity)));
  return `config V${of(voters)}${next} I${those} M${of(members)}${clean ? ' clean' : ''}`;
}
