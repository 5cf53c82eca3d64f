// Chooses the next vote for a server, and records its answer. Each server has at most one unanswered vote. Liveness: a failed vote is
// repeated after `retry` or when the server is up again. The first vote to a server that has come up reads its record.

import { TERM_STEP_MAX } from '../../wire/limits.ts';
import { type VoteAnswer, VOTED } from '../../wire/mirror-messages.ts';
import { compareTerms } from '@rsio/base/structures/term-order';
import { askAgain, isClaimDue, takesOver } from './attach.ts';
import { end } from './configs.ts';
import type { VoteRequest } from './interface.ts';
import type { MembershipRules } from './rules.ts';
import { hasPromised, hasRecord, isNamed, latestOf, type MembershipState, replicaOf, type ServerState, termOf } from './state.ts';
import { tookWishVote, wishVote } from './wishes.ts';

export function orderVotes(state: MembershipState, rules: MembershipRules): void {
  for (const server of state.servers.values()) {
    if (!server.isUp || server.mustWait || server.vote !== null) continue;
    const request = nextVote(state, rules, server);
    if (request === null) continue;
    state.order += 1;
    server.vote = { order: state.order, request, attempt: state.attempt };
    state.orders.push({ kind: 'vote', server: server.serverid, order: state.order, request });
  }
}

function nextVote(state: MembershipState, rules: MembershipRules, server: ServerState): VoteRequest | null {
  if (!server.isKnown) return { kind: 'record' };
  if (state.phase === 'asking' || state.phase === 'ended') return null;
  if (state.phase === 'claiming') return claimWhileClaiming(state, rules, server);
  const wished = wishVote(state, rules, server);
  if (wished !== null) return wished;
  const voter = server.record?.voter ?? null;
  if (voter === null || !isNamed(state, voter)) return null;
  if ((!hasPromised(state, server) || server.claimsAgain) && mayClaim(state, rules, server)) return claimOf(state, rules, server);
  const latest = latestOf(state);
  const isOwn = state.pending !== null || (state.base !== null && compareTerms(state.base.term, termOf(state)) === 0);
  if (latest === null || !isOwn || !hasPromised(state, server) || state.stored.get(voter) === latest.k) return null;
  return { kind: 'config', number: state.number, config: latest };
}

function claimWhileClaiming(state: MembershipState, rules: MembershipRules, server: ServerState): VoteRequest | null {
  if (server.record === null || (server.claim !== null && !server.claimsAgain)) return null;
  if (!isClaimDue(state, rules, server)) return null;
  const request = claimOf(state, rules, server);
  return server.isHeld && !request.takesOver ? null : request;
}

/**
 * Returns the CLAIM to send to this server. If the voter's promise is much lower than the term, several claims raise the promise by
 * TERM_STEP_MAX at a time, because a voter refuses larger steps.
 */
function claimOf(state: MembershipState, rules: MembershipRules, server: ServerState): VoteRequest & { kind: 'claim' } {
  const number = Math.min(state.number, (server.record?.promise?.number ?? 0) + TERM_STEP_MAX);
  return { kind: 'claim', number, takesOver: takesOver(state, rules, server) };
}

/**
 * M18: a server may be claimed if the configuration at a majority names the server's voter. A server may also be claimed if it has no
 * replica on which an old session could continue.
 */
function mayClaim(state: MembershipState, rules: MembershipRules, server: ServerState): boolean {
  if (state.base !== null && rules.isServerUsable(state.base.config, server)) return true;
  return latestOf(state)?.members.every(({ serverid }) => serverid !== server.serverid) ?? true;
}

export function tookVote(state: MembershipState, server: ServerState, order: number, answer: VoteAnswer | null): void {
  const { vote } = server;
  if (vote === null || vote.order !== order) return;
  server.vote = null;
  if (answer === null) {
    server.mustWait = true;
    return;
  }
  const { request, attempt } = vote;
  server.sentence = answer.voted === VOTED.DONE ? '' : answer.sentence;
  if (request.kind === 'record') server.isKnown = true;
  if (!hasRecord(answer)) {
    server.record = null;
    server.mustWait = request.kind !== 'record';
    server.sentence = answer.sentence;
    return;
  }
  if (server.record?.voter !== answer.voter && request.kind !== 'record' && request.kind !== 'found') server.isKnown = false;
  server.record = merged(server.record, request, answer);
  if (meetsHigherTerm(state, server, answer)) return;
  if (tookWishVote(state, server, request, answer)) return;
  if (attempt !== state.attempt) return;
  if (request.kind === 'claim') tookClaim(state, server, request, answer);
  else if (request.kind === 'config') tookConfig(state, server, request.config.k, answer);
}

/** Returns the answer, completed with the same voter's earlier answer, because not every answer has the configuration and the replica. */
function merged(before: VoteAnswer | null, { kind }: VoteRequest, answer: VoteAnswer): VoteAnswer {
  if (before === null || before.voter !== answer.voter) return answer;
  const showsReplica = kind === 'record' || (answer.voted === VOTED.DONE && (kind === 'claim' || kind === 'place'));
  return { ...answer, stored: answer.stored ?? before.stored, replica: showsReplica ? answer.replica : before.replica };
}

/**
 * M16: a holder ends when a voter shows a higher term, or refuses the term because another data process of this client has claimed it. A
 * client that still claims begins again with a higher number. A server that is no longer a voter does not end the holder, because a claim
 * at this server does not count towards a majority.
 */
function meetsHigherTerm(state: MembershipState, server: ServerState, { promise, voter, voted, sentence }: VoteAnswer): boolean {
  if (promise === null || state.phase === 'asking' || state.phase === 'ended') return false;
  const order = compareTerms(promise, termOf(state));
  if (order < 0 || (order === 0 && voted !== VOTED.SUPERSEDED)) return false;
  if (state.phase === 'serving' && (voter === null || !isNamed(state, voter))) return false;
  if (state.phase === 'claiming') {
    askAgain(state);
    for (const one of state.servers.values()) one.mustWait = true;
    return true;
  }
  const name = state.seed.name;
  const taken = `Client ${promise.node} has taken mirror ${name} over, says ${server.name}: term ${promise.number} after ${state.number}`;
  end(state, 'E_TAKEN', order > 0 ? taken : `Mirror ${name} is claimed elsewhere, says ${server.name}: ${sentence}`);
  return true;
}

function tookClaim(
  state: MembershipState,
  server: ServerState,
  { number, takesOver: isForced }: Extract<VoteRequest, { kind: 'claim' }>,
  answer: VoteAnswer,
): void {
  server.isHeld = answer.voted === VOTED.HELD;
  if (answer.voted !== VOTED.DONE || number !== state.number) {
    // A take-over that was refused is not repeated at once. A claim without take-over that got HELD must wait until a quorum has promised.
    server.mustWait = answer.voted !== VOTED.DONE && (isForced || !server.isHeld);
    return;
  }
  server.claim = answer;
  server.claimsAgain = false;
  server.sentence = answer.sentence;
  if (answer.replica === null) return;
  const replica = replicaOf(state, answer.replica.identity);
  replica.lacksTerm = answer.replica.lacksTerm;
  if (replica.session === 'none') replica.sizeBytes = answer.replica.sizeBytes;
  if (state.phase !== 'claiming') state.claimed.add(answer.replica.identity);
}

function tookConfig(state: MembershipState, server: ServerState, k: number, answer: VoteAnswer): void {
  if (answer.voted === VOTED.DONE && answer.voter !== null) state.stored.set(answer.voter, k);
  else if (answer.voted === VOTED.UNCLAIMED) server.isKnown = false;
  else server.mustWait = answer.voted !== VOTED.OLDER;
}
