// Decides which replicas have sessions (rules M11, M12 and M18), and which replicas in sync must leave. Invariant: a replica whose removal
// is sent is opened only after that removal is at a majority.

import type { MirrorMember } from '../../wire/mirror-messages.ts';
import { giveUp } from './configs.ts';
import type { MembershipRules } from './rules.ts';
import { hasPromised, latestOf, type MembershipState, replicaOf, type ServerState, serverOfMember } from './state.ts';

/** True if the server is up, has the replica and has granted the claim of this term, and the server's voter counts. */
export function isUsable(state: MembershipState, rules: MembershipRules, identity: string): boolean {
  const server = serverOfMember(state, identity);
  if (server === null || state.base === null || !server.isUp || !server.isKnown) return false;
  if (!rules.isServerUsable(state.base.config, server) || !hasPromised(state, server)) return false;
  return rules.hasIdentity(server, identity) && state.claimed.has(identity);
}

/** Returns why a replica must leave the set of replicas in sync; null if the replica may stay. */
export function reasonToLeave(state: MembershipState, rules: MembershipRules, identity: string): string | null {
  const { isLost, isSilent, sentence } = replicaOf(state, identity);
  if (isLost || isSilent) return sentence;
  const { wish } = state;
  if (wish?.wish.kind === 'remove' && wish.wish.identity === identity) return 'It is removed by command';
  const server = serverOfMember(state, identity);
  return server === null || state.base === null || !server.isKnown ? null : unfitServer(state, rules, server, identity);
}

function unfitServer(state: MembershipState, rules: MembershipRules, server: ServerState, identity: string): string | null {
  if (state.base !== null && !rules.isServerUsable(state.base.config, server)) return `${server.name} has lost its record as a voter`;
  if ((server.record?.replica ?? null) !== null && !rules.hasIdentity(server, identity))
    return `${server.name} has other data under its name`;
  return null;
}

export function orderSessions(state: MembershipState, rules: MembershipRules): void {
  if (state.phase !== 'attaching' && state.phase !== 'serving') return;
  if (state.pending?.clean === true) return;
  for (const member of latestOf(state)?.members ?? []) {
    const replica = replicaOf(state, member.identity);
    if (replica.session !== 'none' || replica.mustWait || !mayOpen(state, rules, member)) continue;
    replica.session = 'opening';
    const { identity, serverid: server, volume, universe } = member;
    state.orders.push({ kind: 'open', identity, server, volume, universe, number: state.number });
  }
}

function mayOpen(state: MembershipState, rules: MembershipRules, { identity }: MirrorMember): boolean {
  const { base, pending, wish } = state;
  if (base === null || !isUsable(state, rules, identity) || rules.isLeaving(state, identity)) return false;
  const isIn = base.config.inSync.includes(identity) || (pending?.inSync.includes(identity) ?? false);
  // The replay log of a lost session is gone, so the replica must first leave the replicas in sync, and is copied again later.
  if (isIn) return !replicaOf(state, identity).isLost;
  if (state.phase !== 'serving' || wish?.wish.kind === 'detach') return false;
  if (wish?.wish.kind === 'remove' && wish.wish.identity === identity) return false;
  if (!base.config.members.some((one) => one.identity === identity)) return false;
  return rules.isAllClaimed(state, identity) && rules.hasPeer(state, identity);
}

/** M12 (4): makes the replica count. */
export function join(state: MembershipState, rules: MembershipRules, identity: string): void {
  if (mayJoin(state, rules, identity)) replicaOf(state, identity).joining = true;
}

export function mayJoin(state: MembershipState, rules: MembershipRules, identity: string): boolean {
  const { base, pending, phase, wish } = state;
  if (phase !== 'serving' || base === null || pending !== null || wish?.wish.kind === 'detach') return false;
  const replica = replicaOf(state, identity);
  if (replica.session !== 'open' || replica.joining || base.config.inSync.includes(identity)) return false;
  if (!base.config.members.some((one) => one.identity === identity)) return false;
  return rules.hasPeer(state, identity) && rules.isLargeEnough(state, replica);
}

/** Called when the session of a replica has ended, or begins again (M12). */
export function lostSession(state: MembershipState, identity: string, sentence: string): void {
  const replica = replicaOf(state, identity);
  const isIn = [state.base?.config, state.pending].some((config) => config?.inSync.includes(identity) ?? false);
  giveUp(state, identity, sentence);
  Object.assign(replica, { isLost: isIn, mustWait: true, isSilent: false, sentence });
  const server = serverOfMember(state, identity);
  if (server !== null) server.isKnown = false;
}
