// Executes the wish of an administrator (rules M13, M17, M19 and M21): its checks, votes and configurations. Invariant: a wish is done only
// when the configuration at a majority shows its result. A removal that is sent while the wish is in progress therefore cannot undo the
// wish.

import { MIRROR_MEMBERS_MAX } from '../../wire/limits.ts';
import { type MirrorConfig, type MirrorVoter, type VoteAnswer, VOTED } from '../../wire/mirror-messages.ts';
import { giveUp, send } from './configs.ts';
import type { MirrorWish, VoteRequest } from './interface.ts';
import { votersOf } from './quorums.ts';
import type { MembershipRules } from './rules.ts';
import { hasPromised, latestOf, type MembershipState, nameOf, replicaOf, type ServerState } from './state.ts';

export function answerWish(state: MembershipState, sentence: string): void {
  if (state.wish === null) return;
  state.orders.push({ kind: 'wished', id: state.wish.id, sentence });
  state.wish = null;
}

export function startWish(state: MembershipState, id: number, wish: MirrorWish): void {
  const refusal = refusalOf(state, wish);
  if (refusal !== null) {
    state.orders.push({ kind: 'wished', id, sentence: refusal });
    return;
  }
  const { base, pending } = state;
  const isFirstStep = pending !== null && pending.nextVoters !== null && base?.config.nextVoters === null;
  const isEnd = wish.kind === 'keep-voters' || wish.kind === 'stop';
  const endsChange = isEnd || wish.kind === 'detach';
  if (endsChange) answerWish(state, isEnd ? 'The change was given up by command' : 'The mirror is being detached');
  if (endsChange && isFirstStep && base !== null) send(state, { ...pending, voters: base.config.voters, nextVoters: null });
  if (isEnd) state.orders.push({ kind: 'wished', id, sentence: '' });
  else {
    state.wish = { id, wish, placed: null, hasUnplaced: false };
    askAgain(state, wish);
  }
}

/** Asks the servers for their records again, because records may have been made or removed since the last answers. */
function askAgain({ servers }: MembershipState, wish: MirrorWish): void {
  if (wish.kind !== 'voters') return;
  for (const serverid of wish.servers) Object.assign(servers.get(serverid) ?? {}, { isKnown: false, mustWait: false });
}

function refusalOf(state: MembershipState, wish: MirrorWish): string | null {
  const { base, phase } = state;
  if (phase !== 'serving' || base === null) return `Mirror ${state.seed.name} is not attached`;
  if (wish.kind === 'keep-voters') return refusalToKeep(state);
  if (wish.kind === 'stop') return refusalToStop(state);
  if (wish.kind === 'detach') return state.wish?.wish.kind === 'detach' ? 'The mirror is being detached already' : null;
  if (state.wish !== null) return 'Another change of the mirror is under way';
  return refusalOfChange(state, base.config, wish);
}

function refusalToKeep({ wish, base, pending }: MembershipState): string | null {
  if (wish?.wish.kind !== 'voters') return 'No change of voters is under way';
  const isDecided =
    base?.config.nextVoters !== null || (pending !== null && pending.nextVoters === null && isChanged(base.config, pending));
  return isDecided ? 'A majority has agreed to the change of voters, so it is completed' : null;
}

function refusalToStop(state: MembershipState): string | null {
  const { wish, base, pending } = state;
  if (wish === null) return 'No change is under way';
  const sent = 'The change was sent to the voters, so it is completed when most of them answer';
  switch (wish.wish.kind) {
    case 'voters':
      return refusalToKeep(state);
    case 'add':
      return isMember(pending, wish.placed) || isMember(base?.config ?? null, wish.placed) ? sent : null;
    case 'remove':
      return isMember(latestOf(state), wish.wish.identity) ? null : sent;
    case 'grow':
      return (latestOf(state)?.sizeBytes ?? 0) >= wish.wish.sizeBytes ? sent : null;
    case 'note':
      return sent;
    default:
      return 'The mirror is being detached';
  }
}

function isMember(config: MirrorConfig | null, identity: string | null): boolean {
  return config?.members.some((one) => one.identity === identity) ?? false;
}

function isChanged(from: MirrorConfig, { voters }: MirrorConfig): boolean {
  return !isSameSet(from.voters, voters);
}

function refusalOfChange(
  state: MembershipState,
  config: MirrorConfig,
  wish: Exclude<MirrorWish, { kind: 'detach' | 'keep-voters' | 'stop' }>,
): string | null {
  const { members, voters } = config;
  switch (wish.kind) {
    case 'add':
      if (members.some(({ serverid }) => serverid === wish.server))
        return `${nameOf(state, wish.server)} has a replica of the mirror: remove it first`;
      if (members.length >= MIRROR_MEMBERS_MAX) return `The mirror has ${members.length} replicas, the most that it may have`;
      return voters.some(({ serverid }) => serverid === wish.server)
        ? null
        : `${nameOf(state, wish.server)} is no voter: make it one first`;
    case 'remove':
      if (!members.some(({ identity }) => identity === wish.identity)) return 'The mirror has no such replica';
      if (config.inSync.length === 1 && config.inSync[0] === wish.identity) return 'It is the last replica in sync: add another one first';
      return members.length === 1 ? 'It is the only replica' : null;
    case 'voters': {
      if (wish.servers.length === 0 || new Set(wish.servers).size !== wish.servers.length)
        return 'A mirror has one or more voters, each once';
      if (wish.servers.length > MIRROR_MEMBERS_MAX) return `A mirror has at most ${MIRROR_MEMBERS_MAX} voters`;
      const without = members.find(({ serverid }) => !wish.servers.includes(serverid));
      return without === undefined
        ? null
        : `${nameOf(state, without.serverid)} has a replica, so it stays a voter: remove the replica first`;
    }
    case 'grow':
      return wish.sizeBytes > config.sizeBytes ? null : `The mirror has ${config.sizeBytes} bytes already: it can only grow`;
    case 'note':
      return refusalOfNote(state, config);
  }
}

/**
 * A voter that does not keep notes stores the configuration without its note. If the configuration already has a note, all voters were
 * known to keep notes when it was stored, so a voter may be away now.
 */
function refusalOfNote(state: MembershipState, config: MirrorConfig): string | null {
  if (config.note !== undefined) return null;
  const unfit = votersOf(config).find(({ voter, serverid }) => {
    const record = state.servers.get(serverid)?.record ?? null;
    return record?.voter !== voter || record.keepsNotes !== true;
  });
  if (unfit === undefined) return null;
  const name = nameOf(state, unfit.serverid);
  return `It is not known whether voter ${name} keeps notes, and the first note needs all voters: start rssrv there, or update it`;
}

/** Returns the vote that the wish needs from this server; null if it needs no vote. */
export function wishVote(state: MembershipState, rules: MembershipRules, server: ServerState): VoteRequest | null {
  const { wish, base, number, seed } = state;
  if (wish === null || base === null || state.phase !== 'serving') return null;
  const { wish: wanted } = wish;
  if (wanted.kind === 'voters' && wanted.servers.includes(server.serverid) && server.record === null)
    return { kind: 'found', name: seed.name, universe: seed.universe };
  if (!hasPromised(state, server)) return null;
  if (wanted.kind === 'add' && wanted.server === server.serverid && wish.placed === null && rules.isServerUsable(base.config, server))
    return { kind: 'place', number, volume: wanted.volume, universe: wanted.universe };
  if (wanted.kind === 'remove' && !wish.hasUnplaced && server.record?.replica?.identity === wanted.identity)
    return base.config.members.some(({ identity }) => identity === wanted.identity) ? null : { kind: 'unplace', number };
  return null;
}

/** Records the answer to a vote of a wish. Returns false if the vote did not belong to a wish. */
export function tookWishVote(state: MembershipState, server: ServerState, { kind }: VoteRequest, answer: VoteAnswer): boolean {
  if (kind !== 'found' && kind !== 'place' && kind !== 'unplace') return false;
  const { wish } = state;
  if (kind === 'unplace') {
    if (wish?.wish.kind === 'remove') wish.hasUnplaced = true;
  } else if (kind === 'place' && wish?.wish.kind === 'add' && wish.wish.server === server.serverid) {
    if (answer.voted === VOTED.UNCLAIMED) server.isKnown = false;
    else if (answer.voted !== VOTED.DONE || answer.replica === null) answerWish(state, `${server.name}: ${answer.sentence}`);
    else {
      const { identity, sizeBytes } = answer.replica;
      wish.placed = identity;
      state.claimed.add(identity);
      replicaOf(state, identity).sizeBytes = sizeBytes;
    }
  }
  return true;
}

/**
 * Sends the next configuration of the wish, if the wish needs one now. Returns true if a configuration was sent. May be called only while
 * no configuration is pending.
 */
export function planWish(state: MembershipState, rules: MembershipRules): boolean {
  const { wish, base } = state;
  if (wish === null || base === null) return false;
  const next = nextOfWish(state, rules, base.config, wish.wish);
  if (next === 'done') answerWish(state, '');
  if (next === null || next === 'done') return false;
  send(state, next);
  return true;
}

function nextOfWish(state: MembershipState, rules: MembershipRules, config: MirrorConfig, wish: MirrorWish): MirrorConfig | 'done' | null {
  switch (wish.kind) {
    case 'detach':
      return detach(state, config);
    case 'add':
      return add(state, config, wish);
    case 'remove':
      return remove(state, config, wish.identity);
    case 'voters':
      return changeVoters(state, rules, config, wish.servers);
    case 'grow':
      if (config.sizeBytes >= wish.sizeBytes) return 'done';
      return rules.hasGrown(state, rules.counted(state), wish.sizeBytes) ? { ...config, sizeBytes: wish.sizeBytes } : null;
    case 'note':
      return config.note === wish.note ? 'done' : { ...config, note: wish.note };
    case 'keep-voters':
    case 'stop':
      return 'done';
  }
}

/** M13: ends the sessions of replicas out of sync. The copies to these replicas start again at the next attachment. */
function detach(state: MembershipState, config: MirrorConfig): MirrorConfig {
  for (const { identity } of config.members) if (!config.inSync.includes(identity)) giveUp(state, identity, 'The mirror is being detached');
  return { ...config, clean: true };
}

function add(state: MembershipState, config: MirrorConfig, wish: MirrorWish & { kind: 'add' }): MirrorConfig | 'done' | null {
  const identity = state.wish?.placed ?? null;
  if (identity === null) return null;
  if (config.members.some((one) => one.identity === identity)) return 'done';
  const { server: serverid, volume, universe } = wish;
  return { ...config, members: [...config.members, { identity, serverid, volume, universe }] };
}

/** M19: removes a replica only after it is out of sync. The session of the replica ends with the configuration that removes it. */
function remove(state: MembershipState, config: MirrorConfig, identity: string): MirrorConfig | 'done' | null {
  if (config.inSync.includes(identity)) return null;
  if (config.members.some((one) => one.identity === identity)) {
    giveUp(state, identity, 'It is removed by command');
    return { ...config, members: config.members.filter((one) => one.identity !== identity) };
  }
  const server = [...state.servers.values()].find(({ record }) => record?.replica?.identity === identity);
  const mayUnplace = server !== undefined && server.isUp && !server.mustWait && server.isKnown && hasPromised(state, server);
  return mayUnplace && state.wish?.hasUnplaced === false ? null : 'done';
}

function changeVoters(
  state: MembershipState,
  rules: MembershipRules,
  config: MirrorConfig,
  servers: readonly number[],
): MirrorConfig | 'done' | null {
  const next = servers.map((serverid) => voterAt(state, config, serverid));
  if (next.includes(null)) return null;
  const voters = next.filter((one) => one !== null);
  return isSameSet(config.voters, voters) ? 'done' : rules.firstStep(config, voters);
}

/**
 * Returns the voter of a server: from the server's record or, while the server is away, from the configuration. Returns null if the server
 * is still being asked, or has no voter.
 */
function voterAt(state: MembershipState, config: MirrorConfig, serverid: number): MirrorVoter | null {
  const server = state.servers.get(serverid);
  if (server?.isUp === true && !server.isKnown && !server.mustWait) return null;
  const voter = server?.isKnown === true ? (server.record?.voter ?? null) : null;
  if (voter !== null) return { voter, serverid };
  return server?.isKnown === true ? null : (votersOf(config).find((one) => one.serverid === serverid) ?? null);
}

function isSameSet(some: readonly MirrorVoter[], others: readonly MirrorVoter[]): boolean {
  return some.length === others.length && some.every(({ voter }) => others.some((one) => one.voter === voter));
}
