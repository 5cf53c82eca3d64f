// Chooses the next configuration of a holder: removals first (M11), then the second step of a change of voters (M17), then replicas that
// join (M12), then the administrator's wish (wishes.ts). Invariant: only a removal, or the end of a change of voters by command, is sent
// while another configuration is pending.

import { end, giveUp, send } from './configs.ts';
import type { MembershipRules } from './rules.ts';
import { isUsable, reasonToLeave } from './sessions.ts';
import { latestOf, type MembershipState, replicaOf } from './state.ts';
import { planWish } from './wishes.ts';

/** Sends at most one configuration. Returns true if a configuration was sent. */
export function plan(state: MembershipState, rules: MembershipRules): boolean {
  if (state.phase !== 'serving' || state.base === null || state.pending?.clean === true) return false;
  if (remove(state, rules)) return true;
  if (endIfAllLost(state, rules)) return false;
  if (state.pending !== null) return false;
  const { config } = state.base;
  if (config.nextVoters !== null) {
    send(state, rules.secondStep(config));
    return true;
  }
  for (const { identity } of config.members) {
    const replica = replicaOf(state, identity);
    if (!replica.joining || replica.session !== 'open' || !rules.isFlushed(replica)) continue;
    send(state, { ...config, inSync: [...config.inSync, identity] });
    return true;
  }
  orderGrowth(state);
  return planWish(state, rules);
}

function remove(state: MembershipState, rules: MembershipRules): boolean {
  const from = rules.whileChanging(state);
  if (from === null) return false;
  for (const identity of from.inSync) {
    const reason = reasonToLeave(state, rules, identity);
    if (reason === null) continue;
    const left = from.inSync.filter((one) => one !== identity);
    if (!left.some((one) => reasonToLeave(state, rules, one) === null && rules.canRemain(state, replicaOf(state, one)))) continue;
    giveUp(state, identity, reason);
    send(state, { ...from, inSync: left });
    return true;
  }
  return false;
}

/**
 * Ends the membership if all replicas in sync are lost, because a replica can no longer return with its replay log. A new attachment can
 * use the data on disk. Beside a lost replica, another one counts as lost if its server has it, with this term promised, and does not offer
 * it to this client: the mirror was taken away from this client while the replica was being opened (H6).
 */
function endIfAllLost(state: MembershipState, rules: MembershipRules): boolean {
  const inSync = (latestOf(state)?.inSync ?? []).map((identity) => replicaOf(state, identity));
  const lost = inSync.find(({ isLost }) => isLost);
  if (lost === undefined || !inSync.every((one) => one.isLost || (one.isBarred && isUsable(state, rules, one.identity)))) return false;
  end(state, 'E_VOLUME', `No replica of mirror ${state.seed.name} is left that is in sync: ${lost.sentence}`);
  return true;
}

/** M21: orders a returning replica to grow before it joins. The same growth of a replica is ordered only once in each session. */
function orderGrowth(state: MembershipState): void {
  if (state.base === null || state.phase !== 'serving') return;
  const wished = state.wish?.wish.kind === 'grow' ? state.wish.wish.sizeBytes : 0;
  const sizeBytes = Math.max(wished, state.base.config.sizeBytes);
  for (const { identity } of latestOf(state)?.members ?? []) {
    const replica = replicaOf(state, identity);
    if (replica.session !== 'open' || replica.mustWait || replica.sizeBytes >= sizeBytes || replica.growsTo >= sizeBytes) continue;
    replica.growsTo = sizeBytes;
    state.orders.push({ kind: 'grow', identity, sizeBytes });
  }
}
