// Makes the view that the data path follows, with a sentence that says what the mirror waits for. This module changes no state. Invariant:
// `waitsFor` is not null while a later attempt may help, so that the driver keeps sending `retry`.

import { votersOf } from './quorums.ts';
import { attachWaitsFor } from './attach.ts';
import { missingVoters } from './configs.ts';
import type { MirrorView, ReplicaView } from './interface.ts';
import type { MembershipRules } from './rules.ts';
import { mayJoin } from './sessions.ts';
import { latestOf, type MembershipState, nameOf, replicaOf, type ServerState } from './state.ts';

export function viewOf(state: MembershipState, rules: MembershipRules): MirrorView {
  const { base, pending, phase, number } = state;
  const isServing = phase === 'serving';
  const isHolder = phase === 'attaching' || isServing;
  return {
    term: phase === 'asking' ? 0 : number,
    isServing,
    replicas: isHolder ? replicaViews(state, rules) : [],
    voterSets:
      !isHolder || base === null
        ? []
        : base.config.nextVoters === null
          ? [base.config.voters]
          : [base.config.voters, base.config.nextVoters],
    sizeBytes: isServing ? (base?.config.sizeBytes ?? 0) : 0,
    isPending: pending !== null,
    isAllInSync: isServing && rules.isAllInSync(state),
    waitsFor: waitsFor(state, rules),
  };
}

function replicaViews(state: MembershipState, rules: MembershipRules): ReplicaView[] {
  const members = new Map([...(state.base?.config.members ?? []), ...(state.pending?.members ?? [])].map((one) => [one.identity, one]));
  const inSync = latestOf(state)?.inSync ?? [];
  const counted = rules.counted(state);
  const readers = rules.readers(state);
  const confirming = rules.confirming(state);
  return [...members.values()].map(({ identity, serverid }) => {
    const { session, joining, isSilent, foundBytes, lacksTerm } = replicaOf(state, identity);
    const isInBase = state.base?.config.inSync.includes(identity) ?? false;
    const outside = joining ? 'joining' : isInBase || state.sentAny.has(identity) ? 'leaving' : 'returning';
    return {
      identity,
      server: serverid,
      role: !inSync.includes(identity) ? outside : isInBase ? 'member' : 'joining',
      counts: counted.has(identity),
      reads: readers.has(identity) && session === 'open' && !isSilent,
      confirms: confirming.has(identity),
      session,
      mayJoin: mayJoin(state, rules, identity),
      foundBytes,
      lacksTerm,
    };
  });
}

function waitsFor(state: MembershipState, rules: MembershipRules): string | null {
  if (state.phase === 'ended') return null;
  if (state.phase === 'asking' || state.phase === 'claiming') return attachWaitsFor(state, rules);
  return waitsForMajority(state) ?? waitsForReplicas(state, rules) ?? waitsForWish(state, rules) ?? waitsForVoters(state);
}

function waitsForMajority(state: MembershipState): string | null {
  const { pending } = state;
  if (pending === null) return null;
  const missing = missingVoters(state, votersOf(pending), (server) => hasStored(state, server, pending.k));
  return `Waits for a majority of the voters: ${missing.join(' and ')}`;
}

function waitsForReplicas(state: MembershipState, rules: MembershipRules): string | null {
  const inSync = latestOf(state)?.inSync ?? [];
  for (const { identity, serverid } of latestOf(state)?.members ?? []) {
    const replica = replicaOf(state, identity);
    const { session, isSilent, sentence } = replica;
    if (session === 'open' && !isSilent) {
      if (state.base === null || inSync.includes(identity) || rules.isLargeEnough(state, replica)) continue;
      return `Waits for the replica on ${nameOf(state, serverid)}, which is not in sync: ${sentence || 'it grows to the size of the mirror'}`;
    }
    const server = state.servers.get(serverid);
    const reason =
      server?.isUp === true
        ? lossAt(state, rules, server, identity) || sentence || server.sentence || 'it is being opened'
        : 'the server does not answer';
    return `Waits for the replica on ${nameOf(state, serverid)}${inSync.includes(identity) ? '' : ', which is not in sync'}: ${reason}`;
  }
  return null;
}

/**
 * Why a server that answers cannot give the replica; null if it can, or has not told yet. The sentence of the replica may be older, and say
 * that the server was away.
 */
function lossAt({ base, seed }: MembershipState, rules: MembershipRules, server: ServerState, identity: string): string | null {
  if (base === null || !server.isKnown) return null;
  const { name, record, sentence } = server;
  if (!rules.isServerUsable(base.config, server))
    return `the server answers, and has lost its record of the mirror; rsconfig mirror replace ${seed.name}@${seed.universe} --server ${name} --with ${name} makes its replica again`;
  if (rules.hasIdentity(server, identity)) return null;
  return (record?.replica ?? null) === null
    ? sentence || 'the server answers, and does not serve it'
    : 'the server has other data under its name';
}

function waitsForWish(state: MembershipState, rules: MembershipRules): string | null {
  const { wish } = state;
  if (wish === null) return null;
  if (wish.wish.kind === 'grow') return waitsForGrowth(state, rules, wish.wish.sizeBytes);
  if (wish.wish.kind === 'remove') return 'Waits for another replica in sync, so that this one can be removed';
  const servers = wish.wish.kind === 'add' ? [wish.wish.server] : wish.wish.kind === 'voters' ? wish.wish.servers : [];
  const said = servers.flatMap((serverid) => {
    const server = state.servers.get(serverid);
    if (server?.isUp !== true) return [`${nameOf(state, serverid)} does not answer`];
    return server.sentence === '' ? [] : [`${server.name}: ${server.sentence}`];
  });
  return `Waits for the servers of the change${said.length === 0 ? '' : `: ${said.join('; ')}`}`;
}

function waitsForGrowth(state: MembershipState, rules: MembershipRules, sizeBytes: number): string {
  const counted = rules.counted(state);
  const small = (latestOf(state)?.members ?? []).filter(
    ({ identity }) => counted.has(identity) && replicaOf(state, identity).sizeBytes < sizeBytes,
  );
  const names = small.map(({ serverid }) => nameOf(state, serverid));
  return `Waits until the replica${names.length > 1 ? 's' : ''} on ${names.join(' and ') || 'another server'} ${names.length > 1 ? 'have' : 'has'} grown`;
}

function hasStored({ stored }: MembershipState, { record }: ServerState, k: number): boolean {
  const voter = record?.voter ?? null;
  return voter !== null && stored.get(voter) === k;
}

/**
 * Returns a sentence about the voters that have not stored the configuration at a majority; null if all voters have stored it. The mirror
 * serves without these voters, but may not survive the failure of a further voter.
 */
function waitsForVoters(state: MembershipState): string | null {
  const { base } = state;
  if (base === null) return null;
  const missing = missingVoters(state, votersOf(base.config), (server) => hasStored(state, server, base.config.k));
  return missing.length === 0 ? null : `Waits for a voter: ${missing.join(' and ')}`;
}
