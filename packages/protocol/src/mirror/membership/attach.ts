// How a client becomes the holder (rules M4 to M6): the client reads the voters' records, gives up if another client has the mirror, claims
// a term, and sends its own configuration. Invariant: a client that is not allowed to take over the mirror sends no CLAIM before it knows
// that a majority of the voters is free. A refused attempt therefore does not disturb the holder. Invariant: an automatic attach (after a
// restart, or because the configuration wants it) sends no CLAIM while its records show that a majority may have promised a claim of another
// client since this client had the mirror.

// Why an automatic attach waits where an order does not.
// `mirror-revoke` takes a mirror away from a lost client. What it leaves at a majority of the voters is a promise without a configuration
// (rsiod: mirrors/votes/claim-end.ts). An interrupted take-over leaves the same, and so does an attempt that was given up. An order may decide
// that such a claim does not count. An attempt that nobody has ordered waits until another client serves, or until somebody orders it.
// - It is not refused, because a client that is refused forgets the volume and its device, and the claim may be over in a moment.
// - A claim that only a minority has promised hinders nobody while a majority without it answers.
// - A claim from before the last configuration of this client hinders nobody. Configurations show this, because promises of late attempts of
//   this client may be above the claim.
// - A CLAIM takes over as that of an order does. Without that, two clients that attach at the same moment could each lose the mirror. A claim
//   that another client makes between the RECORD and the CLAIM is therefore not seen.

import { TERM_NUMBER_MAX } from '../../wire/limits.ts';
import type { StoredConfig, Term } from '../../wire/mirror-messages.ts';
import { compareTerms } from '@rsio/base/structures/term-order';
import { end, missingVoters, send } from './configs.ts';
import { highestOf, isMajority, votersOf } from './quorums.ts';
import type { MembershipRules } from './rules.ts';
import { hasPromised, type MembershipState, nameOf, replicaOf, type ServerState } from './state.ts';

type Hold = 'free' | 'undecided' | 'claimed' | 'held';

/** Moves from the phase `asking` to `claiming` and on to `attaching`, as far as the answers of the servers allow. */
export function advanceAttach(state: MembershipState, rules: MembershipRules): void {
  if (state.phase === 'asking') startClaim(state);
  if (state.phase === 'claiming') finishClaim(state, rules);
}

/** Called when a voter has shown a higher term: asks for all records again. Answers to the former claim no longer count (M5). */
export function askAgain(state: MembershipState): void {
  state.phase = 'asking';
  state.attempt += 1;
  state.claimed.clear();
  for (const server of state.servers.values()) Object.assign(server, { claim: null, isKnown: false, claimsAgain: false, isHeld: false });
}

/** Returns the highest configuration in the records that the servers have shown; null if no record has a configuration. */
function found(state: MembershipState): StoredConfig | null {
  return highestOf([...state.servers.values()].map(({ record }) => record?.stored ?? null));
}

/**
 * Returns whether another client has the mirror, according to one voter. `undecided`: another client has claimed the mirror at this voter,
 * but the voter has no configuration of that claim. (A client that serves has a configuration at a majority.) `claimed`: the same, for an
 * automatic attach, and the claim is later than the last configuration of this client.
 */
export function holdOf(state: MembershipState, server: ServerState): Hold {
  const promise = server.record?.promise ?? null;
  if (promise === null || server.claim !== null || isMine(state, promise) || hasEnded(state, promise)) return 'free';
  if (hasConfig(server)) return 'held';
  return state.seed.isAutomatic && isAfterOwn(state, promise) ? 'claimed' : 'undecided';
}

function isMine({ seed }: MembershipState, { node }: Term): boolean {
  return node === seed.me.node;
}

/** True if the voter has a configuration of the term that it has promised. */
function hasConfig({ record }: ServerState): boolean {
  const [promise, stored] = [record?.promise ?? null, record?.stored ?? null];
  return promise !== null && stored !== null && compareTerms(stored.term, promise) === 0;
}

/**
 * True if this client has had the mirror, and not since this term. Its promises do not count, because an attempt that came too late may have
 * left them. A majority has its last configuration until another client serves.
 */
function isAfterOwn(state: MembershipState, term: Term): boolean {
  const stored = [...state.servers.values()].flatMap(({ record }) => record?.stored?.term ?? []);
  const own = stored.filter((one) => isMine(state, one));
  return own.length > 0 && own.every((one) => compareTerms(one, term) < 0);
}

/**
 * True if the record of at least one server shows that the client of this term has detached. A client that has detached sends nothing more.
 */
function hasEnded(state: MembershipState, term: Term): boolean {
  return [...state.servers.values()].some(({ record }) => {
    const stored = record?.stored ?? null;
    return stored !== null && stored.config.clean && compareTerms(stored.term, term) === 0;
  });
}

function knownVoter(state: MembershipState, voter: string): ServerState | null {
  for (const server of state.servers.values()) if (server.isKnown && server.record?.voter === voter) return server;
  return null;
}

function startClaim(state: MembershipState): void {
  const highest = found(state)?.config ?? null;
  if (highest === null) return;
  const sets = highest.nextVoters === null ? [highest.voters] : [highest.voters, highest.nextVoters];
  const has = (holds: readonly Hold[], voter: string): boolean => {
    const server = knownVoter(state, voter);
    return server !== null && holds.includes(holdOf(state, server));
  };
  const isAnswered = sets.every((voters) => isMajority(voters, (voter) => has(['free', 'undecided', 'claimed', 'held'], voter)));
  if (!isAnswered) return;
  if (!state.seed.takesOver) {
    if (refuseHeld(state, sets)) return;
    if (!sets.every((voters) => isMajority(voters, (voter) => has(['free', 'undecided'], voter)))) return;
  }
  const numbers = [...state.servers.values()].map(({ record }) => record?.promise?.number ?? 0);
  state.number = Math.max(state.number, ...numbers) + 1;
  if (state.number > TERM_NUMBER_MAX) {
    end(state, 'E_LIMIT', `Mirror ${state.seed.name} cannot be claimed again: the numbers of its terms are used up`);
    return;
  }
  state.phase = 'claiming';
}

/** Ends the attempt with E_HELD if a majority of the voters can no longer be free. */
function refuseHeld(state: MembershipState, sets: readonly StoredConfig['config']['voters'][]): boolean {
  for (const voters of sets) {
    const holders = voters.flatMap(({ voter }) => {
      const server = knownVoter(state, voter);
      return server !== null && holdOf(state, server) === 'held' ? [server] : [];
    });
    if ((voters.length - holders.length) * 2 > voters.length) continue;
    const { name } = state.seed;
    end(state, 'E_HELD', `${heldBy(state, holders[0])}: detach it there, or rsconfig -a --take-over ${name}`);
    return true;
  }
  return false;
}

function heldBy({ seed }: MembershipState, server: ServerState | undefined): string {
  return `Client ${server?.record?.promise?.node ?? 'another'} has mirror ${seed.name}`;
}

/**
 * Ends a take-over with E_HELD if it cannot succeed before the holder detaches or an administrator permits it: the servers that refuse it
 * leave no majority of the voters, or no replica in sync. A server answers a CLAIM that takes over with HELD for this reason only.
 */
function refuseTakeOver(state: MembershipState, rules: MembershipRules, config: StoredConfig['config']): void {
  const refuses = (voter: string): boolean => knownVoter(state, voter)?.isHeld === true;
  const sets = config.nextVoters === null ? [config.voters] : [config.voters, config.nextVoters];
  const hasNoMajority = sets.some((voters) => !isMajority(voters, (voter) => !refuses(voter)));
  const sources = config.members.filter((member) => rules.isSource(config, member));
  const hasNoSource = sources.length > 0 && sources.every(({ serverid }) => state.servers.get(serverid)?.isHeld === true);
  if (!hasNoMajority && !hasNoSource) return;
  const first = [...state.servers.values()].find(({ isHeld }) => isHeld);
  end(state, 'E_HELD', withRefusals(state, heldBy(state, first)));
}

/**
 * True if a CLAIM to this server takes over the mirror. One of three conditions is enough: this client may take over (`takesOver`), no
 * client serves according to the voter of this server, or a majority of the voters has promised the term.
 */
export function takesOver(state: MembershipState, rules: MembershipRules, server: ServerState): boolean {
  if (state.seed.takesOver || state.phase === 'attaching' || state.phase === 'serving') return true;
  const hold = holdOf(state, server);
  return hold === 'free' || hold === 'undecided' || hasQuorum(state, rules);
}

/**
 * M5: claims go first to the servers that have a replica in sync, and to other servers only after one of the first servers has granted its
 * replica. A client that gets no replica therefore leaves no promise that would later make the holder give up the mirror. If another client
 * holds all replicas in sync, the voters decide whether that client serves.
 */
export function isClaimDue(state: MembershipState, rules: MembershipRules, server: ServerState): boolean {
  const base = found(state)?.config ?? null;
  if (base === null) return false;
  if (rules.isClaimedFirst(base, server) || hasSource(state, rules, base)) return true;
  const first = [...state.servers.values()].filter((one) => one.isUp && one.record !== null && rules.isClaimedFirst(base, one));
  return !state.seed.takesOver && first.length > 0 && first.every(({ isHeld }) => isHeld);
}

function hasSource(state: MembershipState, rules: MembershipRules, base: StoredConfig['config']): boolean {
  return base.members.some((member) => rules.isSource(base, member) && isClaimed(state, rules, base, member.identity));
}

function hasQuorum(state: MembershipState, rules: MembershipRules): boolean {
  const base = rules.chooseBase(state);
  return base !== null && rules.isQuorum(base.config, claimedVoters(state));
}

function claimedVoters(state: MembershipState): (voter: string) => boolean {
  const claims = [...state.servers.values()].map(({ claim }) => claim);
  return (voter) => claims.some((claim) => claim !== null && claim.voter === voter);
}

function finishClaim(state: MembershipState, rules: MembershipRules): void {
  const base = rules.chooseBase(state);
  if (base === null || !rules.isQuorum(base.config, claimedVoters(state))) {
    const config = (base ?? found(state))?.config ?? null;
    if (config === null) return;
    if (state.seed.takesOver) refuseTakeOver(state, rules, config);
    else refuseHeld(state, config.nextVoters === null ? [config.voters] : [config.voters, config.nextVoters]);
    return;
  }
  if (!hasSource(state, rules, base.config)) return;
  state.base = base;
  state.wasClean = base.config.clean;
  state.phase = 'attaching';
  for (const { claim } of state.servers.values()) {
    const replica = claim?.replica ?? null;
    if (replica === null) continue;
    state.claimed.add(replica.identity);
    replicaOf(state, replica.identity).sizeBytes = replica.sizeBytes;
  }
  send(state, rules.ownConfig(base.config));
  if (!rules.servesAtOnce()) return;
  state.phase = 'serving';
  state.orders.push({ kind: 'serve', isClean: base.config.clean });
}

function isClaimed(state: MembershipState, rules: MembershipRules, base: StoredConfig['config'], identity: string): boolean {
  const member = base.members.find((one) => one.identity === identity);
  const server = member === undefined ? undefined : state.servers.get(member.serverid);
  if (server === undefined || server.claim === null || !rules.isServerUsable(base, server)) return false;
  return server.claim.replica !== null && rules.hasIdentity(server, identity);
}

/** Returns a sentence that says why the client has no majority yet. */
export function attachWaitsFor(state: MembershipState, rules: MembershipRules): string {
  const base = state.phase === 'claiming' ? (rules.chooseBase(state) ?? found(state)) : found(state);
  if (base === null) return withRefusals(state, `Waits for a configuration of mirror ${state.seed.name}: no server that answers has one`);
  const hasAnswered = (server: ServerState): boolean =>
    state.phase === 'asking' ? server.isKnown && server.record !== null : server.claim !== null && hasPromised(state, server);
  const missing = missingVoters(state, votersOf(base.config), (server) => hasAnswered(server));
  if (state.phase === 'claiming' && !hasSource(state, rules, base.config)) {
    const names = base.config.members
      .filter(({ identity }) => base.config.inSync.includes(identity))
      .map((one) => nameOf(state, one.serverid));
    return withRefusals(state, `Waits for a replica in sync: ${names.join(' or ')}`);
  }
  const claimed = claimants(state);
  if (claimed !== null) return withRefusals(state, claimed);
  return withRefusals(state, `Waits for a majority of the voters: ${missing.join(' and ') || 'another client has claimed the mirror'}`);
}

/** Returns what an automatic attach says of the claims that it does not pass over; null if there are none. */
function claimants(state: MembershipState): string | null {
  const servers = [...state.servers.values()].filter((server) => server.isKnown && holdOf(state, server) === 'claimed');
  if (servers.length === 0) return null;
  const nodes = new Set(servers.map(({ record }) => record?.promise?.node ?? 'another'));
  const { name } = state.seed;
  const text = `Client ${[...nodes].join(' and ')} has claimed mirror ${name} at ${servers.map((one) => one.name).join(' and ')} after this client`;
  return `${text}, and may attach it: rsconfig -a ${name} attaches it here`;
}

function withRefusals(state: MembershipState, text: string): string {
  const said = [...state.servers.values()].flatMap(({ name, sentence }) => (sentence === '' ? [] : [`${name}: ${sentence}`]));
  return said.length === 0 ? text : `${text} (${said.join('; ')})`;
}
