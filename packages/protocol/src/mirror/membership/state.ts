// The state of the decider (membership.ts): servers with their voters' records, replicas with their sessions, and the configurations.
// `base`, `pending` and `sentAny` are com, pen and pu in the models. Invariant: only membership.ts and its helpers change the state, while
// they handle one event.

import { type MirrorConfig, type StoredConfig, type Term, type VoteAnswer, VOTED } from '../../wire/mirror-messages.ts';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { MembershipOrder, MirrorSeed, MirrorWish, VoteRequest } from './interface.ts';
import { votersOf } from './quorums.ts';

export interface ServerState {
  readonly serverid: number;
  name: string;
  isUp: boolean;
  /** The vote that the server has not answered yet. */
  vote: { readonly order: number; readonly request: VoteRequest; readonly attempt: number } | null;
  /** True if a vote has failed; the server gets the next vote only after `retry`, or after the server is up again. */
  mustWait: boolean;
  /** True if the server has answered RECORD since it came up, and no later failure has put this answer in doubt. */
  isKnown: boolean;
  /** The server's last answer with a record; null if the server has no record. */
  record: VoteAnswer | null;
  /** The server's answer to the claim of this attempt. */
  claim: VoteAnswer | null;
  isHeld: boolean;
  /** True if the claim must be sent again, because the server's replica could not be used. */
  claimsAgain: boolean;
  /** The server's reason for refusing the last vote; empty if the last vote was not refused. */
  sentence: string;
}

export interface ReplicaState {
  readonly identity: string;
  session: 'none' | 'opening' | 'open';
  /** True if the replica must not be opened before `retry`. */
  mustWait: boolean;
  isSilent: boolean;
  /** True if the replica's session has ended for good; if so, the replica must leave the replicas in sync before it is opened again. */
  isLost: boolean;
  /** True if the last OPEN was answered so that this client may not open the replica. */
  isBarred: boolean;
  joining: boolean;
  joinFlushed: boolean;
  sizeBytes: number;
  foundBytes: number;
  /** Q10: from the answer to the last claim, the highest term of which the replica may lack writes; undefined if it is not known. */
  lacksTerm: Term | null | undefined;
  /** Size in bytes to which the replica was ordered to grow. */
  growsTo: number;
  sentence: string;
}

export interface ActiveWish {
  readonly id: number;
  readonly wish: MirrorWish;
  /** For the wish `add`: the identity that PLACE has made. */
  placed: string | null;
  /** For the wish `remove`: true if UNPLACE is answered. */
  hasUnplaced: boolean;
}

/** What the client does now (see the drawing in membership.ts). In `ended`, no order follows. */
export type Phase = 'asking' | 'claiming' | 'attaching' | 'serving' | 'ended';

export interface MembershipState {
  readonly seed: MirrorSeed;
  phase: Phase;
  /** Number of the current attempt to attach. Answers to claims that an earlier attempt sent do not count (M5). */
  attempt: number;
  number: number;
  readonly servers: Map<number, ServerState>;
  readonly replicas: Map<string, ReplicaState>;
  /** The last configuration that is known to be at a majority. While attaching: the highest configuration that the claim has found. */
  base: StoredConfig | null;
  /** True if the former holder ended cleanly (M7). */
  wasClean: boolean;
  /** The configuration that was sent last and is not yet at a majority; null if there is no such configuration. */
  pending: MirrorConfig | null;
  /**
   * `sentAny`: replicas that are in sync in at least one configuration that was sent after `base`. `sentAll`: replicas that are in sync in
   * all configurations that were sent after `base`.
   */
  sentAny: Set<string>;
  sentAll: Set<string>;
  /** Maps each voter to the k of the last configuration of this term that the voter has stored. */
  readonly stored: Map<string, number>;
  /** Identities of the replicas whose servers have granted the claim of this term. */
  readonly claimed: Set<string>;
  wish: ActiveWish | null;
  order: number;
  readonly orders: MembershipOrder[];
}

export function newState(seed: MirrorSeed): MembershipState {
  const state: MembershipState = {
    seed,
    phase: 'asking',
    attempt: 1,
    number: 0,
    servers: new Map(),
    replicas: new Map(),
    base: null,
    wasClean: false,
    pending: null,
    sentAny: new Set(),
    sentAll: new Set(),
    stored: new Map(),
    claimed: new Set(),
    wish: null,
    order: 0,
    orders: [],
  };
  for (const { serverid, name } of seed.servers) addServer(state, serverid, name);
  return state;
}

export function addServer(state: MembershipState, serverid: number, name: string): ServerState {
  const server: ServerState = {
    serverid,
    name,
    isUp: false,
    vote: null,
    mustWait: false,
    isKnown: false,
    record: null,
    claim: null,
    isHeld: false,
    claimsAgain: false,
    sentence: '',
  };
  state.servers.set(serverid, server);
  return server;
}

export function replicaOf(state: MembershipState, identity: string): ReplicaState {
  const known = state.replicas.get(identity);
  if (known !== undefined) return known;
  const replica: ReplicaState = {
    identity,
    session: 'none',
    mustWait: false,
    isSilent: false,
    isLost: false,
    isBarred: false,
    joining: false,
    joinFlushed: false,
    sizeBytes: 0,
    foundBytes: 0,
    lacksTerm: undefined,
    growsTo: 0,
    sentence: '',
  };
  state.replicas.set(identity, replica);
  return replica;
}

export function termOf({ seed: { me }, number }: MembershipState): Term {
  return { number, node: me.node, instance: me.instance };
}

/** Returns the pending configuration or, if no configuration is pending, the configuration at a majority. */
export function latestOf({ pending, base }: MembershipState): MirrorConfig | null {
  return pending ?? base?.config ?? null;
}

export function nameOf(state: MembershipState, serverid: number): string {
  return state.servers.get(serverid)?.name ?? `server ${serverid}`;
}

export function serverOfMember(state: MembershipState, identity: string): ServerState | null {
  for (const config of [state.pending, state.base?.config ?? null]) {
    const member = config?.members.find((one) => one.identity === identity);
    if (member !== undefined) return state.servers.get(member.serverid) ?? null;
  }
  return null;
}

/** True if the server's voter has promised the term of this client. */
export function hasPromised(state: MembershipState, server: ServerState): boolean {
  const promise = server.record?.promise ?? null;
  return promise !== null && compareTerms(promise, termOf(state)) === 0;
}

export function hasRecord(answer: VoteAnswer): boolean {
  return answer.voted !== VOTED.UNKNOWN && answer.voter !== null;
}

/** True if the configuration at a majority, or the configuration that was sent last, names the voter. */
export function isNamed(state: MembershipState, voter: string): boolean {
  const isIn = (config: MirrorConfig | null): boolean => config !== null && votersOf(config).some((one) => one.voter === voter);
  return isIn(state.pending) || isIn(state.base?.config ?? null);
}
