// The rules of the holder's side as predicates and choices over a state: M4 to M6, M11 to M13, M15, M17 to M19 and M21 of
// docs/PROTOCOL.md. They change nothing. The explorer in test/mirrors replaces one of them at a time and shows that it is needed, so
// the decider calls them through the table at the end.

import type { MirrorConfig, MirrorMember, StoredConfig } from '../../wire/mirror/messages.ts';
import { hasMajority, highestOf, votersOf } from './quorums.ts';
import { latestOf, type MembershipState, type ReplicaState, replicaOf, type ServerState } from './state.ts';

/** M5: the highest configuration among all answers to the claim, those of servers that are no voters included. */
function chooseBase(state: MembershipState): StoredConfig | null {
  return highestOf([...state.servers.values()].map(({ claim }) => claim?.stored ?? null));
}

/** M5 and M17: the answers to the claim are a majority. */
function isQuorum(config: MirrorConfig, claimed: (voter: string) => boolean): boolean {
  return hasMajority(config, claimed);
}

function isAtMajority(config: MirrorConfig, stored: (voter: string) => boolean): boolean {
  return hasMajority(config, stored);
}

/** M18: the voter of the server is named by the configuration at a majority. Only such a server has a replica that is used. */
function isServerUsable(base: MirrorConfig, server: ServerState): boolean {
  const voter = server.record?.voter ?? null;
  return voter !== null && votersOf(base).some((one) => one.voter === voter);
}

/** M5: the server has the data that the configuration names. */
function hasIdentity(server: ServerState, identity: string): boolean {
  return server.record?.replica?.identity === identity;
}

/** M5: a replica of I from which a new holder may begin. */
function isSource(base: MirrorConfig, { identity }: MirrorMember): boolean {
  return base.inSync.includes(identity);
}

/** M5: the servers that are claimed before a replica in sync has answered. Only they know who may take the mirror over. */
function isClaimedFirst(base: MirrorConfig, { serverid }: ServerState): boolean {
  return base.members.some((member) => member.serverid === serverid && base.inSync.includes(member.identity));
}

/** M6: the configuration with which a new holder begins. */
function ownConfig(base: MirrorConfig): MirrorConfig {
  return { ...base, clean: false };
}

/** M6: nothing is served before it is at a majority. */
function servesAtOnce(): boolean {
  return false;
}

/** M8: those that acknowledgements wait for. */
function counted({ base, pending, sentAny, replicas }: MembershipState): Set<string> {
  const set = new Set(base?.config.inSync);
  if (pending !== null) for (const identity of sentAny) set.add(identity);
  for (const { identity, joining } of replicas.values()) if (joining) set.add(identity);
  return set;
}

/** M15: those that may execute reads. */
function readers({ base, pending, sentAll }: MembershipState): Set<string> {
  const inSync = base?.config.inSync ?? [];
  return new Set(pending === null ? inSync : inSync.filter((identity) => sentAll.has(identity)));
}

/** M15: those that confirm the term for a read, if not a majority of the voters does. */
function confirming({ base, pending, sentAny }: MembershipState): Set<string> {
  return new Set([...(base?.config.inSync ?? []), ...(pending === null ? [] : sentAny)]);
}

/** M11: its removal is sent, and not at a majority. */
function isLeaving({ base, pending, sentAny }: MembershipState, identity: string): boolean {
  if (pending === null || pending.inSync.includes(identity)) return false;
  return sentAny.has(identity) || (base?.config.inSync.includes(identity) ?? false);
}

/** M11: what remains has one of I at a majority that is claimed. It has a session, too, or else the removal would win nothing. */
function canRemain(state: MembershipState, { identity, session, isSilent, isLost }: ReplicaState): boolean {
  const isInBase = state.base?.config.inSync.includes(identity) ?? false;
  return isInBase && state.claimed.has(identity) && session === 'open' && !isSilent && !isLost;
}

/** M12 (1): every other replica of I is claimed in this term, so that no holder before can write to it any more. */
function isAllClaimed({ base, claimed }: MembershipState, identity: string): boolean {
  return (base?.config.inSync ?? []).every((one) => one === identity || claimed.has(one));
}

/** M12 (1): another replica of I has a session, so that there is something to copy from. */
function hasPeer(state: MembershipState, identity: string): boolean {
  return (state.base?.config.inSync ?? []).some((one) => one !== identity && replicaOf(state, one).session === 'open');
}

/** M12 (4) and M21: a replica that returns is as large as the configuration says before it joins. */
function isLargeEnough({ base }: MembershipState, { sizeBytes }: ReplicaState): boolean {
  return base !== null && sizeBytes >= base.config.sizeBytes;
}

/** M12 (6): the copy is flushed before the configuration with it is sent. */
function isFlushed({ joinFlushed }: ReplicaState): boolean {
  return joinFlushed;
}

/** M21: all that count have grown. */
function hasGrown(state: MembershipState, counting: ReadonlySet<string>, sizeBytes: number): boolean {
  return [...counting].every((identity) => replicaOf(state, identity).sizeBytes >= sizeBytes);
}

/** M3: bits may be cleared. */
function isAllInSync({ base, pending }: MembershipState): boolean {
  return base !== null && pending === null && base.config.members.every(({ identity }) => base.config.inSync.includes(identity));
}

/** M17: the first step names both sets. */
function firstStep(base: MirrorConfig, voters: MirrorConfig['voters']): MirrorConfig {
  return { ...base, nextVoters: voters };
}

/**
 * M17: what a removal is based on. A first step that is not at a majority is abandoned, because its new voters may not answer. A second step
 * that was sent stays: a holder never sends both second steps of a change.
 */
function whileChanging(state: MembershipState): MirrorConfig | null {
  const { base, pending } = state;
  if (pending !== null && base !== null && pending.nextVoters !== null && base.config.nextVoters === null)
    return { ...pending, voters: base.config.voters, nextVoters: null };
  return latestOf(state);
}

/** M17: the second step names the new set alone. */
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
