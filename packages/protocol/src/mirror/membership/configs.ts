// Sends configurations, counts which voters have stored them, and applies them at a majority (rules M6, M11, M13 and M17). Invariants: the
// number `k` grows with every configuration of a term. `sentAny` and `sentAll` are reset only when no configuration is pending. Rules: M19.

import { assert } from '@rsio/base/lib/assert';
import type { ErrorCode } from '@rsio/base/lib/errors';
import type { MirrorConfig, MirrorVoter } from '../../wire/mirror-messages.ts';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { MembershipRules } from './rules.ts';
import { type MembershipState, nameOf, replicaOf, type ServerState, termOf } from './state.ts';

export function end(state: MembershipState, code: ErrorCode, sentence: string): void {
  if (state.phase === 'ended') return;
  state.phase = 'ended';
  state.orders.push({ kind: 'end', code, sentence });
}

/** Makes this configuration the pending configuration. votes.ts sends it to the voters. */
export function send(state: MembershipState, config: MirrorConfig): void {
  const { base, pending } = state;
  const isOwn = base !== null && compareTerms(base.term, termOf(state)) === 0;
  const k = (pending?.k ?? (isOwn ? base.config.k : 0)) + 1;
  if (pending === null) {
    state.sentAny.clear();
    state.sentAll = new Set(config.inSync);
  }
  state.pending = { ...config, k };
  for (const identity of config.inSync) state.sentAny.add(identity);
  state.sentAll = new Set(config.inSync.filter((identity) => state.sentAll.has(identity)));
}

export function giveUp(state: MembershipState, identity: string, sentence: string): void {
  const replica = replicaOf(state, identity);
  if (replica.session !== 'none') state.orders.push({ kind: 'give-up', identity, sentence });
  Object.assign(replica, { session: 'none', joining: false, joinFlushed: false, growsTo: 0 });
}

/** Makes the pending configuration the base if a majority has stored it. Returns true if the base has changed. */
export function settlePending(state: MembershipState, rules: MembershipRules): boolean {
  const { pending, stored } = state;
  if (pending === null || state.phase === 'ended') return false;
  if (!rules.isAtMajority(pending, (voter) => stored.get(voter) === pending.k)) return false;
  const before = state.base?.config.inSync ?? [];
  const isOwn = state.base !== null && compareTerms(state.base.term, termOf(state)) === 0;
  assert(!isOwn || state.base === null || pending.k > state.base.config.k, 'A configuration follows a later one of its term');
  state.base = { term: termOf(state), config: pending };
  state.pending = null;
  state.sentAny.clear();
  state.sentAll.clear();
  for (const identity of pending.inSync) Object.assign(replicaOf(state, identity), { joining: false, joinFlushed: false });
  for (const identity of before)
    if (!pending.inSync.includes(identity)) Object.assign(replicaOf(state, identity), { isSilent: false, isLost: false });
  for (const identity of [...state.replicas.keys()])
    if (!pending.members.some((one) => one.identity === identity)) {
      giveUp(state, identity, 'It is no member of the mirror any more');
      state.replicas.delete(identity);
    }
  if (state.phase === 'attaching') {
    state.phase = 'serving';
    state.orders.push({ kind: 'serve', isClean: state.wasClean });
  } else if (pending.clean) {
    state.phase = 'ended';
    state.orders.push({ kind: 'detached' });
  }
  return true;
}

/** Returns, for each voter whose server does not satisfy `has`, the server's name and the reason. */
export function missingVoters(state: MembershipState, voters: readonly MirrorVoter[], has: (server: ServerState) => boolean): string[] {
  const names = voters.flatMap(({ voter, serverid }) => {
    const server = state.servers.get(serverid);
    if (server === undefined || !server.isUp) return [`${nameOf(state, serverid)} does not answer`];
    if (server.isKnown && server.record?.voter !== voter) return [`${server.name} has lost its record`];
    return has(server) ? [] : [`${server.name} has not answered yet`];
  });
  return [...new Set(names)];
}
