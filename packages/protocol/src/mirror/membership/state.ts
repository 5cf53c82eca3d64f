// What the decider of a membership knows: servers with their voters' records, replicas with their sessions, and the configurations. The
// words com, pen and pu of the models are base, pending and sentAny. Invariant: only membership.ts and its helpers change it, in one event.

import type { MirrorConfig, StoredConfig, Term, VoteAnswer } from '../../wire/mirror/messages.ts';
import { VOTED } from '../../wire/mirror/messages.ts';
import { compareTerms } from '../../wire/mirror/terms.ts';
import type { MembershipOrder, MirrorSeed, MirrorWish, VoteRequest } from './interface.ts';
import { votersOf } from './quorums.ts';

export interface ServerState {
  readonly serverid: number;
  name: string;
  isUp: boolean;
  /** The vote without answer. */
  vote: { readonly order: number; readonly request: VoteRequest; readonly attempt: number } | null;
  /** Something failed here: no vote before `retry` or before the server is up again. */
  mustWait: boolean;
  /** The server has answered RECORD since it came up, and nothing has raised a doubt since. */
  isKnown: boolean;
  /** Its last answer with a record; null: it has none. */
  record: VoteAnswer | null;
  /** Its answer to the claim of this attempt. */
  claim: VoteAnswer | null;
  isHeld: boolean;
  /** A claim is sent again, because its replica could not be used. */
  claimsAgain: boolean;
  /** Why it did not do what it was asked last. */
  sentence: string;
}

export interface ReplicaState {
  readonly identity: string;
  session: 'none' | 'opening' | 'open';
  /** Not opened before `retry`. */
  mustWait: boolean;
  isSilent: boolean;
  /** Its session has ended for good, so it leaves I before it is opened again. */
  isLost: boolean;
  joining: boolean;
  joinFlushed: boolean;
  sizeBytes: number;
  foundBytes: number;
  /** Size that it was ordered to grow to. */
  growsTo: number;
  sentence: string;
}

export interface ActiveWish {
  readonly id: number;
  readonly wish: MirrorWish;
  /** Identity that PLACE has made; of the wish `add`. */
  placed: string | null;
  /** UNPLACE is answered; of the wish `remove`. */
  hasUnplaced: boolean;
}

/** The two words of a phase: what the client does. In `ended`, no order follows. */
export type Phase = 'asking' | 'claiming' | 'attaching' | 'serving' | 'ended';

export interface MembershipState {
  readonly seed: MirrorSeed;
  phase: Phase;
  /** Number of the attempt to attach: answers to claims of earlier ones do not count (M5). */
  attempt: number;
  number: number;
  readonly servers: Map<number, ServerState>;
  readonly replicas: Map<string, ReplicaState>;
  /** The last configuration known to be at a majority; while attaching, the one that was found. */
  base: StoredConfig | null;
  /** The former end was clean (M7). */
  wasClean: boolean;
  /** The configuration that was sent last and is not at a majority. */
  pending: MirrorConfig | null;
  /** Replicas in I of any, and of every, configuration that was sent since `base` was. */
  sentAny: Set<string>;
  sentAll: Set<string>;
  /** For each voter, k of the last configuration of this term that it stored. */
  readonly stored: Map<string, number>;
  /** Identities that have answered the claim of this term. */
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
    joining: false,
    joinFlushed: false,
    sizeBytes: 0,
    foundBytes: 0,
    growsTo: 0,
    sentence: '',
  };
  state.replicas.set(identity, replica);
  return replica;
}

export function termOf({ seed: { me }, number }: MembershipState): Term {
  return { number, node: me.node, instance: me.instance };
}

/** The configuration that was sent last, or the one at a majority. */
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

/** True if the voter is named by the configuration at a majority or by the one that was sent last. */
export function isNamed(state: MembershipState, voter: string): boolean {
  const isIn = (config: MirrorConfig | null): boolean => config !== null && votersOf(config).some((one) => one.voter === voter);
  return isIn(state.pending) || isIn(state.base?.config ?? null);
}
