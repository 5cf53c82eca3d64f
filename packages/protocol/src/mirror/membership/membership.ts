// Decides the membership of a mirror for one client: how the client becomes the holder, which replicas have sessions, which configuration
// the client sends, and when the mirror serves. Implements M4 to M6, M11 to M13, M15 to M19, M21, and the parts of M3 and M8 about
// configurations (docs/PROTOCOL.md). interface.ts has the types. The decider has no clock and no I/O. Liveness: each event leads to all
// orders that are possible now. A failed step is tried again after `retry` or `server-up`. The driver sends `retry` while `waitsFor` of the
// view is not null. The driver answers each vote; if no answer comes from the server, the driver answers with null.

// Design.
// The decider is a function from a sequence of events to a sequence of orders. The product, the simulator (test/sim) and the explorer
// (test/mirrors) run the same code. The rules are a table of small predicates (rules.ts), so that a test can replace one predicate and show
// that the rule is needed.
//
//   event --> note it --> attach.ts --> ( majority? configs.ts | next configuration? plan.ts )* --> sessions.ts, votes.ts --> orders
//
//   asking ----> claiming ----> attaching ----> serving ----> ended
//      ^  |         |   |           |              |
//      '------------'   |           |              |- `detached`: a clean configuration is at a majority (M13)
//         | higher term |           |              '- E_VOLUME: no replica in sync can come back
//         |             '- E_HELD   '- E_TAKEN: another client has a higher term (M16); also while it serves
//         '- E_HELD, E_LIMIT
//
//   asking -> claiming      a majority has shown its records; without take-over, no other client serves as far as a majority knows
//   claiming -> attaching   a majority has promised the term, and a replica in sync is claimed (M5)
//   attaching -> serving    a configuration of this term is at a majority (M6)
//
//   returning --copied--> joining --flushed, then a configuration with it--> member     a replica (M12); it counts from `joining` on
//       ^                                                                      |
//       '---- a configuration without it is at a majority (M11) <-- leaving <--'        silent, lost, removed, or its record is lost (M18)
//
// A configuration that was sent and is not yet at a majority is `pending`. I is the set of replicas in sync of a configuration. While a
// configuration is pending, acknowledgements wait for the replicas in the I of the last configuration at a majority and in the I of each
// later configuration (M8). Only replicas in all these sets execute READs (M15). While a configuration is pending, the client sends another
// configuration only for a removal or for the end of a change of voters.
//
// Never done here:
// - It reads no clock and draws no random number. Time comes in as the event `retry`.
// - No configuration is taken back. A configuration that replaces another one has a higher k.
// - The last usable replica in sync is not removed, because another attachment can use its data.
// - It moves no data and confirms no read: mirror/copy and mirror/io do this work, and follow the view.

import { advanceAttach } from './attach.ts';
import { settlePending } from './configs.ts';
import type { MembershipEvent, MembershipOrder, MirrorSeed, MirrorView } from './interface.ts';
import { plan } from './plan.ts';
import { type MembershipRules, RULES } from './rules.ts';
import { isUsable, join, lostSession, orderSessions } from './sessions.ts';
import { addServer, latestOf, type MembershipState, newState, replicaOf, type ServerState, serverOfMember } from './state.ts';
import { viewOf } from './view.ts';
import { orderVotes, tookVote } from './votes.ts';
import { answerWish, startWish } from './wishes.ts';

export class Membership {
  readonly #state: MembershipState;
  readonly #rules: MembershipRules;
  #view = '';

  /** `rules`: the table of rules. Only tests pass another table. */
  constructor(seed: MirrorSeed, rules: MembershipRules = RULES) {
    this.#state = newState(seed);
    this.#rules = rules;
  }

  get view(): MirrorView {
    return viewOf(this.#state, this.#rules);
  }

  /** Returns the orders that follow from the event, in sequence. After the order `end` or `detached`, the list is always empty. */
  on(event: MembershipEvent): MembershipOrder[] {
    const state = this.#state;
    if (state.phase === 'ended') return [];
    this.#note(event);
    advanceAttach(state, this.#rules);
    while (settlePending(state, this.#rules) || plan(state, this.#rules));
    if (!this.#isOver()) {
      orderSessions(state, this.#rules);
      orderVotes(state, this.#rules);
    }
    const { view } = this;
    const text = JSON.stringify(view);
    if (text !== this.#view) state.orders.push({ kind: 'view', view });
    this.#view = text;
    const last = state.orders.findIndex(({ kind }) => kind === 'end' || kind === 'detached');
    const orders = state.orders.splice(0);
    return last < 0 ? orders : orders.slice(0, last + 1);
  }

  #isOver(): boolean {
    return this.#state.phase === 'ended';
  }

  #note(event: MembershipEvent): void {
    const state = this.#state;
    switch (event.kind) {
      case 'voted': {
        const server = state.servers.get(event.server);
        if (server !== undefined) tookVote(state, server, event.order, event.answer);
        return;
      }
      case 'server-up':
        return this.#serverUp(event.server, event.name);
      case 'server-down': {
        const server = state.servers.get(event.server);
        if (server !== undefined) Object.assign(server, { isUp: false, isKnown: false });
        return;
      }
      case 'wish':
        return startWish(state, event.id, event.wish);
      case 'retry':
        return this.#retry();
      default:
        return this.#noteReplica(event);
    }
  }

  #noteReplica(event: Extract<MembershipEvent, { identity: string }>): void {
    const state = this.#state;
    const { identity } = event;
    const replica = state.replicas.get(identity);
    if (replica === undefined) return;
    switch (event.kind) {
      case 'opened':
        if (replica.session === 'none') return;
        // A silent replica stays open, so keep the size that its OPEN reported.
        if (replica.session === 'opening') replica.foundBytes = event.sizeBytes;
        Object.assign(replica, { session: 'open', isSilent: false, isBarred: false, sizeBytes: event.sizeBytes, growsTo: 0, sentence: '' });
        return;
      case 'open-failed':
        if (replica.session === 'none') return;
        return this.#openFailed(identity, event.reason === 'barred', event.sentence);
      case 'silent':
        if (this.#isInSync(identity)) Object.assign(replica, { isSilent: true, sentence: event.sentence });
        else lostSession(state, identity, event.sentence);
        return;
      case 'lost':
        if (replica.session !== 'none') lostSession(state, identity, event.sentence);
        return;
      case 'caught-up':
        return join(state, this.#rules, identity);
      case 'joined-flushed':
        if (replica.joining) replica.joinFlushed = true;
        return;
      case 'grown':
        if (replica.session === 'open') replica.sizeBytes = Math.max(replica.sizeBytes, event.sizeBytes);
        return;
      case 'grow-failed':
        Object.assign(replica, { mustWait: true, growsTo: 0, sentence: event.sentence });
        if (state.wish?.wish.kind === 'grow') answerWish(state, event.sentence);
        return;
    }
  }

  #isInSync(identity: string): boolean {
    const { base, pending } = this.#state;
    return (base?.config.inSync.includes(identity) ?? false) || (pending?.inSync.includes(identity) ?? false);
  }

  /**
   * Asks the server for its record, because the server may have lost the record, may have other data, or may have promised another term.
   */
  #openFailed(identity: string, isBarred: boolean, sentence: string): void {
    const state = this.#state;
    Object.assign(replicaOf(state, identity), { session: 'none', mustWait: true, isBarred, sentence });
    const server = serverOfMember(state, identity);
    if (server !== null) Object.assign(server, { isKnown: false, mustWait: false });
  }

  #serverUp(serverid: number, name: string): void {
    const state = this.#state;
    const server = state.servers.get(serverid) ?? addServer(state, serverid, name);
    Object.assign(server, { isUp: true, isKnown: false, mustWait: false, name });
    for (const { identity, serverid: at } of latestOf(state)?.members ?? [])
      if (at === serverid) replicaOf(state, identity).mustWait = false;
  }

  #retry(): void {
    const state = this.#state;
    for (const server of state.servers.values()) {
      server.mustWait = false;
      if (state.phase === 'asking' || server.record === null) server.isKnown = false;
      else if (this.#lacksReplica(server)) server.claimsAgain = true;
    }
    for (const replica of state.replicas.values()) {
      if (replica.mustWait) replica.growsTo = 0;
      replica.mustWait = false;
    }
  }

  /** True if the server's replica could not be used when the server was claimed. */
  #lacksReplica(server: ServerState): boolean {
    const state = this.#state;
    if (state.phase === 'claiming') return server.claim !== null && server.claim.replica === null;
    return (latestOf(state)?.members ?? []).some(
      ({ identity, serverid }) =>
        serverid === server.serverid && replicaOf(state, identity).session === 'none' && !isUsable(state, this.#rules, identity),
    );
  }
}
