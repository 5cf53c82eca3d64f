// The rules of the holder's side as predicates and choices over a state: M4 to M6, M11 to M13, M15, M17 to M19 and M21 of docs/PROTOCOL.md.
// No rule changes the state. The decider calls rules through the table at the end, so that the explorer in test/mirrors can replace one
// rule at a time and show that the rule is needed.

import type { MirrorConfig, MirrorMember, StoredConfig } from '../../wire/mirror-messages.ts';
import { hasMajority, highestOf, votersOf } from './quorums.ts';
import { latestOf, type MembershipState, type ReplicaState, replicaOf, type ServerState } from './state.ts';

/** M5: returns the highest configuration among all answers to the claim, including the answers of servers that are not voters. */
function chooseBase(state: MembershipState): StoredConfig | null {
  return highestOf([...state.servers.values()].map(({ claim }) => claim?.stored ?? null));
}

/** M5 and M17: true if the voters that granted the claim are a majority. */
function isQuorum(config: MirrorConfig, claimed: (voter: string) => boolean): boolean {
  return hasMajority(config, claimed);
}

function isAtMajority(config: MirrorConfig, stored: (voter: string) => boolean): boolean {
  return hasMajority(config, stored);
}

/** M18: true if the configuration at a majority names the voter of the server. Only replicas on these servers are used. */
function isServerUsable(base: MirrorConfig, server: ServerState): boolean {
  const voter = server.record?.voter ?? null;
  return voter !== null && votersOf(base).some((one) => one.voter === voter);
}

/** M5: true if the server has the data with the identity that the configuration names. */
function hasIdentity(server: ServerState, identity: string): boolean {
  return server.record?.replica?.identity === identity;
}

/** M5: true if the replica is in sync; if so, a new holder may begin with this replica. */
function isSource(base: MirrorConfig, { identity }: MirrorMember): boolean {
  return base.inSync.includes(identity);
}

/**
 * M5: true if the server has a replica in sync. These servers are claimed first, because only they know which clients may take over the
 * mirror.
 */
function isClaimedFirst(base: MirrorConfig, { serverid }: ServerState): boolean {
  return base.members.some((member) => member.serverid === serverid && base.inSync.includes(member.identity));
}

/** M6: returns the configuration with which a new holder begins. */
function ownConfig(base: MirrorConfig): MirrorConfig {
  return { ...base, clean: false };
}

/** M6: returns false, because the client serves only after its configuration is at a majority. */
function servesAtOnce(): boolean {
  return false;
}

/** M8: returns the replicas that acknowledgements wait for. */
function counted({ base, pending, sentAny, replicas }: MembershipState): Set<string> {
  const set = new Set(base?.config.inSync);
  if (pending !== null) for (const identity of sentAny) set.add(identity);
  for (const { identity, joining } of replicas.values()) if (joining) set.add(identity);
  return set;
}

/** M15: returns the replicas that may execute READs. */
function readers({ base, pending, sentAll }: MembershipState): Set<string> {
  const inSync = base?.config.inSync ?? [];
  return new Set(pending === null ? inSync : inSync.filter((identity) => sentAll.has(identity)));
}

/** M15: returns the replicas that must confirm the term for a READ, unless a majority of the voters confirms the term. */
function confirming({ base, pending, sentAny }: MembershipState): Set<string> {
  return new Set([...(base?.config.inSync ?? []), ...(pending === null ? [] : sentAny)]);
}

/** M11: true if the removal of the replica was sent and is not yet at a majority. */
function isLeaving({ base, pending, sentAny }: MembershipState, identity: string): boolean {
  if (pending === null || pending.inSync.includes(identity)) return false;
  return sentAny.has(identity) || (base?.config.inSync.includes(identity) ?? false);
}

/**
 * M11: true if the replica is in sync at a majority, claimed and usable. A removal must leave at least one replica for which this is true.
 * Without a usable replica, the removal would gain nothing.
 */
function canRemain(state: MembershipState, { identity, session, isSilent, isLost }: ReplicaState): boolean {
  const isInBase = state.base?.config.inSync.includes(identity) ?? false;
  return isInBase && state.claimed.has(identity) && session === 'open' && !isSilent && !isLost;
}

/** M12 (1): true if every other replica in sync is claimed in this term; if so, no earlier holder can write to these replicas. */
function isAllClaimed({ base, claimed }: MembershipState, identity: string): boolean {
  return (base?.config.inSync ?? []).every((one) => one === identity || claimed.has(one));
}

/** M12 (1): true if another replica in sync has a session, and can be the source of the copy. */
function hasPeer(state: MembershipState, identity: string): boolean {
  return (state.base?.config.inSync ?? []).some((one) => one !== identity && replicaOf(state, one).session === 'open');
}

/** M12 (4) and M21: true if the replica is as large as the configuration says. A returning replica joins only if this is true. */
function isLargeEnough({ base }: MembershipState, { sizeBytes }: ReplicaState): boolean {
  return base !== null && sizeBytes >= base.config.sizeBytes;
}

/**
 * M12 (6): true if the copy is flushed. The configuration that adds the replica to the replicas in sync is sent only after the copy is
 * flushed.
 */
function isFlushed({ joinFlushed }: ReplicaState): boolean {
  return joinFlushed;
}

/** M21: true if all replicas that count have grown to this size. */
function hasGrown(state: MembershipState, counting: ReadonlySet<string>, sizeBytes: number): boolean {
  return [...counting].every((identity) => replicaOf(state, identity).sizeBytes >= sizeBytes);
}

/** M3: true if all members are in sync and no configuration is pending; if so, bits may be cleared. */
function isAllInSync({ base, pending }: MembershipState): boolean {
  return base !== null && pending === null && base.config.members.every(({ identity }) => base.config.inSync.includes(identity));
}

/** M17: returns the configuration of the first step, which names both sets of voters. */
function firstStep(base: MirrorConfig, voters: MirrorConfig['voters']): MirrorConfig {
  return { ...base, nextVoters: voters };
}

/**
 * M17: returns the configuration that a removal changes while the voters are being changed. A first step that is not at a majority is
 * dropped, because its new voters may not answer. A second step that was sent stays, because a holder never sends both possible second
 * steps of one change.
 */
function whileChanging(state: MembershipState): MirrorConfig | null {
  const { base, pending } = state;
  if (pending !== null && base !== null && pending.nextVoters !== null && base.config.nextVoters === null)
    return { ...pending, voters: base.config.voters, nextVoters: null };
  return latestOf(state);
}

/** M17: returns the configuration of the second step, which names only the new set of voters. */
function secondStep(base: MirrorConfig): MirrorConfig {
  return { ...base, voters: base.nextVoters ?? base.voters, nextVoters: null };
}

export const RULES = {
  chooseBase,
  isQuorum,
  isAtMajority,
  isServerUsable,
  hasIdentity,
  isSource,
  isClaimedFirst,
  ownConfig,
  servesAtOnce,
  counted,
  readers,
  confirming,
  isLeaving,
  canRemain,
  isAllClaimed,
  hasPeer,
  isLargeEnough,
  isFlushed,
  hasGrown,
  isAllInSync,
  firstStep,
  secondStep,
  whileChanging,
};

export type MembershipRules = typeof RULES;
